internal import Netlink
internal import Rules

/// The inet-family table that holds what is routed to NICs, or sent by the node itself, to their groups: the same rules
/// once more, before conntrack confirms the flow.
///
/// The bridge's chains come too late for that. Conntrack would know a flow that they refuse, and take what the NIC
/// sends back for an answer, which needs no rule.
///
///     routed4/6   bridge . address -> jump policy-…-ingress    the NICs with groups, by their addresses
///     spread4/6   bridge . network -> jump policy-…-ingress    and by networks that they are allowed, where any is
///     members-…, networks-…, addresses-…                       as in the bridge's table
enum RoutedTable {
    static let family = NFTable.Family.inet
    static let name = "sdagent-routed"
    /// The ownership mark.
    static let comment = "sdagent routed"

    static func compile(_ nics: some Collection<NICSpec>, _ policy: Policy) -> NFTable {
        var places = RoutedPlaces()
        var policies: Set<[String]> = []
        var bridges: Set<InterfaceName> = []
        for nic in nics where !nic.groups.isEmpty {
            policies.insert(nic.groups)
            // Nothing is routed to other VLANs, where another may have the address.
            guard nic.segment == nic.switchName else { continue }
            let name = SwitchSpec.bridge(of: nic.switchName)
            let bridge = NFValue.interface(name)
            bridges.insert(name)
            let verdict = NFData.verdict(.jump(PolicyNames.chain(of: nic.groups, .ingress)))
            for address in nic.addresses { places.add(bridge, IPPrefix(host: address.address), verdict) }
            for network in nic.allow.networks { places.add(bridge, network, verdict) }
        }
        // What they may send is judged where it comes in, before anything is confirmed.
        let groups = PolicyTable.named(in: policies, policy).map { group in
            var group = group
            group.egress = []
            return group
        }
        // Behind the translation of sources (100): these are the addresses that the bridge's chains see. Only what was
        // routed has an input interface behind postrouting (Linux 5.7): br_netfilter names none for what is bridged.
        let isNotRouted = NFRule.accept(
            "judged already", [.meta(.inputIndex, into: 0), .compare(0, .equal, [0, 0, 0, 0])])
        let turns = policy.state == .conntrack
        let remotes = PolicyTable.remotes(of: groups, nics, policy)
        let maps = places.maps
        let denials = DenialChains.routed
        return NFTable(
            family: family, name: name, comment: comment,
            sets: maps + (turns ? [Hairpin.turns(bridges)] : []) + denials.sets + remotes,
            chains: (turns ? [Hairpin.chain(judgement(maps))] : []) + [
                base(
                    "routed", .postrouting, priority: 200,
                    [isNotRouted] + (turns ? [Hairpin.passes] : []) + judgement(maps)),
                base("sent", .output, priority: 10, judgement(maps)),
            ] + PolicyChains.judging(.ingress, groups, policies, Set(remotes.map(\.name)), at: .router)
                + denials.chains)
    }

    private static func base(
        _ name: String, _ point: NFChain.Hook.Point, priority: Int32, _ rules: [NFRule]
    ) -> NFChain {
        NFChain(name, hook: NFChain.Hook(.filter, point, priority: priority), rules: rules)
    }

    /// Leads what is for a NIC with groups to these.
    private static func judgement(_ maps: [NFSet]) -> [NFRule] {
        maps.map { map in
            let isIPv4 = map.key.contains(.ipv4Address)
            return NFRule(
                Match.family(isIPv4: isIPv4) + [
                    .meta(.outputInterface, into: 0), HeaderField.destination(isIPv4: isIPv4).load(into: 4),
                    .verdictMap(0, set: map.name),
                ])
        }
    }
}

/// The maps of a routed packet's policy by where it goes. One by networks is there only where it has any.
private struct RoutedPlaces {
    private var ipv4 = NFSet("routed4", key: [.interfaceName, .ipv4Address], target: .verdict)
    private var ipv6 = NFSet("routed6", key: [.interfaceName, .ipv6Address], target: .verdict)
    private var networks: [IPPrefix: [(bridge: NFValue, verdict: NFData)]] = [:]

    mutating func add(_ bridge: NFValue, _ network: IPPrefix, _ verdict: NFData) {
        guard network.isHost else { return networks[network, default: []].append((bridge, verdict)) }
        let key = NFKey(bridge, .address(network.address))
        if network.isIPv4 { ipv4.elements[key] = verdict } else { ipv6.elements[key] = verdict }
    }

    var maps: [NFSet] { [ipv4, ipv6] + [true, false].compactMap(spread) }

    /// Ranges must not overlap, and those of one bridge that do have one policy: the widest stands for all.
    private func spread(isIPv4: Bool) -> NFSet? {
        var set = NFSet(
            isIPv4 ? "spread4" : "spread6", key: [.interfaceName, isIPv4 ? .ipv4Address : .ipv6Address],
            target: .verdict, form: .ranges)
        var widest: [NFValue: IPPrefix] = [:]
        for (network, places) in networks.sorted(by: { $0.key < $1.key }) where network.isIPv4 == isIPv4 {
            for (bridge, verdict) in places where widest[bridge]?.contains(network) != true {
                widest[bridge] = network
                set.ranges[NFRange(.one(bridge), .network(network))] = verdict
            }
        }
        return set.ranges.isEmpty ? nil : set
    }
}
