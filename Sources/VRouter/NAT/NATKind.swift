public import Netlink
public import Reconcile

/// What routers translate and let pass: one table, changed as one transaction, untouched where it is equal.
///
/// It comes before the routers, so that nothing is forwarded before the rules say what may be.
public struct NATKind: ResourceKind {
    public static let name = "nat"
    /// The one resource of this kind: `nat/inet`.
    public static let resourceName = "inet"

    /// The table as it should be.
    public struct Spec: Equatable, Sendable {
        let table: NFTable
    }

    /// The table as the kernel has it.
    public struct Observation: Sendable {
        let sight: NFOwnedTable.Sight
    }

    private let owned: NFOwnedTable

    /// The table of the network namespace in which the routers are.
    public init(in location: NetworkLocation = .own) {
        owned = NFOwnedTable(in: location, NATTable.family, NATTable.name, mark: NATTable.comment)
    }

    /// Compiles the table from the routers of the desired set, and makes each of them stand on it.
    public static let derivation = Derivation { desired, _ in
        let routers = desired.specs(of: RouterKind.self)
        guard !routers.isEmpty else { return }
        desired.add(NATKind.self, resourceName, Spec(table: NATTable.compile(routers.values)))
        for name in routers.keys { desired.addReference(from: RouterKind.id(name), to: id(resourceName)) }
    }

    public func observe(_ desired: Desired) async throws -> [String: Observation] {
        try owned.look().map { [Self.resourceName: Observation(sight: $0)] } ?? [:]
    }

    public func diff(name: String, spec: Spec?, observation: Observation?) -> Change {
        let seen = observation?.sight
        if let seen, !seen.isOurs { return spec == nil ? .none : .conflict(reason: owned.conflict) }
        let fields = { NATFields.compare(seen?.table, spec?.table) }
        return switch NFTableChange(from: seen?.table, to: spec?.table) {
        case .none: .none
        case .create: .create(fields())
        case .delete: .delete
        case .replace, .elements: .update(fields())
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
