internal import Netlink
internal import Rules

/// How a packet gets the conntrack zone of its switch.
///
///     zones      interface -> zone    by which conntrack tells the flows of one switch from those of others
///     stations   interface . MAC      the addresses under which a switch's own bridge takes frames in: for a router
///     vlan-zones interface . VLAN -> zone    likewise for frames that come in with a tag
///
/// A frame from neighbour to neighbour is looked for in the zone both ways. One for a router is so only as who opens a
/// flow: the answers come in by another switch, or have a translated address, and are found without a zone.
struct ZoneRules {
    static let zones = "zones"
    static let stations = "stations"
    static let vlanZones = "vlan-zones"

    private(set) var map = NFSet(zones, key: [.interfaceName], target: .value([.integer]))
    private(set) var own = NFSet(stations, key: [.interfaceName, .etherAddress])
    private(set) var vlans = NFSet(vlanZones, key: [.interfaceName, .integer], target: .value([.integer]))
    /// Whether frames come in with tags at all.
    var isTagged = false

    /// Those of the bridge family.
    var sets: [NFSet] { [map, own] + (isTagged ? [vlans] : []) }

    /// Puts what comes in by an interface into a zone.
    ///
    /// - Parameter bridge: the hardware address of the bridge behind it.
    mutating func add(_ interface: InterfaceName, zone: UInt16, bridge: MACAddress) {
        map.elements[NFKey(.interface(interface))] = .value(NFKey(.zone(zone)))
        own.insert(NFKey(.interface(interface), .mac(bridge)))
    }

    /// Puts what comes in by an interface with a tag into a zone.
    mutating func add(_ interface: InterfaceName, vlan: UInt16, zone: UInt16) {
        vlans.elements[NFKey(.interface(interface), .number(vlan))] = .value(NFKey(.zone(zone)))
    }

    /// Frames with tags are in none of the zones of those without: their VLAN has its own, or none.
    static let tagged: [NFRule] = [
        NFRule(
            Match.isTagged + [
                .meta(.inputInterface, into: 0), HeaderField.vlanTag.load(into: 4), .mask(4, HeaderField.vlanID),
                .map(0, set: vlanZones, into: 0), .setConntrack(.zone, from: 0), .verdict(.accept),
            ], comment: "in a VLAN"),
        NFRule(Match.isTagged + [.verdict(.accept)], comment: "in a VLAN of which nobody asks"),
    ]

    /// For a chain before conntrack (-200).
    static let incoming: [NFRule] = [
        NFRule(
            [
                .meta(.inputInterface, into: 0), HeaderField.etherDestination.load(into: 4),
                .lookup(0, set: stations, isInverted: false), .map(0, set: zones, into: 0),
                .setConntrack(.zone, .original, from: 0), .verdict(.accept),
            ], comment: "for a router"),
        NFRule(
            [.meta(.inputInterface, into: 0), .map(0, set: zones, into: 0), .setConntrack(.zone, from: 0)],
            comment: "for a neighbour"),
    ]

    /// The same for what the node itself sends: its routers' answers, and what it opens.
    static let outgoing: [NFRule] = [
        NFRule(
            [
                .meta(.outputInterface, into: 0), .map(0, set: zones, into: 0),
                .setConntrack(.zone, .original, from: 0),
            ], comment: "from this node")
    ]
}
