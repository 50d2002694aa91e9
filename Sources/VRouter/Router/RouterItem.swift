internal import Netlink

/// One thing that a router is made of on the node. Routers are compared item by item: what is wanted and not there is
/// added, what is there, ours and not wanted is taken away.
enum RouterItem: Hashable, Sendable {
    /// A further name of a bridge that says which router uses it: what a router was called outlives the manifest.
    case mark(InterfaceName, String)
    case address(InterfaceName, IPPrefix)
    /// Packets that come in by the bridge may leave by another link.
    case forwarding(InterfaceName, isIPv4: Bool)
    /// The node's own switch for IPv6 forwarding, on kernels that have no other (before Linux 6.17).
    case nodeForwarding
    case route(IPPrefix, via: IPAddress, InterfaceName, table: UInt32)
    case rule(RoutingRule)

    /// Whether a person asked for it in so many words.
    var isProminent: Bool {
        switch self {
        case .address(_, .v6(let prefix)): !prefix.address.isLinkLocal
        case .address, .route: true
        case .mark, .forwarding, .nodeForwarding, .rule: false
        }
    }

    /// The link it is on, where there is one.
    var interface: InterfaceName? {
        switch self {
        case .mark(let name, _), .address(let name, _), .forwarding(let name, _), .route(_, _, let name, _): name
        case .rule(let rule): rule.inputInterface
        case .nodeForwarding: nil
        }
    }

    /// The router's own table, where it names one.
    var table: UInt32? {
        switch self {
        case .route(_, _, _, let table): table
        case .rule(let rule): rule.table == Route.mainTable ? nil : rule.table
        case .mark, .address, .forwarding, .nodeForwarding: nil
        }
    }

    /// What it is, for a plan.
    var field: String {
        switch self {
        case .mark(let name, _): "mark of \(name)"
        case .address(let name, _): "address on \(name)"
        case .forwarding(let name, let isIPv4): "\(isIPv4 ? "IPv4" : "IPv6") forwarding from \(name)"
        case .nodeForwarding: "IPv6 forwarding of the node"
        case .route(let destination, _, _, _): "route to \(Self.text(destination))"
        case .rule(let rule): "rule \(rule.priority)"
        }
    }

    /// Its value, for a plan.
    var text: String {
        switch self {
        case .mark(_, let name): name
        case .address(_, let prefix): "\(prefix)"
        case .forwarding, .nodeForwarding: "on"
        case .route(_, let gateway, let name, _): "via \(gateway) on \(name)"
        case .rule(let rule):
            "from \(rule.source?.description ?? rule.inputInterface?.description ?? "all") look up \(rule.table)"
        }
    }

    /// What a message to the kernel is about.
    var subject: String {
        switch self {
        case .mark(let name, let text): "\(name) (\(text))"
        case .address(let name, let prefix): "\(prefix) on \(name)"
        case .route(let destination, _, _, _): "to \(Self.text(destination)) \(text)"
        case .rule(let rule): "\(rule.priority) (\(text))"
        case .forwarding, .nodeForwarding: field
        }
    }

    private static func text(_ destination: IPPrefix) -> String {
        destination.length > 0 ? "\(destination)" : destination.isIPv4 ? "default" : "default (IPv6)"
    }
}

/// The further name of a bridge that a router uses: `sdagent.router.NAME.BRIDGE`, within the 127 bytes of Linux 5.5.
enum RouterMark {
    private static let prefix = "sdagent.router."

    static func text(router: String, bridge: InterfaceName) -> String { "\(prefix)\(router).\(bridge)" }

    /// The routers that have marked a bridge.
    static func routers(of bridge: Link) -> Set<String> {
        Set(bridge.alternativeNames.compactMap { router(in: $0, of: bridge.name) })
    }

    /// The router's name in such a name of a bridge; nil where the name is no mark.
    ///
    /// A bridge that was renamed keeps its marks. Both names in one may hold dots, so the router's is then a guess, for
    /// the plan's text alone.
    static func router(in text: String, of bridge: InterfaceName) -> String? {
        guard text.hasPrefix(prefix) else { return nil }
        let names = text.dropFirst(prefix.count)
        let suffix = ".\(bridge)"
        let name =
            names.hasSuffix(suffix)
            ? names.dropLast(suffix.count) : names[..<(names.lastIndex(of: ".") ?? names.startIndex)]
        return name.isEmpty ? nil : String(name)
    }
}

/// The routing table of a router, for what leads further than its own subnets.
enum RouterTable {
    /// The same on every look: from 201,000,000 on, by the name.
    static func number(of router: String) -> UInt32 {
        201_000_000 + UInt32(StableHash("router/\(router)").value % 1_000_000)
    }

    /// Of the rules by interface and by address; each is a pair, with the next number for the second.
    static let priority: UInt32 = 20_100
    /// Of the rules by subnet.
    static let subnetPriority: UInt32 = 20_102
}
