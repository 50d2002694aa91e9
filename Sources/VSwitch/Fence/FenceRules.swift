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
    static let known: UInt32 = 0x0800_0000

    /// Whether rules of this kernel can name bridges.
    static let seesBridges = Capabilities.current.has(.bridgeMeta)

    /// - Returns: nil for a family that has nothing to do on such a kernel.
    static func compile(
        _ family: NFTable.Family, _ fenced: Fenced, seesBridges: Bool
    ) -> (sets: [NFSet], chains: [NFChain])? {
        switch (family, seesBridges) {
        case (.bridge, true): ([fenced.portSet, fenced.bridgeSet], [entrance, exit])
        case (.bridge, false): ([fenced.portSet, fenced.stationSet], [marking, crossing, ours, fromNode])
        case (.inet, false): ([fenced.bridgeSet], [toNode])
        case (.arp, false): ([fenced.bridgeSet], [toNodeARP])
        default: nil
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
        rules: [NFRule(Match.cameIn(bySet: "ports") + mark(known), comment: "from a port of ours")])

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
            NFRule(Match.leaves(bySet: "ports") + mark(0) + [.verdict(.accept)], comment: "to a port of ours"),
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
            .drop("from a stranger", isUnmarked),
            NFRule(mark(0), comment: "the mark has done its work"),
        ])

    private static let toNodeARP = NFChain(
        "to-node", hook: NFChain.Hook(.filter, .input, priority: 0),
        rules: [.drop("from a stranger", Match.cameIn(bySet: "bridges") + isUnmarked)])
}

// MARK: The makings of rules

extension FenceRules {
    private static let fromStranger: [NFExpression] = [
        .meta(.inputInterface, into: 0), .lookup(0, set: "ports", isInverted: true),
    ]

    private static let toStranger: [NFExpression] = [
        .meta(.outputInterface, into: 0), .lookup(0, set: "ports", isInverted: true),
    ]

    private static func mark(_ bits: UInt32) -> [NFExpression] {
        [
            .meta(.mark, into: 0), .setBits(0, Match.hostOrder(bits), of: Match.hostOrder(known)),
            .setMeta(.mark, from: 0),
        ]
    }

    private static let isUnmarked: [NFExpression] = [
        .meta(.mark, into: 0), .mask(0, Match.hostOrder(known)), .compare(0, .equal, [0, 0, 0, 0]),
    ]
}
