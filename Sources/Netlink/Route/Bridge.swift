internal import CNetlink

/// What the kernel shows of a bridge (IFLA_BR_*). Times are in hundredths of a second (USER_HZ).
public struct BridgeAttributes: Hashable, Sendable {
    /// How long a port listens and learns before it forwards; matters with STP only.
    public var forwardDelay: UInt32
    /// Whether it takes part in the spanning tree protocol.
    public var isSTPEnabled: Bool
    /// Whether it follows IGMP and MLD.
    public var isMulticastSnooping: Bool
    /// Whether br_netfilter shows what it forwards to the hooks of IPv4 and IPv6, and so to conntrack
    /// (IFLA_BR_NF_CALL_IPTABLES, IFLA_BR_NF_CALL_IP6TABLES). The node's sysctls may ask for it too.
    public var callsNetfilter: Bool
    /// How long what other bridges have said is believed: 6 to 40 s; matters with STP only.
    public var maximumAge: UInt32 = 2000
    /// The first part of its id in a spanning tree.
    public var priority: UInt16 = 32_768
    /// After how long a silence a learned MAC address is forgotten.
    public var ageing: UInt32 = 30_000
    /// How many MAC addresses it learns at most; 0 for no limit, and where the kernel has none (before Linux 6.7).
    public var learnedLimit: UInt32 = 0
    /// Whether it asks for members of multicast groups where nobody else does.
    public var isQuerier = false
    /// The version of its IGMP queries, 2 or 3.
    public var igmpVersion: UInt8 = 2
    /// The version of its MLD queries, 1 or 2.
    public var mldVersion: UInt8 = 1
    /// Whether frames pass between ports of one VLAN only (CONFIG_BRIDGE_VLAN_FILTERING).
    public var filtersVLANs = false
    /// The VLAN in which ports are that come, without a tag; nil for none, and where nothing is filtered.
    public var defaultVLAN: UInt16?
    /// Another bridge is the root of its tree, whose times it has then in place of its own.
    public var followsAnother = false
    /// Its tree changes, and its ageing time is a short one meanwhile.
    public var isChangingTree = false

    /// A bridge that forwards at once and to all: no STP, no delay, no snooping.
    public init(
        forwardDelay: UInt32 = 0, isSTPEnabled: Bool = false, isMulticastSnooping: Bool = false,
        callsNetfilter: Bool = false
    ) {
        self.forwardDelay = forwardDelay
        self.isSTPEnabled = isSTPEnabled
        self.isMulticastSnooping = isMulticastSnooping
        self.callsNetfilter = callsNetfilter
    }
}

extension BridgeAttributes {
    /// IFLA_BR_FDB_MAX_LEARNED of Linux 6.7, which Debian 12's headers do not know yet.
    fileprivate static let learnedLimitType = 49

    init(_ attributes: AttributeReader) {
        self.init()
        var calls: (ipv4: Bool, ipv6: Bool) = (false, false)
        var ids: (root: [UInt8], own: [UInt8]) = ([], [])
        for attribute in attributes {
            let isOn = attribute.number(as: UInt8.self) != 0
            switch attribute.type {
            case Int(IFLA_BR_NF_CALL_IPTABLES): calls.ipv4 = isOn
            case Int(IFLA_BR_NF_CALL_IP6TABLES): calls.ipv6 = isOn
            case Int(IFLA_BR_FORWARD_DELAY): forwardDelay = attribute.number() ?? 0
            case Int(IFLA_BR_MAX_AGE): maximumAge = attribute.number() ?? 0
            case Int(IFLA_BR_PRIORITY): priority = attribute.number() ?? 0
            case Int(IFLA_BR_AGEING_TIME): ageing = attribute.number() ?? 0
            case Int(IFLA_BR_STP_STATE): isSTPEnabled = attribute.number(as: UInt32.self) != 0
            case Int(IFLA_BR_MCAST_SNOOPING): isMulticastSnooping = isOn
            case Int(IFLA_BR_MCAST_QUERIER): isQuerier = isOn
            case Int(IFLA_BR_MCAST_IGMP_VERSION): igmpVersion = attribute.number() ?? 0
            case Int(IFLA_BR_MCAST_MLD_VERSION): mldVersion = attribute.number() ?? 0
            case Int(IFLA_BR_VLAN_FILTERING): filtersVLANs = isOn
            case Int(IFLA_BR_VLAN_DEFAULT_PVID): defaultVLAN = attribute.number().flatMap { $0 == 0 ? nil : $0 }
            case Self.learnedLimitType: learnedLimit = attribute.number() ?? 0
            case Int(IFLA_BR_ROOT_ID): ids.root = attribute.bytes
            case Int(IFLA_BR_BRIDGE_ID): ids.own = attribute.bytes
            case Int(IFLA_BR_TOPOLOGY_CHANGE): isChangingTree = isOn
            default: break
            }
        }
        callsNetfilter = calls.ipv4 && calls.ipv6
        followsAnother = ids.root != ids.own
        // Where nothing is filtered it tells nothing.
        if !filtersVLANs { defaultVLAN = nil }
    }
}

extension AttributeWriter {
    /// All but VLANs.
    mutating func write(_ bridge: BridgeAttributes) {
        attribute(Int(IFLA_BR_STP_STATE), UInt32(bridge.isSTPEnabled ? 1 : 0))
        attribute(Int(IFLA_BR_FORWARD_DELAY), bridge.forwardDelay)
        attribute(Int(IFLA_BR_MAX_AGE), bridge.maximumAge)
        attribute(Int(IFLA_BR_PRIORITY), bridge.priority)
        attribute(Int(IFLA_BR_AGEING_TIME), bridge.ageing)
        attribute(Int(IFLA_BR_MCAST_SNOOPING), UInt8(bridge.isMulticastSnooping ? 1 : 0))
        attribute(Int(IFLA_BR_MCAST_IGMP_VERSION), bridge.igmpVersion)
        attribute(Int(IFLA_BR_MCAST_MLD_VERSION), bridge.mldVersion)
        attribute(Int(IFLA_BR_MCAST_QUERIER), UInt8(bridge.isQuerier ? 1 : 0))
        // A kernel without them reads over these three.
        attribute(BridgeAttributes.learnedLimitType, bridge.learnedLimit)
        attribute(Int(IFLA_BR_NF_CALL_IPTABLES), UInt8(bridge.callsNetfilter ? 1 : 0))
        attribute(Int(IFLA_BR_NF_CALL_IP6TABLES), UInt8(bridge.callsNetfilter ? 1 : 0))
    }
}
