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
        let sight: NFSight
        let table: NFTable

        var isOurs: Bool { table.comment.hasPrefix(GuardTable.comment) }
    }

    private let location: NetworkLocation

    /// The guard of the network namespace that holds the switches.
    public init(in location: NetworkLocation = .own) { self.location = location }

    /// Compiles the table from the NICs of the desired set, and makes each of them stand on it.
    public static let derivation = Derivation { desired, _ in
        let nics = desired.specs(of: NICKind.self)
        guard !nics.isEmpty else { return }
        desired.add(GuardKind.self, resourceName, Spec(table: GuardTable.compile(nics.values)))
        for name in nics.keys { desired.addReference(from: NICKind.id(name), to: id(resourceName)) }
    }

    public func observe(_ desired: Desired) async throws -> [String: Observation] {
        var socket = try location.socket(.netfilter)
        let sight = try socket.nftablesTable(GuardTable.family, GuardTable.name)
        guard let table = sight.table else { return [:] }
        return [Self.resourceName: Observation(sight: sight, table: table)]
    }

    public func diff(name: String, spec: Spec?, observation: Observation?) -> Change {
        if let observation, !observation.isOurs {
            guard spec != nil else { return .none }
            return .conflict(
                reason: "a table 'bridge \(GuardTable.name)' is there that is not ours; "
                    + "see it with `nft list table bridge \(GuardTable.name)`, then delete or rename it")
        }
        return switch NFTableChange(from: observation?.table, to: spec?.table) {
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
