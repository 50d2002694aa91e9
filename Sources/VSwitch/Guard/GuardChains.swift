internal import Netlink
internal import Rules

/// The chains of the guard: where a port's frame enters, and one chain for each protocol that passes at all.
///
/// Registers 0 to 3 hold the interface name, 4 and 5 a MAC, those behind it an address: the layout of the sets' keys.
/// Some have no MAC. Whether a port is let off a guard is asked last, of what would be refused: others pay
/// nothing for it.
enum GuardChains {
    static func all(_ trunks: TrunkChains.Parts) -> [NFChain] {
        [entry(trunks), arp, ipv4, igmp, ipv6, icmpv6, DiscoveryOptions.chain] + trunks.chains
    }

    /// Before br_netfilter (-300 in the bridge family is NF_BR_PRI_NAT_DST_BRIDGED): a spoofed frame reaches nothing.
    private static func entry(_ trunks: TrunkChains.Parts) -> NFChain {
        NFChain(
            "guard", hook: NFChain.Hook(.filter, .prerouting, priority: -300),
            rules: trunks.early + OwnData.rules + [
                NFRule(
                    [port, .lookup(0, set: "ports", isInverted: true), .verdict(.accept)],
                    comment: "not a port of ours"),
                .deny(.mac, "another's MAC", [port, mac, .lookup(0, set: "bindm", isInverted: true)]),
            ] + protocols.map(dispatch) + trunks.late + [.deny(.ethertype, "neither ARP, IPv4 nor IPv6, or tagged", [])]
        )
    }

    /// What passes at all, and the chain that checks it.
    static let protocols: [(type: UInt16, chain: String)] = [
        (EtherType.arp, "check_arp"), (EtherType.ipv4, "check_ipv4"), (EtherType.ipv6, "check_ipv6"),
    ]

    private static let arp = NFChain(
        "check_arp",
        rules: [
            .deny(
                .arp, "not ARP for IPv4 over Ethernet",
                [HeaderField.arpForm.load(into: 0), .compare(0, .notEqual, [0, 1, 8, 0, 6, 4])]),
            .deny(
                .arp, "another's MAC in ARP",
                [port, HeaderField.arpSenderMAC.load(into: 4), .lookup(0, set: "bindm", isInverted: true)]),
            unboundPasses,
            .accept("address probe (RFC 5227)", HeaderField.arpSenderAddress.equals([0, 0, 0, 0])),
        ] + owned(HeaderField.arpSenderAddress, isIPv4: true, by: HeaderField.arpSenderMAC) + [
            .deny(.arp, "another's address in ARP", [])
        ])

    private static let ipv4 = NFChain(
        "check_ipv4",
        rules: [
            .deny(.dhcp, "DHCP server", Match.udp(.sourcePort, 67)),
            // Some clients take an answer from any port.
            .deny(.dhcp, "to a DHCP client", Match.udp(.destinationPort, 68)),
            NFRule(Match.layer4(2) + [.verdict(.jump("check_igmp"))]),
            pim,
            unboundPasses,
            .accept(
                "DHCP client without an address",
                HeaderField.source(isIPv4: true).equals([0, 0, 0, 0])
                    + Match.udp(.sourcePort, 68) + Match.udp(.destinationPort, 67)),
        ] + owned(HeaderField.source(isIPv4: true), isIPv4: true) + [.deny(.ipv4, "another's IPv4 address", [])])

    private static let ipv6 = NFChain(
        "check_ipv6",
        rules: [
            .deny(.dhcp, "DHCPv6 server", Match.udp(.sourcePort, 547)),
            .deny(.dhcp, "to a DHCPv6 client", Match.udp(.destinationPort, 546)),
            pim,
            NFRule(Match.layer4(58) + [.verdict(.jump("check_icmpv6"))]),
            unboundPasses,
            .accept("duplicate address detection", unspecified + message(135)),
            .accept("router solicitation without an address", unspecified + message(133)),
            .accept("multicast listener report without an address", unspecified + message(143)),
        ] + owned(HeaderField.source(isIPv4: false), isIPv4: false) + [.deny(.ipv6, "another's IPv6 address", [])])

