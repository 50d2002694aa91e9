internal import Netlink
internal import Rules

/// The chains that hold NICs to their groups.
///
///     egress   prerouting   interface -> policy-…-egress    what a NIC sends, to a neighbour or to a router
///     ingress  postrouting  interface -> policy-…-ingress   what comes to a NIC, from a neighbour or from a router
///
/// A policy is one combination of groups: NICs that name the same ones share it. It lets pass what answers, and what
/// every NIC needs (`basics`); drops what is part of nothing (`state`); asks each group in turn, and drops the rest.
/// Most packets belong to what was allowed: that is asked first.
enum PolicyChains {
    /// Behind the guard (-300), behind conntrack of the bridge (-200) and br_netfilter (0).
    private static let priority: Int32 = 10

    /// Base chains, shared chains, and a pair for each group and each combination.
    ///
    /// - Parameter sets: the names of those that are there for rules of groups to look into.
    static func compile(
        _ groups: [GroupSpec], policies: Set<[String]>, _ state: StateSource, _ sets: Set<String>
    ) -> [NFChain] {
        [unattached(state, LateAnswers.rules)]
            + Direction.allCases.flatMap { direction in
                let refusal = DenialChains.verdict(direction == .egress ? .egress : .ingress)
                return [dispatch(direction, state)] + judging(direction, groups, policies, sets, refusal, state)
            }
    }

    /// What the chains of one direction lead to, but for `state`.
    ///
    /// - Parameters:
    ///   - refusal: what becomes of a packet that no group allows.
    ///   - state: where it is known from what belongs to what.
    static func judging(
        _ direction: Direction, _ groups: [GroupSpec], _ policies: Set<[String]>, _ sets: Set<String>,
        _ refusal: NFExpression = .verdict(.drop), _ state: StateSource = .conntrack
    ) -> [NFChain] {
        [basics(direction, state)]
            + groups.map {
                NFChain(PolicyNames.chain(of: $0.name, direction), rules: PolicyRules.compile($0, direction, sets))
            } + policies.map { policy($0, direction, refusal) }
    }

    /// Behind the guard (-300), before conntrack of the bridge (-200).
    static func zones(_ zoned: ZoneRules) -> NFChain {
        NFChain(
            "zones", hook: NFChain.Hook(.filter, .prerouting, priority: -250),
            rules: (zoned.isTagged ? ZoneRules.tagged : []) + ZoneRules.incoming)
    }

    private static func dispatch(_ direction: Direction, _ state: StateSource) -> NFChain {
        let isEgress = direction == .egress
        let passes = !isEgress && state == .conntrack ? [Hairpin.passes] : []
        return NFChain(
            direction.rawValue,
            hook: NFChain.Hook(.filter, isEgress ? .prerouting : .postrouting, priority: priority),
            rules: passes + [
                NFRule([
                    .meta(isEgress ? .inputInterface : .outputInterface, into: 0),
                    .verdictMap(0, set: PolicyTable.dispatch(direction)),
                ])
            ])
    }

    private static func policy(_ groups: [String], _ direction: Direction, _ refusal: NFExpression) -> NFChain {
        let shared = ["basics-\(direction)", "state"].map { NFRule([.verdict(.jump($0))]) }
        let asked = groups.map { NFRule([.verdict(.jump(PolicyNames.chain(of: $0, direction)))]) }
        let rest = [
            // Five a second for each policy and direction: whoever is refused a flood cannot fill the log with it.
            NFRule([
                .limit(NFLimit(5, .packets, per: .second)),
                .log(.kernel(.info, prefix: "sdagent \(direction) denied: ")),
            ]),
            NFRule([.counter, refusal], comment: "no group allows it"),
        ]
        return NFChain(PolicyNames.chain(of: groups, direction), rules: shared + asked + rest)
    }

    /// What neither belongs to what was allowed before nor begins anything.
    ///
    /// - Parameter more: what else is judged by what was before.
    static func unattached(_ source: StateSource, _ more: [NFRule] = []) -> NFChain {
        NFChain(
            "state",
            rules: [
                NFRule(source.isInvalid + [.counter, .verdict(.drop)], comment: "no part of any connection"),
                // Conntrack takes one for new. What a server sends on a connection that was forgotten since its rule is
                // gone would open it again, and be answered.
                NFRule(
                    Match.layer4(6) + [
                        // Of FIN, SYN, RST and ACK, SYN alone begins a connection (RFC 9293, 3.5).
                        HeaderField.tcpFlags.load(into: 0), .mask(0, [0x17]), .compare(0, .notEqual, [0x02]),
                        .counter, .verdict(.drop),
                    ],
                    comment: "the middle of a connection"),
            ] + more)
    }

    /// What passes whatever the groups say: what belongs to what was allowed before; and what no NIC could find anybody
    /// without, which is the guard's business, not that of groups.
    private static func basics(_ direction: Direction, _ state: StateSource) -> NFChain {
        let isEgress = direction == .egress
        func accept(_ comment: String, _ conditions: [NFExpression]) -> NFRule {
            NFRule(conditions + [.verdict(.accept)], comment: comment)
        }
        func message(_ type: UInt8) -> [NFExpression] {
            Header.family(isIPv4: false) + Header.message(ICMPMessage(type: type), isIPv4: false)
        }
        func datagram(from source: UInt16, to destination: UInt16, isIPv4: Bool) -> [NFExpression] {
            Header.family(isIPv4: isIPv4) + Header.transport(.udp) + Header.source(PortRange(source, source))
                + Header.destination(PortRange(destination, destination))
        }
        return NFChain(
            "basics-\(direction)",
            rules: [
                accept("established or related", state.belongs),
                accept("ARP", [.meta(.etherType, into: 0), .compare(0, .equal, [0x08, 0x06])]),
                accept("neighbour solicitation", message(135)),
                accept("neighbour advertisement", message(136)),
                isEgress
                    ? accept("router solicitation", message(133)) : accept("router advertisement", message(134)),
                isEgress
                    ? accept("multicast listener report (RFC 3810)", message(143))
                    : accept("multicast listener query", message(130)),
                accept(
                    "multicast membership (IGMP)", Header.family(isIPv4: true) + Header.transport(IPProtocol(number: 2))
                ),
                isEgress
                    ? accept("DHCP request", datagram(from: 68, to: 67, isIPv4: true))
                    : accept("DHCP answer", datagram(from: 67, to: 68, isIPv4: true)),
                isEgress
                    ? accept("DHCPv6 request", datagram(from: 546, to: 547, isIPv4: false))
                    : accept("DHCPv6 answer", datagram(from: 547, to: 546, isIPv4: false)),
            ])
    }
}

extension StateSource {
    /// Whether a packet belongs to what was allowed.
    fileprivate var belongs: [NFExpression] {
        switch self {
        case .conntrack: Match.isKnown
        case .mark: StateTable.established.isPresent
        }
    }

    /// Whether it can belong to nothing.
    fileprivate var isInvalid: [NFExpression] {
        switch self {
        case .conntrack: Match.isInvalid
        case .mark: StateTable.invalid.isPresent
        }
    }
}
