internal import Netlink

/// The inet-family table of all routers: what is translated, and what may pass between which interfaces.
///
/// Ports that are forwarded are elements of two maps; a rule exists for each `snat` and for each subnet that forwards
/// lead into. Every rule names our interfaces: other people's packets see nothing of it, and packets that br_netfilter
/// lends to the hooks while they are merely bridged are left as they are.
///
///     interfaces   interface                      the bridges that routers are on
///     paths        interface . interface          from where to where a router may pass packets on
///     forward4/6   address . protocol . port      the address and port that a forwarded one leads to
///
/// `RouterAddresses` tells of what there is besides where there are several.
enum NATTable {
    static let family = NFTable.Family.inet
    static let name = "sdagent"
    /// The ownership mark.
    static let comment = "sdagent nat"

    /// - Parameter shutting: further bridges, which pass nothing on.
    static func compile(_ routers: some Collection<RouterSpec>, shutting: Set<InterfaceName> = []) -> NFTable {
        let routers = routers.sorted { $0.name < $1.name }
        var interfaces = NFSet("interfaces", key: [.interfaceName])
        var paths = NFSet("paths", key: [.interfaceName, .interfaceName])
        for router in routers {
            for from in router.interfaces.map(\.bridge) {
                interfaces.insert(NFKey(.interface(from)))
                for to in router.interfaces.map(\.bridge) { paths.insert(NFKey(.interface(from), .interface(to))) }
            }
        }
        for bridge in shutting { interfaces.insert(NFKey(.interface(bridge))) }
        var forward4 = NFSet(
            "forward4", key: [.ipv4Address, .internetProtocol, .port], target: .value([.ipv4Address, .port]))
        var forward6 = NFSet(
            "forward6", key: [.ipv6Address, .internetProtocol, .port], target: .value([.ipv6Address, .port]))
        for forward in routers.flatMap(\.forwards) {
            if forward.listen.value.isIPv4 {
                insert(forward, into: &forward4)
            } else {
                insert(forward, into: &forward6)
            }
        }
        return NFTable(
            family: family, name: name, comment: comment,
            sets: [interfaces, paths, forward4, forward6] + RouterAddresses.sets(routers),
            chains: [
                NATChains.prerouting, NATChains.output, NATChains.forward, NATChains.answers,
                NATChains.postrouting(routers),
            ] + RouterAddresses.chain(routers))
    }

    private static func insert(_ forward: PortForward, into map: inout NFSet) {
        let target = forward.target.value.address
        for (offset, port) in (forward.ports.value.first...forward.ports.value.last).enumerated() {
            let key = NFKey(.address(forward.listen.value), .byte(forward.transport.number), .port(port))
            // The sum is checked where the forward is read.
            let leads = forward.firstTargetPort &+ UInt16(truncatingIfNeeded: offset)
            map.elements[key] = .value(NFKey(.address(target), .port(leads)))
        }
    }
}