    /// RFC 3376, 4 and RFC 4286, 3.2.1. A message begins with its type, as those of ICMP do.
    private static let igmp = NFChain(
        "check_igmp",
        rules: [
            .deny(.querier, "membership query", HeaderField.icmpType.equals([0x11])),
            .deny(.querier, "multicast router advertisement", HeaderField.icmpType.equals([0x30])),
        ])

    /// RFC 7761, 4.9.
    private static let pim = NFRule.deny(.querier, "PIM", Match.layer4(103))

    private static let icmpv6 = NFChain(
        "check_icmpv6",
        rules: [
            .deny(.ra, "router advertisement", message(134)),
            .deny(.ra, "redirect", message(137)),
            // RFC 3810, 5.1; RFC 4286, 3.2.2.
            .deny(.querier, "multicast listener query", message(130)),
            .deny(.querier, "multicast router advertisement", message(151)),
        ] + [133, 135, 136].map { NFRule(message($0) + [.verdict(.jump(DiscoveryOptions.name))]) } + [
            NFRule(
                [port, .lookup(0, set: "bound", isInverted: true), .verdict(.return)],
                comment: "no addresses were given"),
            .deny(
                .nd, "another's address in a neighbour advertisement",
                message(136) + targetIsForeign),
            .deny(
                .nd, "duplicate address detection of another's",
                unspecified + message(135) + targetIsForeign),
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

    private static func message(_ type: UInt8) -> [NFExpression] { Match.icmp(isIPv4: false, type: type) }

    /// Accepts what has an address of the port's in this field. What is too short for the field has none.
    ///
    /// - Parameter sender: where its MAC is, which has been found to be the port's.
    private static func owned(
        _ field: HeaderField, isIPv4: Bool, by sender: HeaderField = HeaderField.etherSource
    ) -> [NFRule] {
        [
            .accept(
                "its own address",
                [
                    port, sender.load(into: 4), field.load(into: 6),
                    .lookup(0, set: isIPv4 ? "bind4" : "bind6", isInverted: false),
                ])
        ]
            + [
                ("of a network that it is allowed", isIPv4 ? "nets4" : "nets6"),
                ("its own address, from any MAC", isIPv4 ? "free4" : "free6"),
            ].map { .accept($0, [port, field.load(into: 4), .lookup(0, set: $1, isInverted: false)]) }
    }

    private static let targetIsForeign: [NFExpression] = [
        port, mac, HeaderField.neighbourTarget.load(into: 6), .lookup(0, set: "bind6", isInverted: true),
        HeaderField.neighbourTarget.load(into: 4), .lookup(0, set: "nets6", isInverted: true),
        .lookup(0, set: "free6", isInverted: true),
    ]

}

/// IEEE 802 numbers of the protocols that pass.
enum EtherType {
    static let ipv4: UInt16 = 0x0800
    static let arp: UInt16 = 0x0806
    static let ipv6: UInt16 = 0x86dd

    /// A number of two bytes as it is in a header.
    static func bytes(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(truncatingIfNeeded: number)] }
}

extension NFRule {
    /// Refuses what meets all conditions, counts it, and has it counted for its port.
    static func deny(_ reason: DenialReason, _ comment: String, _ conditions: [NFExpression]) -> NFRule {
        NFRule(conditions + [.counter, DenialChains.verdict(reason, .egress)], comment: comment)
    }

    /// The same of ports that are not let off a guard.
    static func deny(_ word: Guard, _ comment: String, _ conditions: [NFExpression]) -> NFRule {
        let isGuarded: [NFExpression] = [
            .meta(.inputInterface, into: 0), .lookup(0, set: word.exceptions, isInverted: true),
        ]
        return deny(.guarded(word), comment, conditions + isGuarded)
    }
}
