public import Netlink
public import Reconcile

/// A kind of one resource: an nftables table of ours, compiled from all resources of another kind at once, changed as
/// one transaction, and untouched where it is equal.
///
/// A conformer says how the table is compiled, what a plan tells of a change, and what the node as it is has to do with
/// it. It comes before the kind whose resources stand on its rules, so that policy is there before what it is for.
public protocol TableKind: ResourceKind where Spec == NFTable, Observation == TableObservation {
    /// The kind whose resources stand on the table.
    associatedtype Subject: ResourceKind

    /// The names of the kinds that a manifest names of which the table is compiled.
    static var sources: Set<String> { get }

    /// The name of the one resource: `bridge` of `guard/bridge`.
    static var resourceName: String { get }

    /// The table by its name, and how it is known as ours.
    var owned: NFOwnedTable { get }

    /// The table that the manifest asks for, compiled from all subjects and what else it says of them.
    static func compile(_ subjects: [String: Subject.Spec], _ desired: Desired) -> NFTable

    /// The same table after an amendment of what it is compiled of, changed where that differs.
    ///
    /// - Returns: nil where it takes all of it to say.
    static func amend(_ table: NFTable, _ revision: Revision, _ amendment: Amendment) -> NFTable?

    /// The table that the node should have at this moment: the one that the manifest asks for, adjusted to what is
    /// there. What has the name of a thing of ours and is another's must not feel our rules; what is still there of
    /// ours and is to go must not be without them.
    ///
    /// - Parameters:
    ///   - wanted: what the manifest asks for; nil for no table.
    ///   - seen: what the kernel has, if it is ours.
    /// - Returns: nil for no table.
    func adjusted(
        _ wanted: NFTable?, over seen: NFTable?, _ desired: Desired, at moment: TableMoment
    ) throws(NetlinkError) -> NFTable?

    /// Whether all that the table is adjusted to, but for the table itself, is as it was at the last look.
    func isSettled() throws -> Bool

    /// What a plan tells of the way from one table to the other; at least one is there, and they differ.
    func fields(from seen: NFTable?, to wanted: NFTable?, _ change: NFTableChange) -> [FieldChange]

    /// What it tells of a table that is made.
    func summary(of wanted: NFTable?) -> [FieldChange]
}

/// What a table is adjusted for.
public enum TableMoment: Sendable {
    /// A plan: what it is certain to take away counts as gone.
    case planning
    /// A transaction: what is there counts, whatever is planned.
    case committing
}

/// What the node shows of a table of ours.
public struct TableObservation: Sendable {
    /// The table as the kernel has it, ours or not.
    public let sight: NFOwnedTable.Sight
    /// The table that the node should have at this moment.
    public let adjusted: NFTable?
    /// Whether the node is known to ask for nothing else than the manifest, also when it comes to the deed.
    public var isSettled = false
}

extension TableKind {
    public static var adjustsTo: Set<String> { [Subject.name] }

    public static var sources: Set<String> { [Subject.name] }

    public static func amend(_ table: NFTable, _ revision: Revision, _ amendment: Amendment) -> NFTable? { nil }

    /// Changes the table of a set that was derived before the amendment.
    public static func amend(_ revision: inout Revision, _ amendment: Amendment) -> Bool {
        guard let table = revision.desired.specs(of: Self.self)[resourceName] else { return false }
        guard let amended = amend(table, revision, amendment) else { return false }
        revision.replace(Self.self, resourceName, amended)
        return true
    }

    /// Adds the table to the desired set where it has any subject, and makes each of them stand on it.
    public static var derivation: Derivation {
        Derivation(of: sources, amend: amend) { desired, _ in
            let subjects = desired.specs(of: Subject.self)
            guard !subjects.isEmpty else { return }
            desired.add(Self.self, resourceName, compile(subjects, desired))
            for name in subjects.keys { desired.addReference(from: Subject.id(name), to: id(resourceName)) }
        }
    }

