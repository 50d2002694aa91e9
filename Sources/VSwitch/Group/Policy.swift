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
    /// The ports by which frames with tags come in, and what they are in then: VLANs in which NICs have groups.
    var carriers: [(interface: InterfaceName, segments: [UInt16: String])] = []
    /// Uplinks of switches with a bridge for each VLAN: a frame with a tag that comes out of one of them there belongs
    /// to none of these.
    var divided: Set<InterfaceName> = []

    /// A policy without groups: NICs are open.
    init() {}

    /// The policy of a manifest.
    init(_ desired: Desired) {
        groups = desired.specs(of: GroupKind.self)
        sets = desired.specs(of: AddressSetKind.self)
        let switches = desired.specs(of: SwitchKind.self)
        let uplinks = desired.specs(of: UplinkKind.self).values
        for uplink in uplinks {
            if case .bridges = switches[uplink.switchName]?.vlans?.way { divided.insert(uplink.interface) }
        }
        // The kernel is asked only where the answer matters.
        if !groups.isEmpty { state = .ofThisKernel }
        guard state == .conntrack else { return }
        let numbers = SwitchZones(desired)
        zones = switches.mapValues { (numbers[$0.name], $0.mac) }
        trunks =
            uplinks.map { ($0.interface, $0.switchName) }
            + desired.specs(of: OverlayKind.self).values.map { ($0.interface, $0.switchName) }
            + desired.specs(of: VLANPortKind.self).values.map { ($0.interface, $0.switchName) }
        addVLANs(desired, numbers)
    }

    /// The zones of VLANs of switches whose bridge filters.
    private mutating func addVLANs(_ desired: Desired, _ numbers: SwitchZones) {
        let nics = desired.specs(of: NICKind.self).values
        var segments: [String: [UInt16: String]] = [:]
        for nic in nics where !nic.groups.isEmpty && nic.segment != nic.switchName {
            guard let vlan = nic.port.vlans?.native, let network = zones[nic.switchName] else { continue }
            segments[nic.switchName, default: [:]][vlan] = nic.segment
            zones[nic.segment] = (numbers[nic.segment], network.bridge)
        }
        let ports =
            desired.specs(of: UplinkKind.self).values.map { ($0.interface, $0.switchName, $0.vlans) }
            + nics.map { ($0.interface, $0.switchName, $0.port.vlans) }
        for (interface, network, vlans) in ports {
            guard let tagged = vlans?.tagged, !tagged.isEmpty else { continue }
            let known = segments[network, default: [:]].filter { tagged.contains($0.key) }
            carriers.append((interface, known))
        }
    }

    /// What puts the packets of these NICs, and of what else is on their switches, into zones; without elements where
    /// the table of `StateKind` does it.
    func zoneRules(_ nics: some Sequence<NICSpec>) -> ZoneRules {
        var rules = ZoneRules()
        guard state == .conntrack else { return rules }
        for (interface, name) in trunks + nics.map({ ($0.interface, $0.segment) }) {
            guard let network = zones[name] else { continue }
            rules.add(interface, zone: network.zone, bridge: network.bridge)
        }
        for carrier in carriers {
            rules.isTagged = true
            for (vlan, segment) in carrier.segments {
                guard let network = zones[segment] else { continue }
                rules.add(carrier.interface, vlan: vlan, zone: network.zone)
            }
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
