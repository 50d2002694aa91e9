internal import Netlink

/// What the node shows of routers, whichever they are: one look.
struct NodeSight: Sendable {
    /// The bridges by name.
    let bridges: [InterfaceName: Link]
    let ipv6: IPv6Forwarding
    /// The routers that have marked each bridge.
    let marks: [InterfaceName: Set<String>]
    /// What is there, put there by whomever: a wish for it is met.
    let present: Set<RouterItem>
    /// What is there and carries our mark: it goes when nobody wants it.
    let ours: Set<RouterItem>
    /// Links with routes from router advertisements; not the bridges of our routers.
    let advertised: [InterfaceName]

    /// - Parameters:
    ///   - wanted: the bridges that the manifest's routers use.
    ///   - assuming: what an older kernel would have; nil for what this one has.
    static func look(
        _ location: NetworkLocation, wanted: Set<InterfaceName>, assuming: IPv6Forwarding? = nil
    ) throws(RouterError) -> NodeSight {
        let listing: Listing
        do throws(NetlinkError) {
            var socket = try location.socket(.route)
            listing = try Listing(&socket)
        } catch {
            throw .netlink(error)
        }
        let marked = Set(listing.marks.keys)
        let others = wanted.intersection(listing.bridges.keys)
        let (ipv6, forwarding) = try location.runSysctl { () throws(IPSettingError) in
            let ipv6: IPv6Forwarding
            if let assuming { ipv6 = assuming } else { ipv6 = try IPv6Forwarding.probe() }
            return (ipv6, try ForwardingSight(marked: marked, others: others, ipv6))
        }
        return NodeSight(
            bridges: listing.bridges, ipv6: ipv6, marks: listing.marks, present: listing.present.union(forwarding.on),
            ours: listing.ours.union(forwarding.ours),
            advertised: listing.advertised.filter { !marked.contains($0) && !wanted.contains($0) })
    }
}

/// What rtnetlink lists.
private struct Listing: Sendable {
    private(set) var bridges: [InterfaceName: Link] = [:]
    private(set) var marks: [InterfaceName: Set<String>] = [:]
    private(set) var present: Set<RouterItem> = []
    private(set) var ours: Set<RouterItem> = []
    private(set) var advertised: [InterfaceName] = []

    /// RTPROT_RA: routes from router advertisements.
    private static let advertisementProtocol: UInt8 = 9

    init(_ socket: inout NetlinkSocket) throws(NetlinkError) {
        let links = try socket.bridges()
        let names = Dictionary(links.map { ($0.index, $0.name) }) { first, _ in first }
        for link in links { note(link) }
        let addresses = try socket.addresses()
        // A kernel before Linux 5.18 keeps no owner of addresses. Then those on bridges that we have marked are ours.
        let keepsOwners = addresses.contains { $0.protocolNumber != 0 }
        for address in addresses {
            guard let bridge = names[address.link] else { continue }
            let isMarked = address.protocolNumber == OwnershipMark.protocolNumber
            let isInferred = !keepsOwners && address.isPermanent && marks[bridge] != nil
            note(.address(bridge, address.prefix), isOurs: isMarked || isInferred)
        }
        for route in try socket.routes(ofProtocol: OwnershipMark.protocolNumber) where !route.isComplex {
            guard let gateway = route.gateway, let link = route.link, let name = names[link] else { continue }
            note(.route(route.destination, via: gateway, name, table: route.table), isOurs: true)
        }
        for rule in try socket.routingRules() where !rule.isComplex {
            if rule.protocolNumber == OwnershipMark.protocolNumber { note(.rule(rule), isOurs: true) }
        }
        let learned = Set(try socket.routes(ofProtocol: Self.advertisementProtocol).compactMap(\.link))
        guard !learned.isEmpty else { return }
        advertised = try socket.links().filter { learned.contains($0.index) }.map(\.name)
    }

    private mutating func note(_ bridge: Link) {
        bridges[bridge.name] = bridge
        for text in bridge.alternativeNames {
            guard let router = RouterMark.router(in: text, of: bridge.name) else { continue }
            marks[bridge.name, default: []].insert(router)
            note(.mark(bridge.name, text), isOurs: true)
        }
    }

    private mutating func note(_ item: RouterItem, isOurs: Bool) {
        present.insert(item)
        if isOurs { ours.insert(item) }
    }
}
