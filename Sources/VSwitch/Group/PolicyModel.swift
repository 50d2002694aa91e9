internal import Netlink

/// What the groups of a manifest say of one flow: the rules once more, as a function.
///
/// The kernel judges packets. This judges flows that were allowed under older rules, and answers why.
struct PolicyModel: Sendable {
    /// The first packet of a flow: from whom, to whom, and what.
    struct Flow: Hashable, Sendable {
        var source: IPAddress
        /// Behind all translation: the address of whoever answers.
        var destination: IPAddress
        var transport: IPProtocol
        /// Of protocols with ports.
        var destinationPort: UInt16 = 0
        /// Of ICMP, either version.
        var message: ICMPMessage?
    }

    /// Who forbids a flow.
    struct Denial: Hashable, Sendable {
        let nic: String
        let direction: Direction
    }

    private struct Member: Sendable {
        let name: String
        let switchName: String
        let groups: [String]
    }

    private let groups: [String: GroupSpec]
    private let sets: [String: AddressSetSpec]
    /// NICs with groups by address; the same address may be on several switches.
    private var members: [IPAddress: [Member]] = [:]
    private var addresses: [String: Set<IPAddress>] = [:]
    /// Likewise by networks that they are allowed: few, if any.
    private var routers: [(network: IPPrefix, member: Member)] = []
    private var networks: [String: Set<IPPrefix>] = [:]

    /// - Parameter judged: the NICs whose rules are asked, by their resource names; nil for all. The others count as
    ///   who is at the other end.
    init(
        _ nics: some Sequence<NICSpec>, groups: [String: GroupSpec], sets: [String: AddressSetSpec],
        judged: Set<String>? = nil
    ) {
        self.groups = groups
        self.sets = sets
        for nic in nics where !nic.groups.isEmpty {
            let isJudged = judged?.contains(nic.resourceName) ?? true
            let member = Member(name: nic.resourceName, switchName: nic.segment, groups: nic.groups)
            for address in nic.addresses.map(\.address) + nic.allow.hosts {
                if isJudged { members[address, default: []].append(member) }
                for group in nic.groups { addresses[group, default: []].insert(address) }
            }
            for network in nic.allow.subnets {
                if isJudged { routers.append((network, member)) }
                for group in nic.groups { networks[group, default: []].insert(network) }
            }
        }
    }

    /// Who forbids the flow; nil where everybody concerned allows it, or nobody is concerned.
    ///
    /// Where two NICs have one address, on switches of their own, a flow is forbidden if it would be for either.
    func denial(of flow: Flow) -> Denial? { denial(of: flow, .egress) ?? denial(of: flow, .ingress) }

    /// Who forbids the flow at one of its ends: who sends it, or who gets it.
    ///
    /// - Parameter switchName: the switch, or the VLAN of one, that this end is on; nil for any.
    func denial(of flow: Flow, _ direction: Direction, on switchName: String? = nil) -> Denial? {
        let end = direction == .egress ? flow.source : flow.destination
        let routing = routers.lazy.filter { $0.network.contains(end) }.map(\.member)
        for member in (members[end] ?? []) + routing {
            if let switchName, switchName != member.switchName { continue }
            if !allows(member, direction, flow) { return Denial(nic: member.name, direction: direction) }
        }
        return nil
    }

    private func allows(_ member: Member, _ direction: Direction, _ flow: Flow) -> Bool {
        if Self.isBasic(flow, direction) { return true }
        return member.groups.contains { name in
            groups[name]?.rules(direction).contains { matches($0, direction, flow) } ?? false
        }
    }

    /// What `PolicyChains.basics` lets pass and conntrack follows.
    private static func isBasic(_ flow: Flow, _ direction: Direction) -> Bool {
        guard flow.transport == .udp else { return flow.transport == IPProtocol(number: 2) }
        let server: UInt16 = flow.source.isIPv4 ? 67 : 547
        let client: UInt16 = flow.source.isIPv4 ? 68 : 546
        return flow.destinationPort == (direction == .egress ? server : client)
    }

    private func matches(_ rule: GroupRule, _ direction: Direction, _ flow: Flow) -> Bool {
        guard matches(rule.traffic, flow) else { return false }
        let end = direction == .ingress ? flow.source : flow.destination
        return rule.peers.isEmpty
            || rule.peers.contains { peer in
                switch peer {
                case .network(let network): network.contains(end)
                case .group(let name): isMember(end, of: name)
                case .set(let name): sets[name]?.members.contains { $0.contains(end) } ?? false
                }
            }
    }

    private func isMember(_ address: IPAddress, of group: String) -> Bool {
        addresses[group]?.contains(address) ?? false || networks[group]?.contains { $0.contains(address) } ?? false
    }

    private func matches(_ traffic: Traffic, _ flow: Flow) -> Bool {
        switch traffic {
        case .any: return true
        case .whole(let number):
            guard flow.transport == number else { return false }
            return number != .icmp || flow.source.isIPv4
        case .ports(let number, let ranges):
            return flow.transport == number
                && ranges.contains { $0.first <= flow.destinationPort && flow.destinationPort <= $0.last }
        case .messages(let isIPv4, let messages):
            guard flow.source.isIPv4 == isIPv4, let message = flow.message else { return false }
            return flow.transport == (isIPv4 ? .icmp : .icmpv6)
                && messages.contains { $0.type == message.type && ($0.code == nil || $0.code == message.code) }
        }
    }
}
