internal import Netlink
internal import Rules

/// What conntrack knows of the packets of our switches: a zone for each switch on which somebody asks, and what
/// br_netfilter's conntrack says of a packet, written into its mark for the chains of the bridge family.
///
///     zones      bridge -> zone    those whose NICs have groups, or on which routers are
///     stations   bridge . MAC      the addresses of those bridges
///     switches   bridge            those whose packets are marked: no other packet's mark is touched
///
/// The agent uses the bits of `all` and no others.
enum StateTable {
    static let family = NFTable.Family.inet
    static let name = "sdagent-state"
    /// The ownership mark.
    static let comment = "sdagent state"
    static let switches = "switches"

    /// The packet belongs to a connection that was allowed.
    static let established = PacketMark(0x0100_0000)
    /// Conntrack can make nothing of it.
    static let invalid = PacketMark(0x0400_0000)
    /// All bits that are ours.
    private static let all = PacketMark(0x0700_0000)

    static func compile(_ specs: some Sequence<SwitchSpec>) -> NFTable {
        var bridges = NFSet(switches, key: [.interfaceName])
        var zoned = ZoneRules()
        for spec in specs {
            if spec.isTracked { bridges.insert(NFKey(.interface(spec.bridge))) }
            if let zone = spec.zone { zoned.add(spec.bridge, zone: zone, bridge: spec.mac) }
        }
        var sets = [zoned.map, zoned.own]
        var chains = [
            // NF_IP_PRI_RAW.
            NFChain(
                "zones-in", hook: NFChain.Hook(.filter, .prerouting, priority: -300), rules: ZoneRules.incoming),
            NFChain("zones-out", hook: NFChain.Hook(.filter, .output, priority: -300), rules: ZoneRules.outgoing),
        ]
        if !bridges.elements.isEmpty {
            sets.append(bridges)
            chains += [
                chain("prerouting", .prerouting, [.accept("not by a switch", isNot(.inputInterface))]),
                // What a router brings from elsewhere came in by an interface that need not be in the set.
                chain(
                    "forward", .forward,
                    [
                        // Whoever wrote it, it is so.
                        .accept("told of as what it is", all.equals(established) + Match.isKnown),
                        .accept("told of already", Match.cameIn(bySet: switches)),
                        .accept("not to a switch", isNot(.outputInterface)),
                    ]),
                // What the node itself sends to a NIC passes no prerouting: a router's answers, say.
                chain("output", .output, [.accept("not to a switch", isNot(.outputInterface))]),
            ]
        }
        return NFTable(family: family, name: name, comment: comment, sets: sets, chains: chains)
    }

    /// Behind conntrack (-200), before everything that judges. Most packets belong to something: they are done first.
    ///
    /// - Parameter others: lets go what is none of ours.
    private static func chain(_ name: String, _ point: NFChain.Hook.Point, _ others: [NFRule]) -> NFChain {
        NFChain(
            name, hook: NFChain.Hook(.filter, point, priority: -150),
            rules: others + [
                .accept("established or related", Match.isKnown + all.set(to: established)),
                .accept("no part of any connection", Match.isInvalid + all.set(to: invalid)),
                NFRule(all.clear, comment: "known of nothing yet"),
            ])
    }

    private static func isNot(_ interface: NFMeta) -> [NFExpression] {
        [.meta(interface, into: 0), .lookup(0, set: switches, isInverted: true)]
    }
}
