internal import Netlink

/// What this kernel has to switch IPv6 forwarding on with.
enum IPv6Forwarding: Hashable, Sendable {
    /// net.ipv6.conf.NAME.force_forwarding: the interface alone (Linux 6.17).
    case perInterface
    /// net.ipv6.conf.all.forwarding alone: for the whole node, or not at all.
    case wholeNode
    /// The kernel has no IPv6.
    case absent

    /// Call it where the router is.
    static func probe() throws(IPSettingError) -> IPv6Forwarding {
        guard try IPSetting.read(IPSetting.path(isIPv4: false, "all", "forwarding")) != nil else { return .absent }
        let force = try IPSetting.read(IPSetting.path(isIPv4: false, "all", "force_forwarding"))
        return force == nil ? .wholeNode : .perInterface
    }
}

/// What the node's forwarding switches show. All calls are made where the router is.
struct ForwardingSight: Sendable {
    /// Items that are switched on, by whomever.
    private(set) var on: Set<RouterItem> = []
    /// Those of them that we have switched on.
    private(set) var ours: Set<RouterItem> = []

    /// - Parameters:
    ///   - marked: the bridges that some router of ours uses; only there a switch can be ours.
    ///   - others: further bridges to look at.
    init(marked: Set<InterfaceName>, others: Set<InterfaceName>, _ ipv6: IPv6Forwarding) throws(IPSettingError) {
        let default4 = try IPSetting.read(IPSetting.path(isIPv4: true, "default", "forwarding"))
        let default6 = try IPSetting.read(IPSetting.path(isIPv4: false, "default", "forwarding"))
        for bridge in marked.union(others) {
            let name = bridge.description
            if try IPSetting.read(IPSetting.path(isIPv4: true, name, "forwarding")) == 1 {
                note(.forwarding(bridge, isIPv4: true), isOurs: marked.contains(bridge) && default4 != 1)
            }
            guard ipv6 != .absent else { continue }
            let isRouter = try IPSetting.read(IPSetting.path(isIPv4: false, name, "forwarding")) == 1
            let isForced = try IPSetting.read(IPSetting.path(isIPv4: false, name, "force_forwarding")) == 1
            let item = RouterItem.forwarding(bridge, isIPv4: false)
            let isOurs = marked.contains(bridge) && (isForced || isRouter && default6 != 1)
            if isRouter, isForced || ipv6 == .wholeNode { on.insert(item) }
            if isOurs { ours.insert(item) }
        }
        // The kernel sets `default` with `all`; we set it back at once. So this pair is our signature: anybody else
        // who switches forwarding on leaves both at 1, and then it stays on when our routers go.
        if try IPSetting.read(IPSetting.path(isIPv4: false, "all", "forwarding")) == 1 {
            note(.nodeForwarding, isOurs: default6 == 0)
        }
    }

    private mutating func note(_ item: RouterItem, isOurs: Bool) {
        on.insert(item)
        if isOurs { ours.insert(item) }
    }
}

/// Turns the switches. All calls are made where the router is.
enum ForwardingSwitch {
    /// - Parameter advertised: links with routes from router advertisements. The kernel throws such routes of the
    ///   whole node away when any interface becomes a router (rt6_purge_dflt_routers), but for links that accept
    ///   advertisements even as routers.
    static func set(
        _ item: RouterItem, isOn: Bool, _ ipv6: IPv6Forwarding, advertised: [InterfaceName]
    ) throws(IPSettingError) {
        switch item {
        case .forwarding(let bridge, isIPv4: true):
            try setIPv4(bridge.description, isOn)
        case .forwarding(let bridge, isIPv4: false):
            try keepingAdvertised(advertised) { () throws(IPSettingError) in
                try setIPv6(bridge.description, isOn, ipv6)
            }
        case .nodeForwarding:
            try keepingAdvertised(advertised) { () throws(IPSettingError) in try setNode(isOn) }
        case .mark, .address, .route, .rule: break
        }
    }

    private static func setIPv4(_ bridge: String, _ isOn: Bool) throws(IPSettingError) {
        let fallback = try IPSetting.read(IPSetting.path(isIPv4: true, "default", "forwarding")) ?? 0
        try IPSetting.write(IPSetting.path(isIPv4: true, bridge, "forwarding"), isOn ? 1 : fallback)
    }

    private static func setIPv6(_ bridge: String, _ isOn: Bool, _ ipv6: IPv6Forwarding) throws(IPSettingError) {
        for name in ipv6 == .perInterface ? ["forwarding", "force_forwarding"] : ["forwarding"] {
            let fallback = try IPSetting.read(IPSetting.path(isIPv4: false, "default", name)) ?? 0
            try IPSetting.write(IPSetting.path(isIPv4: false, bridge, name), isOn ? 1 : fallback)
        }
    }

    /// `all` writes through to `default` and to every interface; only its own effect on the node is wanted.
    private static func setNode(_ isOn: Bool) throws(IPSettingError) {
        var before: [(path: String, number: Int)] = []
        for interface in try IPSetting.interfaces(isIPv4: false) where interface != "all" {
            let path = IPSetting.path(isIPv4: false, interface, "forwarding")
            if let number = try IPSetting.read(path) { before.append((path, number)) }
        }
        try IPSetting.write(IPSetting.path(isIPv4: false, "all", "forwarding"), isOn ? 1 : 0)
        for (path, number) in before where try IPSetting.read(path) != number {
            try IPSetting.write(path, number)
        }
    }

    private static func keepingAdvertised(
        _ links: [InterfaceName], _ body: () throws(IPSettingError) -> Void
    ) throws(IPSettingError) {
        var changed: [String] = []
        for link in links {
            let path = IPSetting.path(isIPv4: false, link.description, "accept_ra")
            guard try IPSetting.read(path) == 1 else { continue }
            try IPSetting.write(path, 2)
            changed.append(path)
        }
        var failure: IPSettingError?
        do throws(IPSettingError) { try body() } catch { failure = error }
        for path in changed { try IPSetting.write(path, 1) }
        if let failure { throw failure }
    }
}
