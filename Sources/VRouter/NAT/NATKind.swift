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
        let sight: NFSight
        let table: NFTable

        var isOurs: Bool { table.comment.hasPrefix(NATTable.comment) }
    }

    private let location: NetworkLocation

    /// The table of the network namespace in which the routers are.
    public init(in location: NetworkLocation = .own) { self.location = location }

    /// Compiles the table from the routers of the desired set, and makes each of them stand on it.
    public static let derivation = Derivation { desired, _ in
        let routers = desired.specs(of: RouterKind.self)
        guard !routers.isEmpty else { return }
        desired.add(NATKind.self, resourceName, Spec(table: NATTable.compile(routers.values)))
        for name in routers.keys { desired.addReference(from: RouterKind.id(name), to: id(resourceName)) }
    }

    public func observe(_ desired: Desired) async throws -> [String: Observation] {
        var socket = try location.socket(.netfilter)
        let sight = try socket.nftablesTable(NATTable.family, NATTable.name)
        guard let table = sight.table else { return [:] }
        return [Self.resourceName: Observation(sight: sight, table: table)]
    }

    public func diff(name: String, spec: Spec?, observation: Observation?) -> Change {
        if let observation, !observation.isOurs {
            guard spec != nil else { return .none }
            return .conflict(
                reason: "a table 'inet \(NATTable.name)' is there that is not ours; "
                    + "see it with `nft list table inet \(NATTable.name)`, then delete or rename it")
        }
        let fields = { NATFields.compare(observation?.table, spec?.table) }
        return switch NFTableChange(from: observation?.table, to: spec?.table) {
        case .none: .none
        case .create: .create(fields())
        case .delete: .delete
        case .replace, .elements: .update(fields())
        }
    }

    public func perform(_ steps: [Step<Spec, Observation>], desired: Desired) async -> [StepOutcome] {
        steps.map { step in
            do throws(NFError) {
                try commit(from: step.observation, to: step.spec?.table)
                return .done
            } catch {
                switch error {
                case .generationChanged, .unsteady: return .stale("\(error)")
                case .netlink: return .failed("\(error)")
                }
            }
        }
    }

    private func commit(from seen: Observation?, to wanted: NFTable?) throws(NFError) {
        var socket = try socket()
        // A creation has seen no table, hence no generation with it; a table made meanwhile refuses it (EEXIST).
        let generation: UInt32
        if let seen { generation = seen.sight.generation } else { generation = try socket.nftablesGeneration() }
        try NFTableChange(from: seen?.table, to: wanted)
            .commit(from: seen?.table, to: wanted, generation: generation, on: &socket)
    }

    private func socket() throws(NFError) -> NetlinkSocket {
        do throws(NetlinkError) { return try location.socket(.netfilter) } catch { throw .netlink(error) }
    }
}
