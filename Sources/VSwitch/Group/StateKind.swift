public import Netlink
public import Reconcile
public import Rules

/// What conntrack knows of the packets of our switches: a zone for the flows of each on which NICs have groups or
/// routers are; and, on kernels whose bridges have no conntrack of their own, what it says of the packets of NICs with
/// groups, for chains of the bridge family.
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
        StateTable.compile(subjects.values.filter { $0.zone != nil })
    }

    /// Gives zones to the switches whose flows conntrack is asked about, lets it see those whose NICs have groups, and
    /// adds the table that does so. It comes after the guard's, which then stands on this one.
    ///
    /// - Parameter joined: for each router the switches that it is on.
    public static func derivation(
        joined: @escaping @Sendable (Desired) -> [[String]] = { _ in [] }
    ) -> Derivation {
        Derivation(of: GuardKind.sources.union(["router"]), amend: NICKind.indifference) { desired, _ in
            let nics = Dictionary(
                grouping: desired.specs(of: NICKind.self).values.filter { !$0.groups.isEmpty }, by: \.switchName)
            let closed = Set(nics.keys)
            let routers = joined(desired)
            let names = closed.union(routers.joined())
            let switches = desired.specs(of: SwitchKind.self)
            let zones = SwitchZones(desired)
            let isLent = !closed.isEmpty && Policy(desired).state == .mark
            var isAny = false
            for name in names {
                guard var spec = switches[name] else { continue }
                spec.isTracked = isLent && closed.contains(name)
                spec.zone = zones[name]
                for nic in nics[name] ?? [] where nic.segment != name {
                    if let vlan = nic.port.vlans?.native { spec.vlanZones[vlan] = zones[nic.segment] }
                }
                for router in routers where router.contains(name) { spec.joined.formUnion(router) }
                let id = SwitchKind.id(name)
                desired.add(
                    SwitchKind.self, name, spec, references: desired.references(of: id), at: desired.position(of: id))
                isAny = true
            }
            guard isAny else { return }
            desired.add(StateKind.self, resourceName, compile(desired.specs(of: SwitchKind.self), desired))
            guard !closed.isEmpty else { return }
            desired.addReference(from: GuardKind.id(GuardKind.resourceName), to: id(resourceName))
        }
    }

    public func adjusted(
        _ wanted: NFTable?, over seen: NFTable?, _ desired: Desired, at moment: TableMoment
    ) throws(NetlinkError) -> NFTable? { wanted }

    public func summary(of wanted: NFTable?) -> [FieldChange] {
        [FieldChange("switches", to: "\(wanted?.sets[ZoneRules.zones]?.elements.count ?? 0)")]
    }
}
