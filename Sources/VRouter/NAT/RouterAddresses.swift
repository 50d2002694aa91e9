internal import Netlink
internal import Rules

/// Which routers answer whom: the kernel takes a packet for any address of the node, whichever link it came in by.
///
/// A router is reached by its own interfaces; and at an address on a switch that it shares with another router, by that
/// one's. These are there where the node has several routers: one alone answers for itself.
///
///     addresses4/6   address               those of all routers
///     answers4/6     interface . address   by which interface which of them is reached
enum RouterAddresses {
    /// NF_IP_PRI_FILTER: what is for the node itself. What is forwarded has another address by then.
    static func chain(_ routers: [RouterSpec]) -> [NFChain] {
        guard routers.count > 1 else { return [] }
        return [
            NFChain(
                "input", hook: NFChain.Hook(.filter, .input, priority: 0),
                rules: [true, false].map { isIPv4 in
                    let address = HeaderField.destination(isIPv4: isIPv4)
                    return .drop(
                        "for a router that is elsewhere",
                        Match.family(isIPv4: isIPv4) + Match.cameIn(bySet: "interfaces") + [
                            address.load(into: 0), .lookup(0, set: addresses(isIPv4), isInverted: false),
                            .meta(.inputInterface, into: 0), address.load(into: 4),
                            .lookup(0, set: answers(isIPv4), isInverted: true),
                        ])
                })
        ]
    }

    static func sets(_ routers: [RouterSpec]) -> [NFSet] {
        guard routers.count > 1 else { return [] }
        let legs = Dictionary(grouping: routers.flatMap(\.interfaces), by: \.bridge)
        return [true, false].flatMap { isIPv4 in
            let field: NFSet.Field = isIPv4 ? .ipv4Address : .ipv6Address
            var all = NFSet(addresses(isIPv4), key: [field])
            var reached = NFSet(answers(isIPv4), key: [.interfaceName, field])
            for router in routers {
                // Its own are among those on its switches.
                let near = router.interfaces.flatMap { legs[$0.bridge] ?? [] }.flatMap(\.addresses).map(\.value.address)
                for address in near where address.isIPv4 == isIPv4 {
                    all.insert(NFKey(.address(address)))
                    for leg in router.interfaces { reached.insert(NFKey(.interface(leg.bridge), .address(address))) }
                }
            }
            return [all, reached]
        }
    }

    private static func addresses(_ isIPv4: Bool) -> String { isIPv4 ? "addresses4" : "addresses6" }

    private static func answers(_ isIPv4: Bool) -> String { isIPv4 ? "answers4" : "answers6" }
}
