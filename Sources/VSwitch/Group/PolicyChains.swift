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

    /// Where packets are judged.
    enum Place: Hashable {
        /// Among neighbours, by what is known of connections there.
        case bridge(StateSource)
        /// On the way from a router.
        case router

        fileprivate var state: StateSource {
            switch self {
            case .bridge(let state): state
            case .router: .conntrack
            }
        }
    }

    /// Base chains, shared chains, and a pair for each group and each combination.
    ///
    /// - Parameters:
    ///   - sets: the names of those that are there for rules of groups to look into.
    ///   - isShutting: whether there are ports that nothing passes, whatever it belongs to.
    static func compile(
        _ groups: [GroupSpec], policies: Set<[String]>, _ state: StateSource, _ sets: Set<String>,
        isShutting: Bool = false
    ) -> [NFChain] {
        Direction.allCases.flatMap { direction in
            [dispatch(direction, state, isShutting)] + judging(direction, groups, policies, sets, at: .bridge(state))
        } + [noise]
    }

    /// What the base chains of one direction lead to, but for those in which refused packets end.
    static func judging(
        _ direction: Direction, _ groups: [GroupSpec], _ policies: Set<[String]>, _ sets: Set<String>, at place: Place
    ) -> [NFChain] {
        [basics(direction, place.state), unattached(direction, at: place)]
            + groups.map {
                NFChain(PolicyNames.chain(of: $0.name, direction), rules: PolicyRules.compile($0, direction, sets))
            } + policies.map { policy($0, direction, at: place) }
    }

    /// Behind the guard (-300), before conntrack of the bridge (-200).
    static func zones(_ zoned: ZoneRules) -> NFChain {
        NFChain(
            "zones", hook: NFChain.Hook(.filter, .prerouting, priority: -250),
            rules: (zoned.isTagged ? ZoneRules.tagged : []) + ZoneRules.incoming)
    }

    /// Every policy lets pass what is known, so it need not be found for that. Who has none passes anyway.
    private static func dispatch(_ direction: Direction, _ state: StateSource, _ isShutting: Bool) -> NFChain {
        let isEgress = direction == .egress
        let passes =
            (isShutting ? [] : [belonging(state)])
            + (!isEgress && state == .conntrack ? [Hairpin.passes] : [])
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

    private static func policy(_ groups: [String], _ direction: Direction, at place: Place) -> NFChain {
        let shared = ["basics-\(direction)", "state-\(direction)"].map { NFRule([.verdict(.jump($0))]) }
        let asked = groups.map { NFRule([.verdict(.jump(PolicyNames.chain(of: $0, direction)))]) }
        let unheard = direction == .ingress && place != .router ? [NFRule([.verdict(.jump(noise.name))])] : []
        let rest = [
            // Five a second for each policy and direction: whoever is refused a flood cannot fill the log with it.
            NFRule([
                .limit(NFLimit(5, .packets, per: .second)),
                .log(.kernel(.info, prefix: "sdagent \(direction) denied: ")),
            ]),
            NFRule(
                [.counter, DenialChains.verdict(direction == .egress ? .egress : .ingress, direction)],
                comment: "no group allows it"),
        ]
        return NFChain(PolicyNames.chain(of: groups, direction), rules: shared + asked + unheard + rest)
    }

    /// What neither belongs to what was allowed before nor begins anything.
    private static func unattached(_ direction: Direction, at place: Place) -> NFChain {
        let refusal = DenialChains.verdict(.invalid, direction)
        return NFChain(
            "state-\(direction)",
            rules: [
                NFRule(place.state.isInvalid + [.counter, refusal], comment: "no part of any connection"),
                // Conntrack takes one for new. What a server sends on a connection that was forgotten since its rule is
                // gone would open it again, and be answered.
                NFRule(
                    Match.layer4(6) + [
                        // Of FIN, SYN, RST and ACK, SYN alone begins a connection (RFC 9293, 3.5).
                        HeaderField.tcpFlags.load(into: 0), .mask(0, [0x17]), .compare(0, .notEqual, [0x02]),
                        .counter, refusal,
                    ],
                    comment: "the middle of a connection"),
            ] + (place == .router ? [] : LateAnswers.rules(refusal)))
    }

    /// What neighbours ask of routers, DHCP servers and multicast routers goes to everybody. That it does not get to a
    /// NIC whose groups let none of it in is no refusal to tell of.
    private static let noise = NFChain(
        "noise",
        rules: [
            NFRule(
                [
                    HeaderField.etherDestination.load(into: 0), .mask(0, [1, 0, 0, 0, 0, 0]),
                    .compare(0, .equal, [0, 0, 0, 0, 0, 0]), .verdict(.return),
                ], comment: "meant for this NIC"),
            silence("router solicitation", message(133)),
            silence("multicast listener report (RFC 2710)", message(131)),
            silence("multicast listener done (RFC 2710)", message(132)),
            silence("multicast listener report (RFC 3810)", message(143)),
            silence("DHCP request", datagram(from: 68, to: 67, isIPv4: true)),
            silence("DHCPv6 request", datagram(from: 546, to: 547, isIPv4: false)),
        ])

    private static func silence(_ comment: String, _ conditions: [NFExpression]) -> NFRule {
        NFRule(conditions + [.counter, .verdict(.drop)], comment: comment)
    }

    private static func belonging(_ state: StateSource) -> NFRule { .accept("established or related", state.belongs) }

    /// What passes whatever the groups say: what belongs to what was allowed before; and what no NIC could find anybody
    /// without, which is the guard's business, not that of groups.
    private static func basics(_ direction: Direction, _ state: StateSource) -> NFChain {
        let isEgress = direction == .egress
        return NFChain(
            "basics-\(direction)",
            rules: [
                belonging(state),
                .accept("ARP", [.meta(.etherType, into: 0), .compare(0, .equal, [0x08, 0x06])]),
                .accept("neighbour solicitation", message(135)),
                .accept("neighbour advertisement", message(136)),
                isEgress
                    ? .accept("router solicitation", message(133)) : .accept("router advertisement", message(134)),
                isEgress
                    ? .accept("multicast listener report (RFC 3810)", message(143))
                    : .accept("multicast listener query", message(130)),
                .accept(
                    "multicast membership (IGMP)", Header.family(isIPv4: true) + Header.transport(IPProtocol(number: 2))
                ),
                isEgress
                    ? .accept("DHCP request", datagram(from: 68, to: 67, isIPv4: true))
                    : .accept("DHCP answer", datagram(from: 67, to: 68, isIPv4: true)),
                isEgress
                    ? .accept("DHCPv6 request", datagram(from: 546, to: 547, isIPv4: false))
                    : .accept("DHCPv6 answer", datagram(from: 547, to: 546, isIPv4: false)),
            ] + (isEgress ? older : []))
    }

    /// How a host that was asked by MLD version 1 answers (RFC 3810, 8.2.1).
    private static let older: [NFRule] = [
        .accept("multicast listener report (RFC 2710)", message(131)),
        .accept("multicast listener done (RFC 2710)", message(132)),
    ]

    private static func message(_ type: UInt8) -> [NFExpression] {
        Header.family(isIPv4: false) + Header.message(ICMPMessage(type: type), isIPv4: false)
    }

    private static func datagram(from source: UInt16, to destination: UInt16, isIPv4: Bool) -> [NFExpression] {
        Header.family(isIPv4: isIPv4) + Header.transport(.udp) + Header.source(PortRange(source, source))
            + Header.destination(PortRange(destination, destination))
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
