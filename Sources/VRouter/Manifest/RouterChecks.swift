public import Manifest
public import Netlink
public import Reconcile

/// An address that something other than a router has, for the check that no address is given twice.
public struct AddressClaim: Sendable {
    /// Who has it: `nic/vm1/net0`.
    public let owner: ResourceID
    public let switchName: String
    public let address: IPAddress
    public let position: Position

    public init(owner: ResourceID, switchName: String, address: IPAddress, position: Position) {
        self.owner = owner
        self.switchName = switchName
        self.address = address
        self.position = position
    }
}

/// What must be true across routers, and between them and the NICs on their switches.
public enum RouterChecks {
    /// - Parameters:
    ///   - claims: the addresses of NICs, which this part does not know.
    ///   - coming: those that NICs get by an amendment; nil where only `claims` can tell.
    ///   - owner: the name of the kind that has them.
    public static func derivation(
        claims: @escaping @Sendable (Desired) -> [AddressClaim] = { _ in [] },
        coming: @escaping @Sendable (Amendment) -> [IPAddress]? = { _ in nil }, of owner: String = "nic"
    ) -> Derivation {
        Derivation(
            of: [RouterKind.name, owner],
            amend: { revision, amendment in
                guard !amendment.concerns(RouterKind.name), let coming = coming(amendment) else { return false }
                let routers = revision.desired.specs(of: RouterKind.self).values
                return !routers.contains { router in
                    router.interfaces.contains { $0.addresses.contains { coming.contains($0.value.address) } }
                }
            }
        ) { desired, diagnostics in
            let routers = desired.specs(of: RouterKind.self).values.sorted { $0.name < $1.name }
            var check = Check(routers: routers, diagnostics: diagnostics)
            check.run(claims(desired))
        }
    }
}

private struct Check {
    let routers: [RouterSpec]
    let diagnostics: Diagnostics

    /// One interface's subnet, and whose it is.
    private struct Subnet {
        let router: String
        let switchName: String
        let prefix: Placed<IPPrefix>
    }

    private var subnets: [Subnet] = []

    init(routers: [RouterSpec], diagnostics: Diagnostics) {
        self.routers = routers
        self.diagnostics = diagnostics
    }

    mutating func run(_ claims: [AddressClaim]) {
        subnets = routers.flatMap { router in
            router.interfaces.flatMap { interface in
                interface.addresses.map { Subnet(router: router.name, switchName: interface.switchName, prefix: $0) }
            }
        }
        checkTables()
        checkSubnets()
        checkClaims(claims)
        for router in routers {
            for route in router.routes { check(route, of: router) }
            checkTwice(router.routes.map(\.destination), "a route to", of: router)
            for snat in router.snat { check(snat, of: router) }
            for forward in router.forwards { check(forward, of: router) }
        }
        checkForwards()
    }

    private func report<Value>(_ placed: Placed<Value>, _ message: String, _ hint: String = "") {
        diagnostics.report(at: placed.position, width: placed.width, message, hint: hint)
    }

    private func place<Value>(of placed: Placed<Value>) -> String { "\(placed.position.file):\(placed.position.line)" }

    /// Routing tables are numbered by a hash of the router's name.
    private func checkTables() {
        var owners: [UInt32: String] = [:]
        for router in routers {
            if let other = owners.updateValue(router.name, forKey: RouterTable.number(of: router.name)),
                let place = router.interfaces.first?.addresses.first
            {
                report(
                    place, "routers '\(other)' and '\(router.name)' get the same routing table", "rename one of them")
            }
        }
    }

    private func checkSubnets() {
        for (index, later) in subnets.enumerated() {
            for earlier in subnets[..<index] {
                let (first, second) = (earlier.prefix.value, later.prefix.value)
                if first.address == second.address {
                    report(
                        later.prefix, "\(second.address) is an address of router '\(earlier.router)' already",
                        "the first one is at \(place(of: earlier.prefix))")
                } else if earlier.switchName != later.switchName,
                    first.contains(second.network) || second.contains(first.network)
                {
                    report(
                        later.prefix,
                        "\(second.network) on '\(later.switchName)' overlaps \(first.network) "
                            + "on '\(earlier.switchName)'",
                        "a subnet lives on one switch; the other one is at \(place(of: earlier.prefix))")
                }
            }
        }
    }

    private func checkClaims(_ claims: [AddressClaim]) {
        let addresses = Dictionary(subnets.map { ($0.prefix.value.address, $0) }) { first, _ in first }
        for claim in claims {
            guard let subnet = addresses[claim.address] else { continue }
            diagnostics.report(
                at: claim.position, width: claim.address.description.count,
                "\(claim.address) of \(claim.owner) is the address of router '\(subnet.router)' "
                    + "on '\(subnet.switchName)'",
                hint: "the router's is at \(place(of: subnet.prefix))")
        }
    }

    private func checkTwice<Value: CustomStringConvertible>(
        _ all: [Placed<Value>], _ what: String, of router: RouterSpec
    ) {
        var seen: [Value: Placed<Value>] = [:]
        for placed in all {
            if let first = seen[placed.value] {
                report(placed, "\(what) \(placed.value) is named twice", "the first one is at \(place(of: first))")
            } else {
                seen[placed.value] = placed
            }
        }
    }
}

