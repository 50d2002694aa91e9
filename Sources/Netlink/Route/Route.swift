internal import CNetlink

/// A route as the kernel lists it (RTM_NEWROUTE), or as it is to be.
public struct Route: Hashable, Sendable {
    /// What happens to a packet that takes it.
    public enum Kind: Hashable, Sendable {
        /// To its next hop.
        case unicast
        /// Dropped in silence.
        case blackhole
        /// Refused with an ICMP error.
        case unreachable
        /// Refused with an ICMP error: administratively prohibited.
        case prohibit
        /// The kernel's own kinds: local, broadcast, multicast and so on, by number (RTN_*).
        case other(UInt8)
    }

    /// Where it leads: a network, host bits zero; length 0 is the default route.
    public var destination: IPPrefix
    /// The next hop; nil if the destination is on the link itself.
    public var gateway: IPAddress?
    /// The interface by its index; nil for a blackhole and its kin.
    public var link: Int32?
    /// Lower is preferred; IPv4 counts from 0, IPv6 from 1 (0 stands for 1024 there).
    public var metric: UInt32
    /// The routing table: 254 is the main one.
    public var table: UInt32
    /// Who put it there: `OwnershipMark.protocolNumber` for ours.
    public var protocolNumber: UInt8
    /// The source address for packets of this machine.
    public var preferredSource: IPAddress?
    /// What happens to a packet that takes it.
    public var kind: Kind
    /// RTNH_F_ONLINK: the gateway is on the link although no address of ours says so.
    public var isOnLink = false
    /// Several next hops (RTA_MULTIPATH, RTA_NH_ID) or another form that this type does not hold: never ours.
    public var isComplex = false

    /// The main routing table, RT_TABLE_MAIN.
    public static let mainTable: UInt32 = 254

    /// A route of ours. The destination's host bits are cleared: the kernel refuses them (EINVAL).
    public init(
        to destination: IPPrefix, via gateway: IPAddress? = nil, link: Int32? = nil, metric: UInt32 = 0,
        table: UInt32 = mainTable, preferredSource: IPAddress? = nil, kind: Kind = .unicast
    ) {
        self.destination = destination.network
        self.gateway = gateway
        self.link = link
        self.metric = metric
        self.table = table
        self.preferredSource = preferredSource
        self.kind = kind
        protocolNumber = OwnershipMark.protocolNumber
    }
}

extension Route.Kind {
    init(wire: UInt8) {
        switch Int(wire) {
        case Int(RTN_UNICAST): self = .unicast
        case Int(RTN_BLACKHOLE): self = .blackhole
        case Int(RTN_UNREACHABLE): self = .unreachable
        case Int(RTN_PROHIBIT): self = .prohibit
        default: self = .other(wire)
        }
    }

    var wire: UInt8 {
        switch self {
        case .unicast: UInt8(RTN_UNICAST)
        case .blackhole: UInt8(RTN_BLACKHOLE)
        case .unreachable: UInt8(RTN_UNREACHABLE)
        case .prohibit: UInt8(RTN_PROHIBIT)
        case .other(let number): number
        }
    }
}

extension Route {
    init?(_ message: Message) {
        guard message.type == UInt16(RTM_NEWROUTE), let header = message.header(as: rtmsg.self) else { return nil }
        // RTM_F_CLONED: an entry of the IPv6 route cache, such as a path MTU, which is no route of anybody's.
        guard header.rtm_flags & UInt32(RTM_F_CLONED) == 0 else { return nil }
        let unspecified: IPAddress
        switch Int32(header.rtm_family) {
        case AF_INET: unspecified = .v4(.unspecified)
        case AF_INET6: unspecified = .v6(.unspecified)
        default: return nil
        }
        guard let anywhere = IPPrefix(address: unspecified, length: Int(header.rtm_dst_len)) else { return nil }
        self.init(to: anywhere, table: UInt32(header.rtm_table), kind: Kind(wire: header.rtm_type))
        protocolNumber = header.rtm_protocol
        isOnLink = header.rtm_flags & UInt32(RTNH_F_ONLINK) != 0
        isComplex = header.rtm_src_len != 0 || header.rtm_tos != 0
        for attribute in message.attributes(after: rtmsg.self) { read(attribute, length: Int(header.rtm_dst_len)) }
    }

    private mutating func read(_ attribute: Attribute, length: Int) {
        switch attribute.type {
        case Int(RTA_DST.rawValue):
            guard let address = attribute.address else { return }
            destination = IPPrefix(address: address, length: length) ?? destination
        case Int(RTA_GATEWAY.rawValue): gateway = attribute.address
        case Int(RTA_OIF.rawValue): link = attribute.number()
        case Int(RTA_PRIORITY.rawValue): metric = attribute.number() ?? 0
        case Int(RTA_TABLE.rawValue): table = attribute.number() ?? table
        case Int(RTA_PREFSRC.rawValue): preferredSource = attribute.address
        case Int(RTA_VIA.rawValue), Int(RTA_MULTIPATH.rawValue), Int(RTA_NH_ID.rawValue), Int(RTA_ENCAP.rawValue):
            isComplex = true
        default: break
        }
    }
}

extension NetlinkSocket {
    /// Lists all routes of the socket's namespace: both families, all tables.
    public mutating func routes() throws(NetlinkError) -> [Route] {
        var request = MessageWriter(capacity: 64)
        request.message(UInt16(RTM_GETROUTE), .dump, operation: "list routes") { $0.append(rtmsg()) }
        return try dump(request) { Route($0) }
    }
}

extension MessageWriter {
    /// Adds a route; EEXIST if one with the same destination, metric and table exists.
    @discardableResult
    public mutating func addRoute(_ route: Route) -> Int {
        message(UInt16(RTM_NEWROUTE), [.create, .exclusive], operation: "add route") { $0.write(route) }
    }

    /// Deletes a route: all that it names must match, the protocol number too; ESRCH if there is none.
    @discardableResult
    public mutating func removeRoute(_ route: Route) -> Int {
        message(UInt16(RTM_DELROUTE), operation: "remove route") { $0.write(route) }
    }
}

extension AttributeWriter {
    fileprivate mutating func write(_ route: Route) {
        var header = rtmsg()
        header.rtm_family = UInt8(route.destination.isIPv4 ? AF_INET : AF_INET6)
        header.rtm_dst_len = UInt8(route.destination.length)
        header.rtm_table = route.table < 256 ? UInt8(route.table) : UInt8(RT_TABLE_UNSPEC.rawValue)
        header.rtm_protocol = route.protocolNumber
        header.rtm_type = route.kind.wire
        // A neighbour's address is valid on its link only; the kernel refuses a gateway in a narrower scope.
        let isOnLink = route.gateway == nil && route.kind == .unicast
        header.rtm_scope = UInt8(isOnLink ? RT_SCOPE_LINK.rawValue : RT_SCOPE_UNIVERSE.rawValue)
        if route.isOnLink { header.rtm_flags = UInt32(RTNH_F_ONLINK) }
        append(header)
        if route.destination.length > 0 {
            attribute(Int(RTA_DST.rawValue), bytes: route.destination.address.bytes)
        }
        if let gateway = route.gateway { attribute(Int(RTA_GATEWAY.rawValue), bytes: gateway.bytes) }
        if let link = route.link { attribute(Int(RTA_OIF.rawValue), link) }
        if route.metric != 0 { attribute(Int(RTA_PRIORITY.rawValue), route.metric) }
        if let source = route.preferredSource { attribute(Int(RTA_PREFSRC.rawValue), bytes: source.bytes) }
        attribute(Int(RTA_TABLE.rawValue), route.table)
    }
}
