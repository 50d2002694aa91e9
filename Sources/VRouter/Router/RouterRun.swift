internal import Netlink
internal import Reconcile
internal import SystemPackage

/// What one router lacks, and what it has too much.
struct RouterWork {
    let missing: Set<RouterItem>
    let extra: Set<RouterItem>
}

/// A run of changes on routers: what goes, in the reverse order of making, then what comes.
struct RouterRun: ~Copyable {
    private let sight: NodeSight
    private let location: NetworkLocation
    private let works: [RouterWork]
    private var socket: NetlinkSocket
    /// The first thing that went wrong with each router.
    private var failures: [String?]

    init(sight: NodeSight, location: NetworkLocation, works: [RouterWork]) throws(RouterError) {
        self.sight = sight
        self.location = location
        self.works = works
        failures = works.map { _ in nil }
        do throws(NetlinkError) {
            socket = try location.socket(.route)
        } catch {
            throw .netlink(error)
        }
    }

    /// One outcome for each router, in their order.
    mutating func perform() throws(RouterError) -> [StepOutcome] {
        for phase in [RouterItem.Phase.routing, .addresses, .switches, .marks] { try take(phase) }
        // The mark comes first, so that nothing of ours is ever without a name. Switches before addresses: a router's
        // address brings the anycast address of its subnet (RFC 4291, 2.6.1), which the kernel counts twice where the
        // address settles while the switch is turned, and then keeps for ever.
        for phase in [RouterItem.Phase.marks, .switches, .addresses, .routing] { try make(phase) }
        return failures.map { $0.map { .failed($0) } ?? .done }
    }

    private mutating func take(_ phase: RouterItem.Phase) throws(RouterError) {
        let due = works.enumerated().flatMap { index, work in
            work.extra.filter { $0.phase == phase }.sorted { $0.order > $1.order }.map { (index, $0) }
        }
        if phase == .switches { return try turn(due, isOn: false) }
        try send(due) { item, link, batch in
            switch item {
            case .mark(_, let text): if let link { batch.removeAlternativeName(text, from: .index(link.index)) }
            case .address(_, let prefix): if let link { batch.removeAddressAlone(prefix, from: link) }
            case .route(let destination, let gateway, _, let table):
                batch.removeRoute(Route(to: destination, via: gateway, link: link?.index, table: table))
            case .rule(let rule): batch.removeRoutingRule(rule)
            case .forwarding, .nodeForwarding: break
            }
        } isFine: { _, error in
            error.isMissing
        }
    }

    private mutating func make(_ phase: RouterItem.Phase) throws(RouterError) {
        let due = works.enumerated().flatMap { index, work in
            work.missing.filter { $0.phase == phase }.sorted { $0.order < $1.order }.map { (index, $0) }
        }
        if phase == .switches { return try turn(due, isOn: true) }
        try send(due) { item, link, batch in
            switch item {
            case .mark(_, let text): if let link { batch.addAlternativeName(text, to: .index(link.index)) }
            case .address(_, let prefix): if let link { batch.addAddress(prefix, to: link.index) }
            case .route(let destination, let gateway, _, let table):
                batch.addRoute(Route(to: destination, via: gateway, link: link?.index, table: table))
            case .rule(let rule): batch.addRoutingRule(rule)
            case .forwarding, .nodeForwarding: break
            }
        } isFine: { item, error in
            // A mark that another link has is none on ours, and a route of the same destination may be another one.
            // Any other thing is as good from another hand.
            switch item {
            case .mark, .route: false
            case .address, .rule, .forwarding, .nodeForwarding: error.isExisting
            }
        }
    }

    /// Sends the messages of each item; what goes wrong is noted with its router.
    private mutating func send(
        _ due: [(Int, RouterItem)], _ write: (RouterItem, Link?, inout MessageWriter) -> Void,
        isFine: (RouterItem, NetlinkError) -> Bool
    ) throws(RouterError) {
        var batch = MessageWriter()
        var sent: [(Int, RouterItem)] = []
        for (index, item) in due {
            var link: Link?
            if item.needsLink, let name = item.interface {
                guard let bridge = sight.bridges[name] else {
                    note(index, "there is no bridge \(name) for the \(item.field)")
                    continue
                }
                link = bridge
            }
            write(item, link, &batch)
            while sent.count < batch.count { sent.append((index, item)) }
        }
        guard !batch.isEmpty else { return }
        do throws(NetlinkError) {
            for (entry, error) in zip(sent, try socket.request(batch)) {
                guard let error, !isFine(entry.1, error) else { continue }
                note(entry.0, "\(error.about(entry.1.subject))\(Self.advice(entry.1, error))")
            }
        } catch {
            throw .netlink(error)
        }
    }

    private mutating func turn(_ due: [(Int, RouterItem)], isOn: Bool) throws(RouterError) {
        guard !due.isEmpty else { return }
        let (advertised, ipv6) = (sight.advertised, sight.ipv6)
        let items = due.map(\.1)
        let outcomes = try location.runSysctl { () throws(IPSettingError) in
            items.map { item -> IPSettingError? in
                do throws(IPSettingError) {
                    try ForwardingSwitch.set(item, isOn: isOn, ipv6, advertised: advertised)
                    return nil
                } catch {
                    return error
                }
            }
        }
        for (entry, error) in zip(due, outcomes) {
            if let error { note(entry.0, error.description) }
        }
    }

    private static func advice(_ item: RouterItem, _ error: NetlinkError) -> String {
        switch item {
        case .mark(_, let text) where error.isExisting:
            "; another link has that name: take it off with `ip link property del dev LINK altname \(text)`"
        // EACCES is the kernel's word for an interface that has no IPv6 (inet6_rtm_newaddr).
        case .address(let bridge, .v6) where error.errno == .permissionDenied:
            "; switch it on with `sysctl net.ipv6.conf.\(bridge).disable_ipv6=0`, or take the router's IPv6 out"
        case .route(let destination, _, _, let table) where error.isExisting:
            ": somebody else has put another one there; see `ip \(destination.isIPv4 ? "" : "-6 ")route show table "
                + "\(table)`, and take it out"
        default: ""
        }
    }

    private mutating func note(_ index: Int, _ failure: String) {
        if failures[index] == nil { failures[index] = failure }
    }
}

extension RouterItem {
    /// Items of one phase are made in one go.
    enum Phase { case marks, addresses, switches, routing }

    fileprivate var phase: Phase {
        switch self {
        case .mark: .marks
        case .address: .addresses
        case .forwarding, .nodeForwarding: .switches
        case .route, .rule: .routing
        }
    }

    /// Within a phase: a fixed order, rules behind the routes that they lead to.
    fileprivate var order: String {
        if case .rule = self { return "2 \(field) \(text)" }
        return "1 \(field) \(text)"
    }

    fileprivate var needsLink: Bool {
        if case .rule = self { false } else { true }
    }
}