    public static func sharing(_ specs: [String: NFTable], with others: [String: NFTable]) -> [String: NFTable] {
        var specs = specs
        for (name, table) in specs { specs[name] = table.sharing(with: others[name]) }
        return specs
    }

    public func isSettled() throws -> Bool { false }

    public func steps(for changes: [SpecChange<NFTable>]) throws -> [Step<NFTable, TableObservation>]? {
        guard try isSettled() else { return nil }
        var steps: [Step<NFTable, TableObservation>] = []
        for spec in changes {
            // In the ground that nobody has moved, it is what it was compiled to be.
            guard let sight = try owned.look(), sight.isOurs, !sight.lacksProtection, sight.table == spec.before else {
                return nil
            }
            let change = NFTableChange(from: spec.before, to: spec.after)
            steps.append(
                Step(
                    name: spec.name, change: .update(fields(from: spec.before, to: spec.after, change)),
                    spec: spec.after,
                    observation: TableObservation(sight: sight, adjusted: spec.after, isSettled: true)))
        }
        return steps
    }

    public func fields(from seen: NFTable?, to wanted: NFTable?, _ change: NFTableChange) -> [FieldChange] {
        switch change {
        case .none, .delete: []
        case .create: summary(of: wanted)
        case .replace: [FieldChange("rules", from: "changed", to: "as compiled")]
        case .update(let update): update.summary.map { FieldChange($0.subject, to: $0.change) }
        }
    }

    public func summary(of wanted: NFTable?) -> [FieldChange] { [FieldChange("rules", to: "as compiled")] }

    public func observe(_ desired: Desired) async throws -> [String: TableObservation] {
        guard var sight = try owned.look() else { return [:] }
        let wanted = desired.specs(of: Self.self)[Self.resourceName]
        let seen = sight.isOurs ? sight.table : nil
        let adjusted = try adjusted(wanted, over: seen, desired, at: .planning)
        if let adjusted, sight.isOurs { sight = try owned.share(adjusted, with: sight) }
        return [Self.resourceName: TableObservation(sight: sight, adjusted: adjusted)]
    }

    public func diff(name: String, spec: NFTable?, observation: TableObservation?) -> Change {
        let sight = observation?.sight
        if let sight, !sight.isOurs { return spec == nil ? .none : .conflict(reason: owned.conflict) }
        if let observation, observation.adjusted == observation.sight.table {
            guard spec != nil, observation.sight.lacksProtection else { return .none }
            // The rules stay; who may change them does not.
            return .update([FieldChange("protection", from: "none", to: "owned")])
        }
        // Where it is as the manifest asks, it is the node that asks for something else.
        let wanted = sight?.table == spec ? observation?.adjusted : spec
        let change = NFTableChange(from: sight?.table, to: wanted)
        return switch change {
        case .none: .none
        case .create: .create(fields(from: sight?.table, to: wanted, change))
        case .delete: .delete
        case .replace, .update: .update(fields(from: sight?.table, to: wanted, change))
        }
    }

    public func perform(_ steps: [Step<NFTable, TableObservation>], desired: Desired) async -> [StepOutcome] {
        steps.map { step in
            let sight = step.observation?.sight
            let wanted: NFTable?
            do throws(NetlinkError) {
                // The node has changed since the look: what was to go first has gone, or has not.
                wanted = try adjusted(step.spec, over: sight?.table, desired, at: .committing)
            } catch {
                return .failed("\(error)")
            }
            do throws(NFError) {
                try owned.change(from: sight, to: wanted)
                return .done
            } catch {
                return StepOutcome(error)
            }
        }
    }
}

extension StepOutcome {
    /// What came of a step that ended with this error.
    public init(_ error: NFError) {
        switch error {
        case .generationChanged, .unsteady: self = .stale("\(error)")
        case .netlink, .held: self = .failed("\(error)")
        }
    }
}
