internal import Netlink
internal import Rules

/// The options that a NIC's neighbour discovery may have: its own MAC, and a nonce (RFC 4861, 4.6; RFC 3971, 5.3.2).
///
/// Rules cannot walk through options, and a foreign MAC may stand behind any. So each message that passes is one of a
/// few whole layouts, by its length and what is at each place; all others are refused. No extension of IPv6 is before
/// it: none of these messages needs any.
enum DiscoveryOptions {
    static let name = "check_nd"

    private enum Option {
        /// A link-layer address, 1 of the sender and 2 of the target: eight bytes.
        case address(UInt8)
        case nonce
    }

    static let chain = NFChain(
        name, rules: allowed + [.deny(.nd, "another's MAC in neighbour discovery, or options that no NIC needs", [])])

    private static let allowed: [NFRule] = [
        passes("router solicitation", 133, behind: 8, []),
        passes("router solicitation with its MAC", 133, behind: 8, [.address(1)]),
        passes("neighbour solicitation", 135, behind: 24, []),
        passes("neighbour solicitation with its MAC", 135, behind: 24, [.address(1)]),
        passes("neighbour solicitation with a nonce", 135, behind: 24, [.nonce]),
        passes("neighbour solicitation with a nonce and its MAC", 135, behind: 24, [.nonce, .address(1)]),
        passes("neighbour solicitation with its MAC and a nonce", 135, behind: 24, [.address(1), .nonce]),
        passes("neighbour advertisement", 136, behind: 24, []),
        passes("neighbour advertisement with its MAC", 136, behind: 24, [.address(2)]),
    ]

    /// - Parameter fixed: bytes of the message before its options.
    private static func passes(_ comment: String, _ type: UInt8, behind fixed: UInt32, _ options: [Option]) -> NFRule {
        let length = UInt16(fixed) + UInt16(options.count) * 8
        let placed = options.enumerated().flatMap { conditions($1, at: fixed + UInt32($0) * 8) }
        return NFRule(
            Match.icmp(isIPv4: false, type: type) + HeaderField.payloadLength.equals(length) + placed
                + [.verdict(.return)], comment: comment)
    }

    /// The second byte of an option is its length in eight bytes.
    private static func conditions(_ option: Option, at offset: UInt32) -> [NFExpression] {
        switch option {
        case .nonce: HeaderField(.transport, offset: offset, length: 2).equals([14, 1])
        case .address(let type):
            HeaderField(.transport, offset: offset, length: 2).equals([type, 1]) + [
                .meta(.inputInterface, into: 0), HeaderField(.transport, offset: offset + 2, length: 6).load(into: 4),
                .lookup(0, set: "bindm", isInverted: false),
            ]
        }
    }
}