// MARK: Single items

extension Check {
    private func check(_ route: StaticRoute, of router: RouterSpec) {
        let gateway = route.gateway.value
        if case .v6(let address) = gateway, address.isLinkLocal {
            checkLinkLocal(route, of: router)
            return
        }
        if let out = route.out {
            report(
                out, "'out' is for a link-local 'via' only", "leave it out: the subnet of \(gateway) tells the switch")
        }
        guard let interface = router.interface(reaching: gateway) else {
            report(
                route.gateway, "\(gateway) is in no subnet of router '\(router.name)'",
                "'via' is a neighbour on one of its switches: \(words(subnetsOf: router, isIPv4: gateway.isIPv4))")
            return
        }
        if interface.addresses.contains(where: { $0.value.address == gateway }) {
            report(route.gateway, "\(gateway) is the router itself", "'via' is the next router on the way")
        }
        let destination = route.destination.value
        if router.interfaces.contains(where: { $0.addresses.contains { $0.value.network == destination } }) {
            report(route.destination, "router '\(router.name)' is on \(destination) itself", "take the route out")
        }
    }

    private func checkLinkLocal(_ route: StaticRoute, of router: RouterSpec) {
        guard let out = route.out else {
            report(
                route.gateway, "\(route.gateway.value) is link-local: every switch may have it",
                "say on which one: add 'out: SWITCH'")
            return
        }
        guard let interface = checkOut(out, of: router) else { return }
        if !interface.speaks(isIPv4: false) {
            report(out, "router '\(router.name)' has no IPv6 address on '\(out.value)'", "add one to its 'addresses'")
        }
    }

    private func check(_ snat: SourceNAT, of router: RouterSpec) {
        guard let interface = checkOut(snat.out, of: router) else { return }
        let source = snat.source.value
        guard let address = snat.address else {
            if !interface.speaks(isIPv4: source.isIPv4) {
                let family = source.isIPv4 ? "IPv4" : "IPv6"
                report(
                    snat.out,
                    "router '\(router.name)' has no \(family) address on '\(snat.out.value)' to put in the packets",
                    "add one to its 'addresses', or name one with 'to'")
            }
            return
        }
        checkAnswerable(address, of: router, "the answers to \(address.value) would find nobody")
    }

    private func checkOut(_ out: Placed<String>, of router: RouterSpec) -> RouterInterface? {
        if let interface = router.interface(on: out.value) { return interface }
        let names = router.interfaces.map(\.switchName)
        report(
            out, "router '\(router.name)' has no interface on '\(out.value)'",
            Fields.suggestion(for: out.value, in: names))
        return nil
    }

    private func check(_ forward: PortForward, of router: RouterSpec) {
        let listen = forward.listen
        checkAnswerable(listen, of: router, "nobody would answer for \(listen.value)")
        let target = forward.target.value.address
        let isRouted = router.routes.contains {
            $0.destination.value.length > 0 && $0.destination.value.contains(target)
        }
        if router.interface(reaching: target) == nil, !isRouted {
            report(
                forward.target, "\(target) is in no subnet of router '\(router.name)'",
                "it can forward to: \(words(subnetsOf: router, isIPv4: target.isIPv4))")
        }
    }

    /// An address within one of the router's subnets must be the router's own: nobody else answers ARP or ND for it.
    /// One outside of them all is the business of whoever routes it here.
    private func checkAnswerable(_ address: Placed<IPAddress>, of router: RouterSpec, _ consequence: String) {
        guard let interface = router.interface(reaching: address.value) else { return }
        guard !interface.addresses.contains(where: { $0.value.address == address.value }) else { return }
        report(
            address, "router '\(router.name)' does not have \(address.value): \(consequence)",
            "add it to the 'addresses' of '\(interface.switchName)'")
    }

    /// No two forwards of any routers may take the same port of the same address.
    private func checkForwards() {
        struct Listener: Hashable {
            let address: IPAddress
            let transport: PortForward.Transport
        }
        var seen: [Listener: [(ports: PortRange, place: Placed<PortRange>)]] = [:]
        for forward in routers.flatMap(\.forwards) {
            let listener = Listener(address: forward.listen.value, transport: forward.transport)
            let ports = forward.ports.value
            if let other = seen[listener]?.first(where: { $0.ports.first <= ports.last && ports.first <= $0.ports.last }
            ) {
                let text = ForwardTarget.text(forward.listen.value, max(ports.first, other.ports.first))
                report(
                    forward.ports, "\(forward.transport) \(text) is forwarded twice",
                    "the first one is at \(place(of: other.place))")
            }
            seen[listener, default: []].append((ports, forward.ports))
        }
    }

    private func words(subnetsOf router: RouterSpec, isIPv4: Bool) -> String {
        let networks = router.interfaces.flatMap(\.addresses).map(\.value.network).filter { $0.isIPv4 == isIPv4 }
        return networks.isEmpty ? "none of this family" : networks.map(\.description).joined(separator: ", ")
    }
}
