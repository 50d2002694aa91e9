internal import Netlink

/// The chains of the routers' table, and the rules in them.
enum NATChains {
    /// NF_IP_PRI_NAT_DST: forwarded ports lead inside, whichever of our interfaces the packet came in by.
    static let prerouting = NFChain(
        "prerouting", hook: NFChain.Hook(.nat, .prerouting, priority: -100),
        rules: [true, false].map { isIPv4 in
            NFRule(IP.family(isIPv4: isIPv4) + inside + IP.forward(isIPv4: isIPv4), comment: "forwarded ports")
        })

    /// The same for programs of the node itself.
    static let output = NFChain(
        "output", hook: NFChain.Hook(.nat, .output, priority: -100),
        rules: [true, false].map { isIPv4 in
            NFRule(IP.family(isIPv4: isIPv4) + IP.forward(isIPv4: isIPv4), comment: "forwarded ports, from this node")
        })

    /// NF_IP_PRI_FILTER. A router passes packets on between its own interfaces, and what a forward has led inside; not
    /// to or from other links of the node, which are none of its business.
    static let forward = NFChain(
        "forward", hook: NFChain.Hook(.filter, .forward, priority: 0),
        rules: [
            NFRule(
                [
                    .meta(.inputInterface, into: 0), .meta(.outputInterface, into: 4),
                    .lookup(0, set: "paths", isInverted: false), .verdict(.accept),
                ], comment: "within a router"),
            NFRule(inside + outside + forwarded + [.verdict(.accept)], comment: "forwarded, and the answers"),
            NFRule(inside + [.counter, .verdict(.drop)], comment: "from a router to elsewhere"),
            NFRule(outside + [.counter, .verdict(.drop)], comment: "from elsewhere to a router"),
        ])

    /// Where a packet leaves by the interface that it came in by, the kernel tells the sender a shorter way. Behind a
    /// forward that is a way around the translation.
    static let answers = NFChain(
        "answers", hook: NFChain.Hook(.filter, .output, priority: 0),
        rules: [
            NFRule(
                IP.family(isIPv4: true) + outside + IP.icmp(1, type: 5) + [.verdict(.drop)], comment: "no redirects"),
            NFRule(
                IP.family(isIPv4: false) + outside + IP.icmp(58, type: 137) + [.verdict(.drop)], comment: "no redirects"
            ),
        ])

    /// NF_IP_PRI_NAT_SRC.
    static func postrouting(_ routers: [RouterSpec]) -> NFChain {
        let hairpins = routers.flatMap { hairpin($0) }
        let translations = routers.flatMap { router in
            router.snat.compactMap { snat in
                router.interface(on: snat.out.value).map { translation(snat, out: $0.bridge) }
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
                    IP.family(isIPv4: subnet.isIPv4) + IP.leaves(by: interface.bridge) + forwarded
                        + IP.source(in: subnet) + [.masquerade],
                    comment: "hairpin \(subnet) on \(interface.bridge)")
            }
        }
    }

    private static func translation(_ snat: SourceNAT, out: InterfaceName) -> NFRule {
        let source = snat.source.value
        // Only what was routed has an input interface here (Linux 5.7): br_netfilter names none for what is bridged.
        let conditions = IP.family(isIPv4: source.isIPv4) + inside + IP.leaves(by: out) + IP.source(in: source)
        guard let address = snat.address?.value else {
            return NFRule(conditions + [.masquerade], comment: "masquerade \(source) out of \(out)")
        }
        return NFRule(
            conditions + [
                .immediate(0, address.bytes),
                .nat(.source, isIPv6: !address.isIPv4, address: 0, port: nil),
            ], comment: "snat \(source) out of \(out) to \(address)")
    }

    /// Two addresses of one subnet, or two routers on one switch, give the same rule.
    private static func unique(_ rules: [NFRule]) -> [NFRule] {
        var seen: Set<NFRule> = []
        return rules.filter { seen.insert($0).inserted }
    }

    private static let inside: [NFExpression] = [
        .meta(.inputInterface, into: 0), .lookup(0, set: "interfaces", isInverted: false),
    ]

    private static let outside: [NFExpression] = [
        .meta(.outputInterface, into: 0), .lookup(0, set: "interfaces", isInverted: false),
    ]

    /// The connection's destination was translated: IPS_DST_NAT (linux/netfilter/nf_conntrack_common.h), bit 5 of a
    /// number in the machine's order.
    private static let forwarded: [NFExpression] = [
        .conntrack(.status, into: 0),
        .mask(0, (0..<4).map { UInt8(truncatingIfNeeded: UInt32(1 << 5).bigEndian >> (24 - 8 * $0)) }),
        .compare(0, .notEqual, [0, 0, 0, 0]),
    ]
}

/// Expressions on IP headers: RFC 791 and RFC 8200.
private enum IP {
    /// NFPROTO_IPV4 is 2, NFPROTO_IPV6 is 10.
    static func family(isIPv4: Bool) -> [NFExpression] {
        [.meta(.layer3Protocol, into: 0), .compare(0, .equal, [isIPv4 ? 2 : 10])]
    }

    static func leaves(by bridge: InterfaceName) -> [NFExpression] {
        [.meta(.outputInterface, into: 0), .compare(0, .equal, NFKey(.interface(bridge)).bytes)]
    }

    static func source(in network: IPPrefix) -> [NFExpression] {
        guard network.length > 0 else { return [] }
        let count = UInt32(network.address.bytes.count)
        var expressions = [NFExpression.payload(.network, offset: network.isIPv4 ? 12 : 8, length: count, into: 0)]
        if network.length < network.address.bitWidth {
            switch network {
            case .v4(let prefix): expressions.append(.mask(0, prefix.mask.bytes))
            case .v6(let prefix): expressions.append(.mask(0, prefix.mask.bytes))
            }
        }
        return expressions + [.compare(0, .equal, network.address.bytes)]
    }

    /// Destination address, protocol and destination port are the key of the map; what it leads to takes their place.
    static func forward(isIPv4: Bool) -> [NFExpression] {
        if isIPv4 {
            return [
                .payload(.network, offset: 16, length: 4, into: 0), .meta(.layer4Protocol, into: 1),
                .payload(.transport, offset: 2, length: 2, into: 2), .map(0, set: "forward4", into: 0),
                .nat(.destination, isIPv6: false, address: 0, port: 1),
            ]
        }
        return [
            .payload(.network, offset: 24, length: 16, into: 0), .meta(.layer4Protocol, into: 4),
            .payload(.transport, offset: 2, length: 2, into: 5), .map(0, set: "forward6", into: 0),
            .nat(.destination, isIPv6: true, address: 0, port: 4),
        ]
    }

    static func icmp(_ number: UInt8, type: UInt8) -> [NFExpression] {
        [
            .meta(.layer4Protocol, into: 0), .compare(0, .equal, [number]),
            .payload(.transport, offset: 0, length: 1, into: 0), .compare(0, .equal, [type]),
        ]
    }
}
