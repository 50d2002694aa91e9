internal import Netlink
internal import Rules

/// The short way through the guard: data with a MAC and an address of the NIC's, which most frames are.
///
/// It passes at one lookup; what is not found goes the long way. So what the guard refuses for what it carries is not
/// looked for here, and what only a network allows is not found. Functions cost more than comparisons, which the kernel
/// does in place: they come first, and decide.
enum OwnData {
    /// For the guard, before it looks whose port it is.
    static let rules: [NFRule] = [
        .accept(
            "IPv4 of its own, neither UDP, IGMP nor PIM",
            [HeaderField.nextProtocol(isIPv4: true).load(into: 0)]
                + [17, 2, 103].map { .compare(0, .notEqual, [$0]) } + isFound(isIPv4: true)),
        .accept("UDP over IPv4 of its own, not as a DHCP server", datagram(isIPv4: true, server: 67, client: 68)),
        // Anything may be behind an extension of IPv6.
        .accept(
            "TCP over IPv6 of its own", HeaderField.nextProtocol(isIPv4: false).equals([6]) + isFound(isIPv4: false)),
        .accept("UDP over IPv6 of its own, not as a DHCPv6 server", datagram(isIPv4: false, server: 547, client: 546)),
    ]

    /// A fragment but the first has no port: it goes the long way.
    private static func datagram(isIPv4: Bool, server: UInt16, client: UInt16) -> [NFExpression] {
        HeaderField.nextProtocol(isIPv4: isIPv4).equals([17]) + [
            HeaderField.sourcePort.load(into: 0), .compare(0, .notEqual, EtherType.bytes(server)),
            HeaderField.destinationPort.load(into: 0), .compare(0, .notEqual, EtherType.bytes(client)),
        ] + isFound(isIPv4: isIPv4)
    }

    /// A tag has a type of its own, so nothing that has one is found.
    private static func isFound(isIPv4: Bool) -> [NFExpression] {
        HeaderField.etherType.equals(isIPv4 ? EtherType.ipv4 : EtherType.ipv6) + [
            .meta(.inputInterface, into: 0), HeaderField.etherSource.load(into: 4),
            HeaderField.source(isIPv4: isIPv4).load(into: 6),
            .lookup(0, set: isIPv4 ? "bind4" : "bind6", isInverted: false),
        ]
    }
}
