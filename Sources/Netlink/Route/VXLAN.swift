internal import CNetlink

/// What the kernel shows of a VXLAN link (IFLA_VXLAN_*), and what a new one is made with.
public struct VXLANAttributes: Hashable, Sendable {
    /// The VXLAN network identifier, 24 bits (RFC 7348 section 5).
    public var vni: UInt32
    /// The source address of what it sends; nil where it has none, and the routes tell.
    public var local: IPAddress?
    /// The UDP port that it listens and sends to.
    public var port: UInt16
    /// Whether it learns from what it receives behind which peer a MAC address is.
    public var isLearning: Bool
    /// Seconds after which what was learned and not seen again is forgotten.
    public var ageing: UInt32
    /// The time to live of the outer header; 0 takes the route's, as the node's own packets do.
    public var timeToLive: UInt8
    /// What becomes of a packet that is too long for the way (IPv4).
    public var fragmentation: Fragmentation
    /// Whether the UDP checksum is computed.
    public var hasChecksum: Bool

    /// IFLA_VXLAN_DF: the bit "don't fragment" of the outer header.
    public enum Fragmentation: UInt8, Sendable {
        case allowed = 0
        /// RFC 7348 section 4.3: tunnel end points must not fragment.
        case forbidden = 1
        /// As in the inner header.
        case inherited = 2
    }

    /// A tunnel as it should be: nothing is fragmented, checksums are computed.
    ///
    /// With a checksum the receiver verifies the outer packet and the inner one in one go, and can merge packets of one
    /// flow; computing it costs little (Documentation/networking/checksum-offloads.rst, "LCO").
    public init(vni: UInt32, local: IPAddress?, port: UInt16, isLearning: Bool) {
        self.vni = vni
        self.local = local
        self.port = port
        self.isLearning = isLearning
        ageing = 300
        timeToLive = 0
        fragmentation = local?.isIPv4 == false ? .allowed : .forbidden
        hasChecksum = true
    }
}

extension VXLANAttributes {
    init(_ attributes: AttributeReader) {
        self.init(vni: 0, local: nil, port: 0, isLearning: false)
        fragmentation = .allowed
        var isWithoutChecksum4 = false
        var isWithoutChecksum6 = false
        for attribute in attributes {
            switch attribute.type {
            case Int(IFLA_VXLAN_ID): vni = attribute.number() ?? 0
            case Int(IFLA_VXLAN_LOCAL), Int(IFLA_VXLAN_LOCAL6): local = attribute.address
            case Int(IFLA_VXLAN_PORT): port = attribute.bigEndian() ?? 0
            case Int(IFLA_VXLAN_LEARNING): isLearning = attribute.number(as: UInt8.self) != 0
            case Int(IFLA_VXLAN_AGEING): ageing = attribute.number() ?? 0
            case Int(IFLA_VXLAN_TTL): timeToLive = attribute.number() ?? 0
            case Int(IFLA_VXLAN_DF):
                fragmentation = attribute.number(as: UInt8.self).flatMap(Fragmentation.init) ?? .allowed
            case Int(IFLA_VXLAN_UDP_CSUM): isWithoutChecksum4 = attribute.number(as: UInt8.self) == 0
            case Int(IFLA_VXLAN_UDP_ZERO_CSUM6_TX): isWithoutChecksum6 = attribute.number(as: UInt8.self) == 1
            default: break
            }
        }
        hasChecksum = local?.isIPv4 == false ? !isWithoutChecksum6 : !isWithoutChecksum4
    }
}

extension MessageWriter {
    /// Makes a VXLAN link, down; EEXIST if the name is taken, or another link has this VNI on this port.
    @discardableResult
    public mutating func createVXLAN(
        _ name: InterfaceName, mac: MACAddress, mtu: UInt32, attributes: VXLANAttributes
    ) -> Int {
        message(UInt16(RTM_NEWLINK), [.create, .exclusive], operation: "create VXLAN link") {
            $0.append(ifinfomsg())
            $0.attribute(Int(IFLA_IFNAME), name.description)
            $0.attribute(Int(IFLA_ADDRESS), bytes: mac.bytes)
            $0.attribute(Int(IFLA_MTU), mtu)
            $0.nested(Int(IFLA_LINKINFO)) {
                $0.attribute(Int(IFLA_INFO_KIND), "vxlan")
                $0.nested(Int(IFLA_INFO_DATA)) { $0.write(attributes) }
            }
        }
    }

    /// Sets on an existing VXLAN link all that can be changed: what it learns, how it ages and sends, and its own
    /// address, which must be of the same family as before. VNI, port and checksum stay as they are.
    @discardableResult
    public mutating func changeVXLAN(_ target: LinkTarget, _ attributes: VXLANAttributes) -> Int {
        message(UInt16(RTM_NEWLINK), operation: "change VXLAN link") {
            $0.append(ifinfomsg(), target)
            $0.nested(Int(IFLA_LINKINFO)) {
                $0.attribute(Int(IFLA_INFO_KIND), "vxlan")
                $0.nested(Int(IFLA_INFO_DATA)) { $0.writeChangeable(attributes) }
            }
        }
    }
}

extension AttributeWriter {
    fileprivate mutating func write(_ vxlan: VXLANAttributes) {
        attribute(Int(IFLA_VXLAN_ID), vxlan.vni)
        attribute(Int(IFLA_VXLAN_PORT), bigEndian: vxlan.port)
        let isIPv4 = vxlan.local?.isIPv4 ?? true
        if isIPv4 {
            attribute(Int(IFLA_VXLAN_UDP_CSUM), UInt8(vxlan.hasChecksum ? 1 : 0))
        } else {
            attribute(Int(IFLA_VXLAN_UDP_ZERO_CSUM6_TX), UInt8(vxlan.hasChecksum ? 0 : 1))
        }
        writeChangeable(vxlan)
    }

    fileprivate mutating func writeChangeable(_ vxlan: VXLANAttributes) {
        if let local = vxlan.local {
            attribute(Int(local.isIPv4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6), bytes: local.bytes)
        }
        attribute(Int(IFLA_VXLAN_LEARNING), UInt8(vxlan.isLearning ? 1 : 0))
        attribute(Int(IFLA_VXLAN_AGEING), vxlan.ageing)
        attribute(Int(IFLA_VXLAN_TTL), vxlan.timeToLive)
        attribute(Int(IFLA_VXLAN_DF), vxlan.fragmentation.rawValue)
    }
}
