internal import Netlink
internal import Rules

/// What a router's forward leads back into the switch that it came from.
///
/// The neighbour is to see the router as the sender, or it would answer past it; its groups are to judge who asked.
/// br_netfilter shows the bridge's chains such a packet before its source is translated. Where bridges have conntrack
/// they see it afterwards, so there it is judged in the family inet alone, before that, and marked.
///
///     turns    bridge . bridge    each bridge of NICs with groups, with itself
enum Hairpin {
    /// What is marked has been judged. Nothing is marked by who sends it.
    private static let judged = PacketMark(0x0200_0000)

    static func turns(_ bridges: Set<InterfaceName>) -> NFSet {
        var set = NFSet("turns", key: [.interfaceName, .interfaceName])
        for bridge in bridges { set.insert(NFKey(.interface(bridge), .interface(bridge))) }
        return set
    }

    /// Behind the translation of destinations, before that of sources (100).
    ///
    /// - Parameter judgement: leads each packet to a NIC with groups to these; what they accept goes no further here.
    static func chain(_ judgement: [NFRule]) -> NFChain {
        let isTurned: [NFExpression] = [
            .meta(.inputInterface, into: 0), .meta(.outputInterface, into: 4),
            .lookup(0, set: "turns", isInverted: false),
        ]
        return NFChain(
            "turned", hook: NFChain.Hook(.filter, .postrouting, priority: 90),
            rules: [
                NFRule(judged.isPresent + judged.clear, comment: "of somebody else's"),
                NFRule(isTurned + Match.isForwarded + judged.set, comment: "turned back by a forward"),
            ] + judgement.map { NFRule(judged.isPresent + $0.expressions) } + [
                NFRule(judged.isPresent + judged.clear, comment: "for nobody with groups")
            ])
    }

    /// For who sees it with the router as its source.
    static let passes = NFRule.accept("judged before its source was translated", judged.isPresent + Match.isForwarded)
}
