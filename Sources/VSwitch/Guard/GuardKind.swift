public import Netlink
public import Reconcile

/// The guard of all NICs: one table, changed as one transaction.
///
/// Every NIC refers to it, so that no port is made whose rules the kernel has refused.
public struct GuardKind: ResourceKind {
    public static let name = "guard"
    /// The one resource of this kind: `guard/bridge`.
    public static let resourceName = "bridge"

    /// The table as it should be.
    public struct Spec: Equatable, Sendable {
        let table: NFTable
    }

    /// The table as the kernel has it.
    public struct Observation: Sendable {
        let sight: NFOwnedTable.Sight
    }

    private let owned: NFOwnedTable

    /// The guard of the network namespace that holds the switches.
    public init(in location: NetworkLocation = .own) {
        owned = NFOwnedTable(in: location, GuardTable.family, GuardTable.name, mark: GuardTable.comment)
    }

    /// Compiles the table from the NICs of the desired set, and makes each of them stand on it.
    public static let derivation = Derivation { desired, _ in
        let nics = desired.specs(of: NICKind.self)
        guard !nics.isEmpty else { return }
        desired.add(GuardKind.self, resourceName, Spec(table: GuardTable.compile(nics.values)))
        for name in nics.keys { desired.addReference(from: NICKind.id(name), to: id(resourceName)) }
    }

    public func observe(_ desired: Desired) async throws -> [String: Observation] {
        try owned.look().map { [Self.resourceName: Observation(sight: $0)] } ?? [:]
    }

    public func diff(name: String, spec: Spec?, observation: Observation?) -> Change {
        let seen = observation?.sight
        if let seen, !seen.isOurs { return spec == nil ? .none : .conflict(reason: owned.conflict) }
        return switch NFTableChange(from: seen?.table, to: spec?.table) {
        case .none: .none
        case .create: .create([FieldChange("ports", to: "\(spec?.table.sets["ports"]?.elements.count ?? 0)")])
        case .delete: .delete
        case .replace: .update([FieldChange("rules", from: "changed", to: "as compiled")])
        case .elements(let changes):
            .update(changes.map { FieldChange($0.set, to: "+\($0.added.count) -\($0.removed.count)") })
        }
    }

    public func perform(_ steps: [Step<Spec, Observation>], desired: Desired) async -> [StepOutcome] {
        steps.map { step in
            do throws(NFError) {
                try owned.change(from: step.observation?.sight, to: step.spec?.table)
                return .done
            } catch {
                switch error {
                case .generationChanged, .unsteady: return .stale("\(error)")
                case .netlink: return .failed("\(error)")
                }
            }
        }
    }
}
