internal import Netlink
internal import Rules

/// The chains of the routers' table, and the rules in them.
enum NATChains {
    /// NF_IP_PRI_NAT_DST: forwarded ports lead inside, whichever of our interfaces the packet came in by.
    static let prerouting = NFChain(
        "prerouting", hook: NFChain.Hook(.nat, .prerouting, priority: -100),
        rules: [true, false].map { isIPv4 in
            NFRule(Match.family(isIPv4: isIPv4) + inside + listener(isIPv4: isIPv4), comment: "forwarded ports")
        })

    /// The same for programs of the node itself.
    static let output = NFChain(
        "output", hook: NFChain.Hook(.nat, .output, priority: -100),
        rules: [true, false].map { isIPv4 in
            NFRule(Match.family(isIPv4: isIPv4) + listener(isIPv4: isIPv4), comment: "forwarded ports, from this node")
        })

    /// NF_IP_PRI_FILTER. A router passes packets on between its own interfaces, and what a forward has led inside; not
    /// to or from other links of the node, which are none of its business.
    static let forward = NFChain(
        "forward", hook: NFChain.Hook(.filter, .forward, priority: 0),
        rules: [
            .accept(
                "within a router",
                [
                    .meta(.inputInterface, into: 0), .meta(.outputInterface, into: 4),
                    .lookup(0, set: "paths", isInverted: false),
                ]),
            .accept("forwarded, and the answers", inside + outside + Match.isForwarded),
            .drop("from a router to elsewhere", inside),
            .drop("from elsewhere to a router", outside),
        ])

    /// Where a packet leaves by the interface that it came in by, the kernel tells the sender a shorter way. Behind a
    /// forward that is a way around the translation.
    static let answers = NFChain(
        "answers", hook: NFChain.Hook(.filter, .output, priority: 0),
        rules: [(true, 5), (false, 137)].map { (isIPv4, redirect) in
            NFRule(
                Match.family(isIPv4: isIPv4) + outside + Match.icmp(isIPv4: isIPv4, type: redirect) + [.verdict(.drop)],
                comment: "no redirects")
        })

    /// NF_IP_PRI_NAT_SRC.
    static func postrouting(_ routers: [RouterSpec]) -> NFChain {
        let hairpins = routers.flatMap { hairpin($0) }
        let legs = Dictionary(grouping: routers.flatMap(\.interfaces), by: \.bridge)
        let translations = routers.flatMap { router in
            router.snat.flatMap { snat -> [NFRule] in
                guard let out = router.interface(on: snat.out.value) else { return [] }
                let isShared = legs[out.bridge, default: []].count > 1
                return isShared ? own(snat, of: router, out: out) : [translation(snat, out: out.bridge)]
            }
        }
        return NFChain(
            "postrouting", hook: NFChain.Hook(.nat, .postrouting, priority: 100), rules: unique(hairpins + translations)
        )
    }

    /// Who is forwarded to a neighbour in its own subnet must seem to be the router: the neighbour would else answer
    /// directly, from an address that was never asked.
    private static func hairpin(_ router: RouterSpec) -> [NFRule] {
        router.interfaces.flatMap { interface in
            interface.addresses.map(\.value.network).compactMap { subnet in
                guard router.forwards.contains(where: { subnet.contains($0.target.value.address) }) else { return nil }
                return NFRule(
                    Match.family(isIPv4: subnet.isIPv4) + Match.leaves(by: interface.bridge) + Match.isForwarded
                        + Match.source(in: subnet) + [.masquerade],
                    comment: "hairpin \(subnet) on \(interface.bridge)")
            }
        }
    }

    private static func translation(_ snat: SourceNAT, out: InterfaceName) -> NFRule {
        let source = snat.source.value
        // Only what was routed has an input interface here (Linux 5.7): br_netfilter names none for what is bridged.
        let conditions = Match.family(isIPv4: source.isIPv4) + inside + Match.leaves(by: out) + Match.source(in: source)
        guard let address = snat.address?.value else {
            return NFRule(conditions + [.masquerade], comment: "masquerade \(source) out of \(out)")
        }
        return NFRule(
            conditions + [
                .immediate(0, address.bytes),
                .nat(.source, isIPv6: !address.isIPv4, address: 0, port: nil),
            ], comment: "snat \(source) out of \(out) to \(address)")
    }

    /// Where other routers are on the switch, too: what came in by an interface of this router's gets this one's
    /// address. The kernel's masquerading would choose among those of all.
    private static func own(_ snat: SourceNAT, of router: RouterSpec, out: RouterInterface) -> [NFRule] {
        let source = snat.source.value
        guard let address = snat.address?.value ?? router.address(on: out, isIPv4: source.isIPv4) else { return [] }
        return router.interfaces.filter { $0.speaks(isIPv4: source.isIPv4) }.map { leg in
            NFRule(
                Match.family(isIPv4: source.isIPv4) + Match.cameIn(by: leg.bridge) + Match.leaves(by: out.bridge)
                    + Match.source(in: source) + [
                        .immediate(0, address.bytes), .nat(.source, isIPv6: !address.isIPv4, address: 0, port: nil),
                    ], comment: "snat \(source) from \(leg.bridge) out of \(out.bridge) to \(address)")
        }
    }

    /// Two addresses of one subnet, or two routers on one switch, give the same rule.
    private static func unique(_ rules: [NFRule]) -> [NFRule] {
        var seen: Set<NFRule> = []
        return rules.filter { seen.insert($0).inserted }
    }

    private static let inside = Match.cameIn(bySet: "interfaces")

    private static let outside = Match.leaves(bySet: "interfaces")

    /// Destination address, protocol and destination port are the key of the map; what it leads to takes their place.
    private static func listener(isIPv4: Bool) -> [NFExpression] {
        // The slot behind the address.
        let next: NFRegister = isIPv4 ? 1 : 4
        return [
            HeaderField.destination(isIPv4: isIPv4).load(into: 0), .meta(.layer4Protocol, into: next),
            HeaderField.destinationPort.load(into: isIPv4 ? 2 : 5),
            .map(0, set: isIPv4 ? "forward4" : "forward6", into: 0),
            .nat(.destination, isIPv6: !isIPv4, address: 0, port: next),
        ]
    }
}

extension RouterSpec {
    /// The router's own address by which it leaves on an interface: the one in the subnet of a next router, if there is
    /// any there, else the first.
    fileprivate func address(on interface: RouterInterface, isIPv4: Bool) -> IPAddress? {
        let own = interface.addresses.map(\.value).filter { $0.isIPv4 == isIPv4 }
        let near = own.first { subnet in routes.contains { subnet.contains($0.gateway.value) } }
        return (near ?? own.first)?.address
    }
}
