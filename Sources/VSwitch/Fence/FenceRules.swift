internal import Capabilities
internal import Netlink
internal import Rules

/// The chains of the fence.
///
///     ports      interface   NICs, uplinks and overlays of ours
///     bridges    interface   those of our switches
///     stations   MAC         the addresses of those bridges, from which the node itself sends
enum FenceRules {
    /// Set on what comes from a port of ours, on its way to the node; taken off before anybody else sees it.
    private static let known = PacketMark(0x0800_0000)

    /// Whether rules of this kernel can name bridges.
    static let seesBridges = Capabilities.current.has(.bridgeMeta)

    static func compile(
        _ position: FencePosition, _ fenced: Fenced, seesBridges: Bool
    ) -> (sets: [NFSet], chains: [NFChain]) {
        switch position {
        case .bridge where seesBridges: ([fenced.portSet, fenced.bridgeSet], [entrance, exit])
        case .bridge: ([fenced.portSet, fenced.stationSet], [marking, crossing, ours, fromNode])
        case .host: ([fenced.bridgeSet], [toNode])
        case .arp: ([fenced.bridgeSet], [toNodeARP])
        }
    }

    // MARK: Where rules name bridges

    /// Before the guard (-300): a stranger reaches nothing.
    private static let entrance = NFChain(
        "entrance", hook: NFChain.Hook(.filter, .prerouting, priority: -310),
        rules: [
            .drop(
                "from a stranger",
                [.meta(.inputBridge, into: 0), .lookup(0, set: "bridges", isInverted: false)] + fromStranger)
        ])

    /// Behind all that judges: NF_BR_PRI_LAST is far from here.
    private static let exit = NFChain(
        "exit", hook: NFChain.Hook(.filter, .postrouting, priority: 20),
        rules: [
            .drop(
                "to a stranger",
                [.meta(.outputBridge, into: 0), .lookup(0, set: "bridges", isInverted: false)] + toStranger)
        ])

    // MARK: Where they name ports only

    private static let marking = NFChain(
        "marking", hook: NFChain.Hook(.filter, .prerouting, priority: -310),
        rules: [NFRule(Match.cameIn(bySet: "ports") + known.set, comment: "from a port of ours")])

    /// What passes between two ports. A foreign bridge has none of ours, so its frames go by.
    private static let crossing = NFChain(
        "crossing", hook: NFChain.Hook(.filter, .forward, priority: -200),
        rules: [
            NFRule(Match.cameIn(bySet: "ports") + [.verdict(.goto("ours"))], comment: "from a port of ours"),
            .drop("from a stranger", Match.leaves(bySet: "ports")),
        ])

    private static let ours = NFChain(
        "ours",
        rules: [
            NFRule(Match.leaves(bySet: "ports") + known.clear + [.verdict(.accept)], comment: "to a port of ours"),
            .drop("to a stranger", []),
        ])

    private static let fromNode = NFChain(
        "from-node", hook: NFChain.Hook(.filter, .output, priority: -200),
        rules: [
            .accept("to a port of ours", Match.leaves(bySet: "ports")),
            .drop(
                "to a stranger",
                [HeaderField.etherSource.load(into: 0), .lookup(0, set: "stations", isInverted: false)]),
        ])

    /// Before conntrack and its zones (-300). br_netfilter shows bridged frames here too; then the mark has done its
    /// work just as well.
    private static let toNode = NFChain(
        "to-node", hook: NFChain.Hook(.filter, .prerouting, priority: -350),
        rules: [
            .accept(
                "not by a bridge of ours",
                [
                    .meta(.inputInterface, into: 0), .lookup(0, set: "bridges", isInverted: true),
                ]),
            .drop("from a stranger", known.isAbsent),
            NFRule(known.clear, comment: "the mark has done its work"),
        ])

    private static let toNodeARP = NFChain(
        "to-node", hook: NFChain.Hook(.filter, .input, priority: 0),
        rules: [.drop("from a stranger", Match.cameIn(bySet: "bridges") + known.isAbsent)])
}

// MARK: The makings of rules

extension FenceRules {
    private static let fromStranger: [NFExpression] = [
        .meta(.inputInterface, into: 0), .lookup(0, set: "ports", isInverted: true),
    ]

    private static let toStranger: [NFExpression] = [
        .meta(.outputInterface, into: 0), .lookup(0, set: "ports", isInverted: true),
    ]
}
