internal import CNetlink

/// How a bridge treats one of its ports (IFLA_BRPORT_*, linux/if_link.h).
public struct BridgePortAttributes: Hashable, Sendable {
    /// Whether the bridge learns from what comes in there which MAC addresses are behind it.
    public var isLearning = true
    /// Whether frames to MAC addresses that the bridge does not know go out there.
    public var floodsUnicast = true
    /// Whether frames to multicast groups go out there.
    public var floodsMulticast = true
    /// Whether broadcasts go out there.
    public var floodsBroadcast = true
    /// Whether the bridge answers ARP and neighbour solicitations for stations behind it, as far as it knows their
    /// addresses, instead of letting the questions out.
    public var suppressesNeighbours = false
    /// Whether it exchanges frames with ports only that are not isolated.
    public var isIsolated = false
    /// Whether frames come in only from MAC addresses that the bridge knows to be there (Linux 5.18).
    public var isLocked = false
    /// Whether it is shut when a spanning tree message comes in there, until its carrier comes back. Only a bridge with
    /// STP on looks at it.
    public var guardsTree = false

    /// A port as the kernel makes it.
    public init() {}
}

extension BridgePortAttributes {
    init(_ attributes: AttributeReader) {
        for attribute in attributes {
            guard let number = attribute.number(as: UInt8.self) else { continue }
            switch attribute.type {
            case Int(IFLA_BRPORT_LEARNING): isLearning = number != 0
            case Int(IFLA_BRPORT_UNICAST_FLOOD): floodsUnicast = number != 0
            case Int(IFLA_BRPORT_MCAST_FLOOD): floodsMulticast = number != 0
            case Int(IFLA_BRPORT_BCAST_FLOOD): floodsBroadcast = number != 0
            case Int(IFLA_BRPORT_NEIGH_SUPPRESS): suppressesNeighbours = number != 0
            case Int(IFLA_BRPORT_ISOLATED): isIsolated = number != 0
            case Int(IFLA_BRPORT_LOCKED): isLocked = number != 0
            case Int(IFLA_BRPORT_GUARD): guardsTree = number != 0
            default: break
            }
        }
    }

    /// Whether the port's state (IFLA_BRPORT_STATE) is BR_STATE_DISABLED, 0 (linux/if_bridge.h).
    static func isDisabled(_ attributes: AttributeReader) -> Bool {
        attributes.first { $0.type == Int(IFLA_BRPORT_STATE) }?.number(as: UInt8.self) == 0
    }
}

extension MessageWriter {
    /// Sets how the bridge treats a link that is its port already; EOPNOTSUPP if it is nobody's.
    @discardableResult
    public mutating func changeBridgePort(_ target: LinkTarget, _ port: BridgePortAttributes) -> Int {
        message(UInt16(RTM_NEWLINK), operation: "change bridge port") {
            $0.append(ifinfomsg(), target)
            $0.nested(Int(IFLA_LINKINFO)) {
                $0.attribute(Int(IFLA_INFO_SLAVE_KIND), "bridge")
                $0.nested(Int(IFLA_INFO_SLAVE_DATA)) { $0.write(port) }
            }
        }
    }
}

extension AttributeWriter {
    fileprivate mutating func write(_ port: BridgePortAttributes) {
        let flags: [(type: Int, isOn: Bool)] = [
            (Int(IFLA_BRPORT_LEARNING), port.isLearning), (Int(IFLA_BRPORT_UNICAST_FLOOD), port.floodsUnicast),
            (Int(IFLA_BRPORT_MCAST_FLOOD), port.floodsMulticast), (Int(IFLA_BRPORT_BCAST_FLOOD), port.floodsBroadcast),
            (Int(IFLA_BRPORT_NEIGH_SUPPRESS), port.suppressesNeighbours),
            (Int(IFLA_BRPORT_ISOLATED), port.isIsolated), (Int(IFLA_BRPORT_LOCKED), port.isLocked),
            (Int(IFLA_BRPORT_GUARD), port.guardsTree),
        ]
        for (type, isOn) in flags { attribute(type, UInt8(isOn ? 1 : 0)) }
    }
}
