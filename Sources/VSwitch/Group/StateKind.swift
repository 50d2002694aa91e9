public import Netlink
public import Reconcile
public import Rules

/// What conntrack knows of the packets of our switches, for chains of the bridge family: on kernels whose bridges have
/// no conntrack of their own, and only where NICs have groups.
public struct StateKind: TableKind {
    public typealias Subject = SwitchKind

    public static let name = "state"
    /// The one resource of this kind: `state/inet`.
    public static let resourceName = "inet"

    public let owned: NFOwnedTable

    /// The table of the network namespace of the switches.
    ///
    /// - Parameter ledger: of the same namespace; all kinds of tables share it.
    public init(_ ledger: NFLedger) {
        owned = NFOwnedTable(in: ledger, StateTable.family, StateTable.name, mark: StateTable.comment)
    }

    public static func compile(_ subjects: [String: SwitchSpec], _ desired: Desired) -> NFTable {
        StateTable.compile(subjects.values.filter(\.isTracked))
    }

    /// Lets conntrack see the switches whose NICs have groups, and adds the table that tells what it saw. It comes
    /// after the guard's, which then stands on this one.
    public static let derivation = Derivation { desired, _ in
        let closed = desired.specs(of: NICKind.self).values.filter { !$0.groups.isEmpty }
        guard !closed.isEmpty, Policy(desired).state == .mark else { return }
        let switches = desired.specs(of: SwitchKind.self)
        for name in Set(closed.map(\.switchName)) {
            guard var spec = switches[name] else { continue }
            spec.isTracked = true
            let id = SwitchKind.id(name)
            desired.add(
                SwitchKind.self, name, spec, references: desired.references(of: id), at: desired.position(of: id))
        }
        desired.add(StateKind.self, resourceName, compile(desired.specs(of: SwitchKind.self), desired))
        desired.addReference(from: GuardKind.id(GuardKind.resourceName), to: id(resourceName))
    }

    public func adjusted(
        _ wanted: NFTable?, over seen: NFTable?, _ desired: Desired, at moment: TableMoment
    ) throws(NetlinkError) -> NFTable? { wanted }

    public func fields(from seen: NFTable?, to wanted: NFTable?, _ change: NFTableChange) -> [FieldChange] {
        let count = wanted?.sets[StateTable.switches]?.elements.count ?? 0
        return switch change {
        case .none, .delete: []
        case .create: [FieldChange("switches", to: "\(count)")]
        case .replace, .update: [FieldChange("rules", from: "changed", to: "as compiled")]
        }
    }
}
