internal import Netlink

/// The chains of the guard: where a port's frame enters, and one chain for each protocol that passes at all.
///
/// Registers 0 to 3 hold the interface name, 4 and 5 a MAC, 6 and on an address: the layout of the sets' keys.
enum GuardChains {
    /// Before br_netfilter (-300 in the bridge family is NF_BR_PRI_NAT_DST_BRIDGED): a spoofed frame reaches nothing.
    static let entry = NFChain(
        "guard", hook: NFChain.Hook(.filter, .prerouting, priority: -300),
        rules: [
            NFRule(
                [port, .lookup(0, set: "ports", isInverted: true), .verdict(.accept)], comment: "not a port of ours"),
            drop("another's MAC", [port, Ether.source(into: 4), .lookup(0, set: "bindm", isInverted: true)]),
            dispatch(EtherType.arp, to: "check_arp"),
            dispatch(EtherType.ipv4, to: "check_ipv4"),
            dispatch(EtherType.ipv6, to: "check_ipv6"),
            drop("neither ARP, IPv4 nor IPv6, or tagged", []),
        ])

    /// RFC 826: sender hardware address at 8, sender protocol address at 14.
    static let arp = NFChain(
        "check_arp",
        rules: [
            drop(
                "not ARP for IPv4 over Ethernet",
                [.payload(.network, offset: 0, length: 6, into: 0), .compare(0, .notEqual, [0, 1, 8, 0, 6, 4])]),
            drop("another's MAC in ARP", [port, ARP.senderMAC(into: 4), .lookup(0, set: "bindm", isInverted: true)]),
            unboundPasses,
            accept(
                "address probe (RFC 5227)",
                [.payload(.network, offset: 14, length: 4, into: 0), .compare(0, .equal, [0, 0, 0, 0])]),
            accept(
                "its own address",
                [
                    port, ARP.senderMAC(into: 4), .payload(.network, offset: 14, length: 4, into: 6),
                    .lookup(0, set: "bind4", isInverted: false),
                ]),
            drop("another's address in ARP", []),
        ])

    static let ipv4 = NFChain(
        "check_ipv4",
        rules: [
            drop("DHCP server", UDP.source(67)),
            unboundPasses,
            accept(
                "DHCP client without an address",
                [.payload(.network, offset: 12, length: 4, into: 0), .compare(0, .equal, [0, 0, 0, 0])]
                    + UDP.source(68) + UDP.destination(67)),
            accept(
                "its own address",
                [
                    port, Ether.source(into: 4), .payload(.network, offset: 12, length: 4, into: 6),
                    .lookup(0, set: "bind4", isInverted: false),
                ]),
            drop("another's IPv4 address", []),
        ])

    static let ipv6 = NFChain(
        "check_ipv6",
        rules: [
            drop("router advertisement", ICMPv6.type(134)),
            drop("redirect", ICMPv6.type(137)),
            drop("DHCPv6 server", UDP.source(547)),
            // Options of neighbour discovery (RFC 4861, 4.6.1) come after the fixed part: 8 bytes of a router
            // solicitation, 24 of a neighbour solicitation or advertisement. A nonce (RFC 3971) may come first.
            drop("another's MAC in a router solicitation", ICMPv6.foreignMAC(type: 133, option: 1, at: 8)),
            drop("another's MAC in a neighbour solicitation", ICMPv6.foreignMAC(type: 135, option: 1, at: 24)),
            drop("another's MAC behind a nonce", ICMPv6.foreignMAC(type: 135, option: 1, at: 32)),
            drop("another's MAC in a neighbour advertisement", ICMPv6.foreignMAC(type: 136, option: 2, at: 24)),
            unboundPasses,
            drop(
                "another's address in a neighbour advertisement",
                ICMPv6.type(136) + ICMPv6.target + [.lookup(0, set: "bind6", isInverted: true)]),
            accept(
                "duplicate address detection of its own address",
                unspecified + ICMPv6.type(135) + ICMPv6.target + [.lookup(0, set: "bind6", isInverted: false)]),
            accept("router solicitation without an address", unspecified + ICMPv6.type(133)),
            accept("multicast listener report without an address", unspecified + ICMPv6.type(143)),
            accept(
                "its own address",
                [
                    port, Ether.source(into: 4), .payload(.network, offset: 8, length: 16, into: 6),
                    .lookup(0, set: "bind6", isInverted: false),
                ]),
            drop("another's IPv6 address", []),
        ])
}

