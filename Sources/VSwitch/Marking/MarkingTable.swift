internal import Netlink
internal import Rules

/// The bridge-family table that writes code points into what NICs send, and puts what leaves by an uplink into the
/// class of its NIC.
///
///     marks      interface -> chain    the NICs that have a code point
///     classes    interface -> class    the NICs that have a guarantee
///     shared     interface             the uplinks whose rate is shared out, and VLAN devices on them
///
/// A chain for each code point in use: a NIC is one element. A packet's congestion bits (RFC 3168) stay as they are.
enum MarkingTable {
    static let family = NFTable.Family.bridge
    static let name = "sdagent-marking"
    /// The ownership mark.
    static let comment = "sdagent marking"

    /// - Parameters:
    ///   - shares: how the rates of uplinks are shared out.
    ///   - others: names that are somebody else's at the moment.
    static func compile(
        _ nics: some Collection<NICSpec>, _ shares: some Collection<ShareSpec>, except others: Set<InterfaceName> = []
    ) -> NFTable {
        let (marking, classing) = (marking(nics, others), classing(shares, others))
        return NFTable(
            family: family, name: name, comment: comment, sets: marking.sets + classing.sets,
            chains: marking.chains + classing.chains)
    }

    /// Nothing where no NIC has a code point.
    private static func marking(
        _ nics: some Collection<NICSpec>, _ others: Set<InterfaceName>
    ) -> (sets: [NFSet], chains: [NFChain]) {
        var marks = NFSet("marks", key: [.interfaceName], target: .verdict)
        var points: Set<CodePoint> = []
        for nic in nics where !others.contains(nic.interface) {
            guard let point = nic.codePoint else { continue }
            points.insert(point)
            marks.elements[NFKey(.interface(nic.interface))] = .verdict(.jump(chain(of: point)))
        }
        guard !points.isEmpty else { return ([], []) }
        // Behind the guard (-300), before all that looks at a packet to decide where it goes.
        let entry = NFChain(
            "marking", hook: NFChain.Hook(.filter, .prerouting, priority: -250),
            rules: [NFRule([.meta(.inputInterface, into: 0), .verdictMap(0, set: marks.name)])])
        let chains = points.sorted { $0.number < $1.number }.map { NFChain(chain(of: $0), rules: rules($0.number)) }
        return ([marks], [entry] + chains)
    }

    /// Nothing where no NIC has a guarantee. What a router sends on comes from the node, not from a port, and has the
    /// class of all others.
    private static func classing(
        _ shares: some Collection<ShareSpec>, _ others: Set<InterfaceName>
    ) -> (sets: [NFSet], chains: [NFChain]) {
        var classes = NFSet("classes", key: [.interfaceName], target: .value([.trafficClass]))
        var shared = NFSet("shared", key: [.interfaceName])
        for share in shares where !share.guarantees.isEmpty {
            for exit in share.exits { shared.insert(NFKey(.interface(exit))) }
            for guarantee in share.guarantees where !others.contains(guarantee.interface) {
                let number = UInt32(RateMark.major) << 16 | UInt32(guarantee.minor)
                classes.elements[NFKey(.interface(guarantee.interface))] = .value(NFKey(.mark(number)))
            }
        }
        guard !classes.elements.isEmpty else { return ([], []) }
        let chain = NFChain(
            "classing", hook: NFChain.Hook(.filter, .forward, priority: 100),
            rules: [
                NFRule(
                    Match.leaves(bySet: shared.name) + [
                        .meta(.inputInterface, into: 0), .map(0, set: classes.name, into: 0),
                        .setMeta(.priority, from: 0),
                    ])
            ])
        return ([classes, shared], [chain])
    }

    private static func chain(of point: CodePoint) -> String { "dscp-\(point)" }

    /// The upper six bits of the second byte of IPv4 (RFC 791), whose checksum is at byte 10; of IPv6 (RFC 8200) the
    /// lower four of the first and the upper two of the second.
    private static func rules(_ number: UInt8) -> [NFRule] {
        [
            rule(0x0800, [0, number << 2], of: [0, 0xfc], checksum: 10),
            rule(0x86dd, [number >> 2, number << 6], of: [0x0f, 0xc0], checksum: nil),
        ]
    }

    private static func rule(_ etherType: UInt16, _ bits: [UInt8], of mask: [UInt8], checksum: UInt32?) -> NFRule {
        NFRule(
            // Behind a tag, where there is one.
            [
                .meta(.etherType, into: 0), .compare(0, .equal, EtherType.bytes(etherType)),
                .payload(.network, offset: 0, length: 2, into: 0), .setBits(0, bits, of: mask),
                .setPayload(.network, offset: 0, length: 2, from: 0, checksum: checksum),
            ])
    }
}
