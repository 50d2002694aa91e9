public import Netlink

/// Conditions of rules: expressions that go on only where they hold. Register 0, and for an IPv6 address those behind
/// it up to 3, is theirs.
public enum Match {
    /// NFPROTO_IPV4 is 2, NFPROTO_IPV6 is 10 (linux/netfilter.h).
    public static func family(isIPv4: Bool) -> [NFExpression] {
        [.meta(.layer3Protocol, into: 0), .compare(0, .equal, [isIPv4 ? 2 : 10])]
    }

    /// The bytes of a number in the machine's order, as marks and states of connections are.
    public static func hostOrder(_ number: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number.bigEndian >> (24 - 8 * $0)) }
    }

    /// The number of the protocol behind the IP header and all its extensions.
    public static func layer4(_ number: UInt8) -> [NFExpression] {
        [.meta(.layer4Protocol, into: 0), .compare(0, .equal, [number])]
    }

    public static func udp(_ field: HeaderField, _ port: UInt16) -> [NFExpression] { layer4(17) + field.equals(port) }

    /// A message of ICMP (protocol 1) or of ICMPv6 (protocol 58).
    public static func icmp(isIPv4: Bool, type: UInt8) -> [NFExpression] {
        layer4(isIPv4 ? 1 : 58) + HeaderField.icmpType.equals([type])
    }

    /// The source address lies in a network; of length 0 it is any, and there is nothing to ask.
    public static func source(in network: IPPrefix) -> [NFExpression] {
        address(.source(isIPv4: network.isIPv4), in: network)
    }

    /// The destination address lies in a network.
    public static func destination(in network: IPPrefix) -> [NFExpression] {
        address(.destination(isIPv4: network.isIPv4), in: network)
    }

    private static func address(_ field: HeaderField, in network: IPPrefix) -> [NFExpression] {
        guard network.length > 0 else { return [] }
        var expressions = [field.load(into: 0)]
        if network.length < network.address.bitWidth {
            switch network {
            case .v4(let prefix): expressions.append(.mask(0, prefix.mask.bytes))
            case .v6(let prefix): expressions.append(.mask(0, prefix.mask.bytes))
            }
        }
        return expressions + [.compare(0, .equal, network.address.bytes)]
    }

    /// Conntrack has it in a flow, or related to one.
    public static let isKnown = conntrack(6)

    /// Conntrack can make nothing of it.
    public static let isInvalid = conntrack(1)

    /// NF_CT_STATE_BIT (linux/netfilter/nf_conntrack_common.h): established 2, related 4, invalid 1.
    private static func conntrack(_ states: UInt32) -> [NFExpression] {
        [.conntrack(.state, into: 0), .mask(0, hostOrder(states)), .compare(0, .notEqual, [0, 0, 0, 0])]
    }

    /// The destination of its flow was translated: IPS_DST_NAT (linux/netfilter/nf_conntrack_common.h), bit 5 of a
    /// number in the machine's order.
    public static let isForwarded: [NFExpression] = [
        .conntrack(.status, into: 0), .mask(0, hostOrder(1 << 5)), .compare(0, .notEqual, [0, 0, 0, 0]),
    ]

    /// The frame has a tag of 802.1Q. The kernel takes it off before any rule, and shows it here all the same
    /// (nft_payload_copy_vlan in net/netfilter/nft_payload.c); one of 802.1ad shows another type.
    public static let isTagged: [NFExpression] = HeaderField.etherType.equals(0x8100)

    /// The packet leaves by this interface.
    public static func leaves(by interface: InterfaceName) -> [NFExpression] {
        [.meta(.outputInterface, into: 0), .compare(0, .equal, NFKey(.interface(interface)).bytes)]
    }

    /// It came in by this interface.
    public static func cameIn(by interface: InterfaceName) -> [NFExpression] {
        [.meta(.inputInterface, into: 0), .compare(0, .equal, NFKey(.interface(interface)).bytes)]
    }

    /// It came in by an interface that is in the set.
    public static func cameIn(bySet set: String) -> [NFExpression] {
        [.meta(.inputInterface, into: 0), .lookup(0, set: set, isInverted: false)]
    }

    /// It leaves by an interface that is in the set.
    public static func leaves(bySet set: String) -> [NFExpression] {
        [.meta(.outputInterface, into: 0), .lookup(0, set: set, isInverted: false)]
    }
}

extension NFRule {
    /// Drops what meets all conditions, and counts it.
    public static func drop(_ comment: String, _ conditions: [NFExpression]) -> NFRule {
        NFRule(conditions + [.counter, .verdict(.drop)], comment: comment)
    }

    /// Accepts what meets all conditions.
    public static func accept(_ comment: String, _ conditions: [NFExpression]) -> NFRule {
        NFRule(conditions + [.verdict(.accept)], comment: comment)
    }
}
