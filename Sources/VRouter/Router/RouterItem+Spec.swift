internal import Netlink

extension RouterSpec {
    /// Everything that the router is made of.
    func items(_ ipv6: IPv6Forwarding) -> Set<RouterItem> {
        var items: Set<RouterItem> = []
        for interface in interfaces { insert(interface, ipv6, into: &items) }
        for isIPv4 in [true, false] { insertRoutes(isIPv4: isIPv4, into: &items) }
        return items
    }

    private func insert(_ interface: RouterInterface, _ ipv6: IPv6Forwarding, into items: inout Set<RouterItem>) {
        let bridge = interface.bridge
        items.insert(.mark(bridge, RouterMark.text(router: name, bridge: bridge)))
        for address in interface.addresses { items.insert(.address(bridge, address.value)) }
        if interface.speaks(isIPv4: true) { items.insert(.forwarding(bridge, isIPv4: true)) }
        guard interface.speaks(isIPv4: false) else { return }
        items.insert(.forwarding(bridge, isIPv4: false))
        if ipv6 == .wholeNode { items.insert(.nodeForwarding) }
        // Bridges form none by themselves, and without one the kernel asks for no neighbour on behalf of others
        // (ndisc_solicit): the one that would belong to the bridge's MAC.
        let linkLocal = IPv6Address.linkLocal(of: interface.mac ?? .derived(from: "switch/\(interface.switchName)"))
        if let prefix = IPv6Prefix(address: linkLocal, length: 64) { items.insert(.address(bridge, .v6(prefix))) }
    }

    /// The router's routes are in a table of its own, so that a default route of a router is none of the node's.
    ///
    /// That table is looked into for packets that come in by the router's interfaces, and for those that leave from its
    /// own addresses: its answers. Those from its subnets come last, for two routers may share one. They are the
    /// kernel's question behind rp_filter: by which way would the answer to this packet leave?
    private func insertRoutes(isIPv4: Bool, into items: inout Set<RouterItem>) {
        let routes = routes.filter { $0.destination.value.isIPv4 == isIPv4 }
        guard !routes.isEmpty else { return }
        let table = RouterTable.number(of: name)
        for route in routes {
            let out = route.out.map { interface(on: $0.value) } ?? interface(reaching: route.gateway.value)
            guard let out else { continue }
            items.insert(.route(route.destination.value, via: route.gateway.value, out.bridge, table: table))
        }
        for interface in interfaces where interface.speaks(isIPv4: isIPv4) {
            items.formUnion(rules(isIPv4, RouterTable.priority, interface: interface.bridge))
            for address in interface.addresses.map(\.value) where address.isIPv4 == isIPv4 {
                items.formUnion(rules(isIPv4, RouterTable.priority, source: IPPrefix(host: address.address)))
                items.formUnion(rules(isIPv4, RouterTable.subnetPriority, source: address.network))
            }
        }
    }

    /// The main table first, but for its default routes, which are the node's own business; then the router's.
    private func rules(
        _ isIPv4: Bool, _ priority: UInt32, interface: InterfaceName? = nil, source: IPPrefix? = nil
    ) -> [RouterItem] {
        [
            .rule(
                RoutingRule(
                    isIPv4: isIPv4, priority: priority, inputInterface: interface, source: source,
                    table: Route.mainTable, suppressedLength: 0)),
            .rule(
                RoutingRule(
                    isIPv4: isIPv4, priority: priority + 1, inputInterface: interface, source: source,
                    table: RouterTable.number(of: name))),
        ]
    }
}
