internal import Netlink
internal import Rules

/// The chains of the guard: where a port's frame enters, and one chain for each protocol that passes at all.
///
/// Registers 0 to 3 hold the interface name, 4 and 5 a MAC, 6 and on an address: the layout of the sets' keys.
enum GuardChains {
    /// Before br_netfilter (-300 in the bridge family is NF_BR_PRI_NAT_DST_BRIDGED): a spoofed frame reaches nothing.
    static func entry(_ trunks: TrunkChains.Parts) -> NFChain {
        NFChain(
            "guard", hook: NFChain.Hook(.filter, .prerouting, priority: -300),
            rules: trunks.early + [
                NFRule(
                    [port, .lookup(0, set: "ports", isInverted: true), .verdict(.accept)],
                    comment: "not a port of ours"),
                .deny("another's MAC", [port, mac, .lookup(0, set: "bindm", isInverted: true)]),
            ] + protocols.map(dispatch) + trunks.late + [.deny("neither ARP, IPv4 nor IPv6, or tagged", [])])
    }

    /// What passes at all, and the chain that checks it.
    static let protocols: [(type: UInt16, chain: String)] = [
        (EtherType.arp, "check_arp"), (EtherType.ipv4, "check_ipv4"), (EtherType.ipv6, "check_ipv6"),
    ]

    static let arp = NFChain(
        "check_arp",
        rules: [
            .deny(
                "not ARP for IPv4 over Ethernet",
                [HeaderField.arpForm.load(into: 0), .compare(0, .notEqual, [0, 1, 8, 0, 6, 4])]),
            .deny(
                "another's MAC in ARP",
                [port, HeaderField.arpSenderMAC.load(into: 4), .lookup(0, set: "bindm", isInverted: true)]),
            unboundPasses,
            .accept("address probe (RFC 5227)", HeaderField.arpSenderAddress.equals([0, 0, 0, 0])),
            .accept(
                "its own address",
                [
                    port, HeaderField.arpSenderMAC.load(into: 4), HeaderField.arpSenderAddress.load(into: 6),
                    .lookup(0, set: "bind4", isInverted: false),
                ]),
            .deny("another's address in ARP", []),
        ])

    static let ipv4 = NFChain(
        "check_ipv4",
        rules: [
            .deny("DHCP server", Match.udp(.sourcePort, 67)),
            unboundPasses,
            .accept(
                "DHCP client without an address",
                HeaderField.source(isIPv4: true).equals([0, 0, 0, 0])
                    + Match.udp(.sourcePort, 68) + Match.udp(.destinationPort, 67)),
            .accept(
                "its own address",
                [
                    port, mac, HeaderField.source(isIPv4: true).load(into: 6),
                    .lookup(0, set: "bind4", isInverted: false),
                ]),
            .deny("another's IPv4 address", []),
        ])

    static let ipv6 = NFChain(
        "check_ipv6",
        rules: [
            .deny("router advertisement", icmpv6(134)),
            .deny("redirect", icmpv6(137)),
            .deny("DHCPv6 server", Match.udp(.sourcePort, 547)),
            // Options of neighbour discovery (RFC 4861, 4.6.1) come after the fixed part: 8 bytes of a router
            // solicitation, 24 of a neighbour solicitation or advertisement. A nonce (RFC 3971) may come first.
            .deny("another's MAC in a router solicitation", foreignMAC(type: 133, option: 1, at: 8)),
            .deny("another's MAC in a neighbour solicitation", foreignMAC(type: 135, option: 1, at: 24)),
            .deny("another's MAC behind a nonce", foreignMAC(type: 135, option: 1, at: 32)),
            .deny("another's MAC in a neighbour advertisement", foreignMAC(type: 136, option: 2, at: 24)),
            unboundPasses,
            .deny(
                "another's address in a neighbour advertisement",
                icmpv6(136) + target + [.lookup(0, set: "bind6", isInverted: true)]),
            .accept(
                "duplicate address detection of its own address",
                unspecified + icmpv6(135) + target + [.lookup(0, set: "bind6", isInverted: false)]),
            .accept("router solicitation without an address", unspecified + icmpv6(133)),
            .accept("multicast listener report without an address", unspecified + icmpv6(143)),
            .accept(
                "its own address",
                [
                    port, mac, HeaderField.source(isIPv4: false).load(into: 6),
                    .lookup(0, set: "bind6", isInverted: false),
                ]),
            .deny("another's IPv6 address", []),
        ])
}

// MARK: The makings of rules

extension GuardChains {
    private static let port = NFExpression.meta(.inputInterface, into: 0)
    private static let mac = HeaderField.etherSource.load(into: 4)

    private static let unspecified = HeaderField.source(isIPv4: false).equals(Array(repeating: 0, count: 16))

    private static let unboundPasses = NFRule.accept(
        "no addresses were given", [port, .lookup(0, set: "bound", isInverted: true)])

    private static func dispatch(_ etherType: UInt16, to chain: String) -> NFRule {
        NFRule(HeaderField.etherType.equals(etherType) + [.verdict(.goto(chain))])
    }

    private static func icmpv6(_ type: UInt8) -> [NFExpression] { Match.icmp(isIPv4: false, type: type) }

    /// The port, its MAC and the target of a solicitation or advertisement, as a key of `bind6`.
    private static let target = [port, mac, HeaderField.neighbourTarget.load(into: 6)]

    /// A link-layer address option (its length is 1: eight bytes) that names a MAC which is not the port's.
    private static func foreignMAC(type: UInt8, option: UInt8, at offset: UInt32) -> [NFExpression] {
        icmpv6(type) + HeaderField(.transport, offset: offset, length: 2).equals([option, 1]) + [
            port, HeaderField(.transport, offset: offset + 2, length: 6).load(into: 4),
            .lookup(0, set: "bindm", isInverted: true),
        ]
    }
}

/// IEEE 802 numbers of the protocols that pass.
private enum EtherType {
    static let ipv4: UInt16 = 0x0800
    static let arp: UInt16 = 0x0806
    static let ipv6: UInt16 = 0x86dd
}

extension NFRule {
    /// Refuses what meets all conditions, counts it, and has it counted for its port.
    static func deny(_ comment: String, _ conditions: [NFExpression]) -> NFRule {
        NFRule(conditions + [.counter, DenialChains.verdict(.guard)], comment: comment)
    }
}