// MARK: The makings of rules

extension GuardChains {
    private static let port = NFExpression.meta(.inputInterface, into: 0)

    private static let unspecified: [NFExpression] = [
        .payload(.network, offset: 8, length: 16, into: 0), .compare(0, .equal, Array(repeating: 0, count: 16)),
    ]

    private static let unboundPasses = NFRule(
        [port, .lookup(0, set: "bound", isInverted: true), .verdict(.accept)], comment: "no addresses were given")

    private static func drop(_ comment: String, _ conditions: [NFExpression]) -> NFRule {
        NFRule(conditions + [.counter, .verdict(.drop)], comment: comment)
    }

    private static func accept(_ comment: String, _ conditions: [NFExpression]) -> NFRule {
        NFRule(conditions + [.verdict(.accept)], comment: comment)
    }

    private static func dispatch(_ etherType: [UInt8], to chain: String) -> NFRule {
        NFRule([
            // From the frame, not `meta protocol`: the kernel takes a tag off before that, and puts it back here.
            .payload(.link, offset: 12, length: 2, into: 0), .compare(0, .equal, etherType), .verdict(.goto(chain)),
        ])
    }
}

/// IEEE 802 numbers of the protocols that pass.
private enum EtherType {
    static let ipv4: [UInt8] = [0x08, 0x00]
    static let arp: [UInt8] = [0x08, 0x06]
    static let ipv6: [UInt8] = [0x86, 0xdd]
}

private enum Ether {
    static func source(into register: NFRegister) -> NFExpression {
        .payload(.link, offset: 6, length: 6, into: register)
    }
}

private enum ARP {
    static func senderMAC(into register: NFRegister) -> NFExpression {
        .payload(.network, offset: 8, length: 6, into: register)
    }
}

private enum UDP {
    static func source(_ port: UInt16) -> [NFExpression] { isUDP + at(0, port) }
    static func destination(_ port: UInt16) -> [NFExpression] { isUDP + at(2, port) }

    private static let isUDP: [NFExpression] = [.meta(.layer4Protocol, into: 0), .compare(0, .equal, [17])]

    private static func at(_ offset: UInt32, _ port: UInt16) -> [NFExpression] {
        [
            .payload(.transport, offset: offset, length: 2, into: 0),
            .compare(0, .equal, [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)]),
        ]
    }
}

private enum ICMPv6 {
    static func type(_ type: UInt8) -> [NFExpression] {
        [
            .meta(.layer4Protocol, into: 0), .compare(0, .equal, [58]),
            .payload(.transport, offset: 0, length: 1, into: 0), .compare(0, .equal, [type]),
        ]
    }

    /// The port, its MAC and the target of a solicitation or advertisement, as a key of `bind6`.
    static let target: [NFExpression] = [
        .meta(.inputInterface, into: 0), .payload(.link, offset: 6, length: 6, into: 4),
        .payload(.transport, offset: 8, length: 16, into: 6),
    ]

    /// A link-layer address option (its length is 1: eight bytes) that names a MAC which is not the port's.
    static func foreignMAC(type: UInt8, option: UInt8, at offset: UInt32) -> [NFExpression] {
        self.type(type) + [
            .payload(.transport, offset: offset, length: 2, into: 0), .compare(0, .equal, [option, 1]),
            .meta(.inputInterface, into: 0), .payload(.transport, offset: offset + 2, length: 6, into: 4),
            .lookup(0, set: "bindm", isInverted: true),
        ]
    }
}
