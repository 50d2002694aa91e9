internal import Netlink
internal import Rules

/// The inet-family table that holds what is routed to NICs, or sent by the node itself, to their groups: the same rules
/// once more, before conntrack confirms the flow.
///
/// The bridge's chains come too late for that. Conntrack would know a flow that they refuse, and take what the NIC
/// sends back for an answer, which needs no rule.
///
///     routed4/6   bridge . address -> jump policy-…-ingress    the NICs with groups, by their addresses
///     members-…, addresses-…                                   as in the bridge's table
enum RoutedTable {
    static let family = NFTable.Family.inet
    static let name = "sdagent-routed"
    /// The ownership mark.
    static let comment = "sdagent routed"

    static func compile(_ nics: some Collection<NICSpec>, _ policy: Policy) -> NFTable {
        var ipv4 = NFSet(map(isIPv4: true), key: [.interfaceName, .ipv4Address], target: .verdict)
        var ipv6 = NFSet(map(isIPv4: false), key: [.interfaceName, .ipv6Address], target: .verdict)
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
            for address in nic.addresses.map(\.address) {
                let key = NFKey(bridge, .address(address))
                if address.isIPv4 { ipv4.elements[key] = verdict } else { ipv6.elements[key] = verdict }
            }
        }
        // What they may send is judged where it comes in, before anything is confirmed.
        let groups = PolicyTable.named(in: policies, policy).map { group in
            var group = group
            group.egress = []
            return group
        }
        // Behind the translation of sources (100): these are the addresses that the bridge's chains see. Only what was
        // routed has an input interface behind postrouting (Linux 5.7): br_netfilter names none for what is bridged.
        let routed = judgement([.meta(.inputIndex, into: 0), .compare(0, .notEqual, [0, 0, 0, 0])])
        let turns = policy.state == .conntrack
        return NFTable(
            family: family, name: name, comment: comment,
            sets: [ipv4, ipv6] + (turns ? [Hairpin.turns(bridges)] : [])
                + PolicyTable.remotes(of: groups, nics, policy),
            chains: (turns ? [Hairpin.chain(judgement([]))] : []) + [
                base("routed", .postrouting, priority: 200, (turns ? [Hairpin.passes] : []) + routed),
                base("sent", .output, priority: 10, judgement([])), PolicyChains.unattached(.conntrack),
            ] + PolicyChains.judging(.ingress, groups, policies))
    }

    static func map(isIPv4: Bool) -> String { isIPv4 ? "routed4" : "routed6" }

    private static func base(
        _ name: String, _ point: NFChain.Hook.Point, priority: Int32, _ rules: [NFRule]
    ) -> NFChain {
        NFChain(name, hook: NFChain.Hook(.filter, point, priority: priority), rules: rules)
    }

    /// Leads what is for a NIC with groups to these.
    private static func judgement(_ conditions: [NFExpression]) -> [NFRule] {
        [true, false].map { isIPv4 in
            NFRule(
                conditions + Match.family(isIPv4: isIPv4) + [
                    .meta(.outputInterface, into: 0), HeaderField.destination(isIPv4: isIPv4).load(into: 4),
                    .verdictMap(0, set: map(isIPv4: isIPv4)),
                ])
        }
    }
}
