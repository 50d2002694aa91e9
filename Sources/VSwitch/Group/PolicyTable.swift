internal import Netlink

/// The part of the bridge table that holds NICs to their groups: sets and chains, beside those of the guard.
///
///     from        interface -> jump policy-…-egress
///     to          interface -> jump policy-…-ingress
///     members-…   IPv4, IPv6 addresses of a group's NICs, for rules that name the group
///     networks-…  networks that they are allowed, where any is
///     addresses-… the members of an address set
///
/// Those of `LateAnswers` are empty but for a moment.
///
/// A NIC is two elements here, and one for each address in each of its groups that somebody names. Neither chain nor
/// rule is its own.
enum PolicyTable {
    static func dispatch(_ direction: Direction) -> String { direction == .egress ? "from" : "to" }

    /// Sets and chains; none where no NIC names a group.
    ///
    /// - Parameter shutting: ports that neither send nor receive.
    static func compile(
        _ nics: some Collection<NICSpec>, _ policy: Policy, shutting: Set<InterfaceName> = []
    ) -> (sets: [NFSet], chains: [NFChain]) {
        var from = NFSet(dispatch(.egress), key: [.interfaceName], target: .verdict)
        var to = NFSet(dispatch(.ingress), key: [.interfaceName], target: .verdict)
        var policies: Set<[String]> = []
        for nic in nics where !nic.groups.isEmpty {
            let key = NFKey(.interface(nic.interface))
            from.elements[key] = .verdict(.jump(PolicyNames.chain(of: nic.groups, .egress)))
            to.elements[key] = .verdict(.jump(PolicyNames.chain(of: nic.groups, .ingress)))
            policies.insert(nic.groups)
        }
        guard !policies.isEmpty || !shutting.isEmpty else { return ([], []) }
        let zoned = policy.zoneRules(nics)
        let isZoned = !zoned.map.elements.isEmpty
        for port in shutting {
            let key = NFKey(.interface(port))
            from.elements[key] = .verdict(.drop)
            to.elements[key] = .verdict(.drop)
        }
        let asked = named(in: policies, policy)
        let remotes = remotes(of: asked, nics, policy)
        let chains = PolicyChains.compile(
            asked, policies: policies, policy.state, Set(remotes.map(\.name)), isShutting: !shutting.isEmpty)
        return (
            [from, to] + LateAnswers.sets() + remotes + (isZoned ? zoned.sets : []),
            chains + (isZoned ? [PolicyChains.zones(zoned)] : [])
        )
    }

    /// The groups of some policies. Those that no NIC names have no chain: their rules judge nobody.
    static func named(in policies: Set<[String]>, _ policy: Policy) -> [GroupSpec] {
        let used = Set(policies.flatMap(\.self))
        return policy.groups.values.filter { used.contains($0.name) }.sorted { $0.name < $1.name }
    }

    /// The sets that rules of these groups look into.
    static func remotes(of groups: [GroupSpec], _ nics: some Collection<NICSpec>, _ policy: Policy) -> [NFSet] {
        var members = Members(groups)
        for nic in nics where !nic.groups.isEmpty { members.add(nic) }
        return members.sets(named: groups) + addressSets(named: groups, policy.sets)
    }

    /// Whether a port had groups in a table that was seen.
    static func judges(_ port: InterfaceName, in seen: NFTable?) -> Bool {
        seen?.sets[dispatch(.egress)]?.elements[NFKey(.interface(port))] != nil
    }

    private static func addressSets(named groups: [GroupSpec], _ sets: [String: AddressSetSpec]) -> [NFSet] {
        let names = Set(
            groups.flatMap { $0.ingress + $0.egress }.flatMap(\.peers).compactMap { peer in
                if case .set(let name) = peer { name } else { nil }
            })
        return names.sorted().compactMap { sets[$0] }.flatMap(self.sets)
    }

    /// What an address set is in the table.
    static func sets(of spec: AddressSetSpec) -> [NFSet] {
        [true, false].map { isIPv4 in
            var set = NFSet(
                PolicyNames.addresses(of: spec.name, isIPv4: isIPv4), key: [isIPv4 ? .ipv4Address : .ipv6Address],
                form: .ranges)
            set.insert(spec.members.filter { $0.isIPv4 == isIPv4 }.map { NFRange(.network($0)) })
            return set
        }
    }
}

/// The addresses of the members of those groups that some rule names.
private struct Members {
    private var addresses: [String: Set<IPAddress>] = [:]
    private var networks: [String: Set<IPPrefix>] = [:]

    init(_ groups: some Sequence<GroupSpec>) {
        for peer in groups.lazy.flatMap({ $0.ingress + $0.egress }).flatMap(\.peers) {
            if case .group(let name) = peer { addresses[name] = [] }
        }
    }

    mutating func add(_ nic: NICSpec) {
        for group in nic.groups where addresses[group] != nil {
            for address in nic.addresses { addresses[group]?.insert(address.address) }
            for network in nic.allow.networks {
                if network.isHost {
                    addresses[group]?.insert(network.address)
                } else {
                    networks[group, default: []].insert(network)
                }
            }
        }
    }

    func sets(named groups: [GroupSpec]) -> [NFSet] {
        let names = Set(
            groups.flatMap { $0.ingress + $0.egress }.flatMap(\.peers).compactMap { peer in
                if case .group(let name) = peer { name } else { nil }
            })
        return names.sorted().flatMap { name in
            [true, false].flatMap { isIPv4 in
                let key: [NFSet.Field] = [isIPv4 ? .ipv4Address : .ipv6Address]
                var set = NFSet(PolicyNames.members(of: name, isIPv4: isIPv4), key: key)
                for address in addresses[name] ?? [] where address.isIPv4 == isIPv4 {
                    set.insert(NFKey(.address(address)))
                }
                let spans = (networks[name] ?? []).filter { $0.isIPv4 == isIPv4 }.map { NFRange(.network($0)) }
                guard !spans.isEmpty else { return [set] }
                var wide = NFSet(PolicyNames.networks(of: name, isIPv4: isIPv4), key: key, form: .ranges)
                wide.insert(spans)
                return [set, wide]
            }
        }
    }
}
