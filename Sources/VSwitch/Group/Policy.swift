internal import Capabilities
internal import Netlink
internal import Reconcile

/// All that a manifest says of groups, and how this kernel tells of connections.
struct Policy: Sendable {
    var groups: [String: GroupSpec] = [:]
    var sets: [String: AddressSetSpec] = [:]
    var state = StateSource.mark
    /// The zones of switches, for a kernel whose bridges have a conntrack: there the bridge's packets get them before
    /// those of IP can.
    var zones: [String: (zone: UInt16, bridge: MACAddress)] = [:]
    /// The ports that are no NICs', with their switches.
    var trunks: [(interface: InterfaceName, switchName: String)] = []

    /// A policy without groups: NICs are open.
    init() {}

    /// The policy of a manifest.
    init(_ desired: Desired) {
        groups = desired.specs(of: GroupKind.self)
        sets = desired.specs(of: AddressSetKind.self)
        // The kernel is asked only where the answer matters.
        if !groups.isEmpty { state = .ofThisKernel }
        guard state == .conntrack else { return }
        let switches = desired.specs(of: SwitchKind.self)
        let numbers = SwitchZones(switches.keys)
        zones = switches.mapValues { (numbers[$0.name], $0.mac) }
        trunks =
            desired.specs(of: UplinkKind.self).values.map { ($0.interface, $0.switchName) }
            + desired.specs(of: OverlayKind.self).values.map { ($0.interface, $0.switchName) }
    }

    /// What puts the packets of these NICs, and of what else is on their switches, into zones; without elements where
    /// the table of `StateKind` does it.
    func zoneRules(_ nics: some Sequence<NICSpec>) -> ZoneRules {
        var rules = ZoneRules()
        guard state == .conntrack else { return rules }
        for (interface, name) in trunks + nics.map({ ($0.interface, $0.switchName) }) {
            guard let network = zones[name] else { continue }
            rules.add(interface, zone: network.zone, bridge: network.bridge)
        }
        return rules
    }
}

/// Where a connection's state comes from in the bridge family.
enum StateSource: Hashable, Sendable {
    /// Conntrack sees bridged frames itself (NF_CONNTRACK_BRIDGE, Linux 5.3).
    case conntrack
    /// br_netfilter shows them to conntrack in the inet family, and the table of `StateKind` writes into the packet's
    /// mark what that says.
    case mark

    static let ofThisKernel: StateSource = Capabilities.current.has(.conntrackBridge) ? .conntrack : .mark
}
