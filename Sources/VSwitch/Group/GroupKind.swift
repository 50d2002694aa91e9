internal import Capabilities
public import Netlink
public import Reconcile
internal import Rules

/// Security groups. A group is no object of the node: its rules are chains of the bridge table, which `guard/bridge`
/// makes of all groups and NICs at once. It is a resource so that others can refer to it, and so that one whose rules
/// the kernel refuses can say so.
public struct GroupKind: ResourceKind {
    public static let name = "group"
    public static let adjustsTo: Set<String> = [GuardKind.name, RoutedKind.name]

    /// The two that are made of groups.
    private let tables: [NFOwnedTable]

    /// - Parameter ledger: of the namespace in which the NICs are; all kinds of tables share it.
    public init(_ ledger: NFLedger) {
        tables = [
            NFOwnedTable(in: ledger, GuardTable.family, GuardTable.name, mark: GuardTable.comment),
            NFOwnedTable(in: ledger, RoutedTable.family, RoutedTable.name, mark: RoutedTable.comment),
        ]
    }

    public func observe(_ desired: Desired) async throws -> [String: GroupObservation] {
        let groups = desired.specs(of: Self.self)
        guard !groups.isEmpty else { return [:] }
        let seen = try tables.compactMap { try $0.look() }.filter(\.isOurs).map(\.table)
        var option: String?
        if case .missing(let missing) = Capabilities.current[.conntrackNetlink] { option = missing }
        return groups.mapValues { group in
            GroupObservation(
                refusal: seen.lazy.compactMap { GroupClosure.comment(of: group.name, in: $0) }.first.map {
                    GroupClosure.reason(in: $0)
                },
                missingOption: option)
        }
    }

    public func diff(name: String, spec: GroupSpec?, observation: GroupObservation?) -> Change {
        guard let spec else { return .none }
        if let refusal = observation?.refusal {
            return .unsupported(
                reason: "the kernel refuses its rules, and it is closed therefore: \(refusal); "
                    + "a change of the group has it tried again")
        }
        if let option = observation?.missingOption, spec.liveFlows == .reevaluate {
            return .degraded(reason: "flows that it no longer allows go on: that needs kernel option \(option)")
        }
        return .none
    }

    /// Its tables have its rules. What this kernel cannot do of it is for a look to say.
    public func steps(for changes: [SpecChange<GroupSpec>]) -> [Step<GroupSpec, GroupObservation>]? {
        changes.allSatisfy { $0.before.liveFlows == $0.after.liveFlows } ? [] : nil
    }

    public func perform(_ steps: [Step<GroupSpec, GroupObservation>], desired: Desired) async -> [StepOutcome] {
        steps.map { _ in .done }
    }
}

/// What the node shows of a group.
public struct GroupObservation: Hashable, Sendable {
    /// Why the kernel refuses its rules; nil where it does not.
    var refusal: String?
    /// The kernel option without which flows cannot be ended; nil where it is there.
    var missingOption: String?
}
