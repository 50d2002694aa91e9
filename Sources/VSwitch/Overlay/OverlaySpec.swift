public import Netlink

/// What joins a switch with those of other nodes: a VXLAN link (RFC 7348) that is a port of its bridge.
public struct OverlaySpec: Hashable, Sendable {
    /// The switch that it joins, which also names it.
    public let switchName: String
    /// The VXLAN network identifier: 1 to 16777215, the same on all nodes.
    public var vni: UInt32
    /// This node's address in the network that joins the nodes, which is called the underlay.
    public var local: IPAddress
    /// The UDP port, the same on all nodes.
    public var port: UInt16
    /// Whether unknown stations are asked for everywhere, and their peers learned from what they send. Else the hosts
    /// of `reach` are all there are.
    public var isLearning: Bool
    /// Whether ARP and neighbour solicitations for hosts of `reach` are answered here, and not sent to the peers.
    public var isSuppressing: Bool
    /// The switch's: the largest packet in bytes, without any Ethernet header.
    public var mtu: UInt32
    /// Whether `mtu` follows from the underlay, and not from the manifest.
    public var isMTUDerived: Bool
    /// Who is behind it.
    public var reach: OverlayReach
    /// The VLANs that it carries, where its switch filters; nil where it does not.
    public var vlans: PortVLANs?

    /// The port that IANA has given to VXLAN.
    public static let standardPort: UInt16 = 4789

    /// An overlay that learns, over an underlay with an MTU of 1500.
    public init(
        switchName: String, vni: UInt32, local: IPAddress, port: UInt16 = standardPort, isLearning: Bool = true,
        isSuppressing: Bool = false, mtu: UInt32? = nil, reach: OverlayReach = OverlayReach()
    ) {
        self.switchName = switchName
        self.vni = vni
        self.local = local
        self.port = port
        self.isLearning = isLearning
        self.isSuppressing = isSuppressing
        self.mtu = mtu ?? 1500 - Self.overhead(isIPv4: local.isIPv4)
        isMTUDerived = mtu == nil
        self.reach = reach
    }

    /// The VXLAN link: "vx-blue", or a hashed form of a longer one.
    public var interface: InterfaceName { .derived(from: "vx-\(switchName)") }

    /// The link's hardware address. Nothing is ever sent from it.
    var mac: MACAddress { .derived(from: "overlay/\(switchName)") }

    /// What a packet of the switch grows by on the underlay: an outer IP header of 20 or 40 bytes, UDP 8, VXLAN 8, and
    /// the Ethernet header of the frame within 14.
    static func overhead(isIPv4: Bool) -> UInt32 { isIPv4 ? 50 : 70 }

    /// The MTU that the underlay needs.
    var underlayMTU: UInt32 { mtu + Self.overhead(isIPv4: local.isIPv4) }

    /// The link as it should be.
    var tunnel: VXLANAttributes { VXLANAttributes(vni: vni, local: local, port: port, isLearning: isLearning) }

    /// The bridge's port as it should be. Where nothing is learned, what is not known is nowhere: it is not flooded.
    var bridgePort: BridgePortAttributes {
        var port = BridgePortAttributes()
        port.isLearning = isLearning
        port.floodsUnicast = isLearning
        port.suppressesNeighbours = isSuppressing
        return port
    }

    /// The entries that the kernel should hold.
    var entries: OverlayEntries { OverlayEntries(reach, isSuppressing: isSuppressing) }
}
