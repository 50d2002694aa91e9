internal import Netlink
internal import Rules

/// Where refused packets end: chains for each reason, which count them by port, tell of some, and drop them.
///
///     denied-…    interface    with a counter: what was refused of this port for the reason
///
/// Packets put the elements in, at the first refusal, and a day after the last one they go. So a port of which nothing
/// is refused costs nothing; and a table is compared without them.
enum DenialChains {
    static func set(_ reason: DenialReason) -> String { "denied-\(reason.word)" }

    /// Ends in the chain of the reason.
    ///
    /// - Parameter direction: the packet's way; what is not sent by a NIC is meant for it.
    static func verdict(_ reason: DenialReason, _ direction: Direction) -> NFExpression {
        .verdict(.goto(name(reason, direction)))
    }

    /// The sets and chains of some reasons.
    static func compile(_ reasons: [DenialReason]) -> (sets: [NFSet], chains: [NFChain]) {
        (
            reasons.map { NFSet(set($0), key: [.interfaceName], form: form) },
            reasons.flatMap { reason in reason.directions.map { chain(reason, $0) } }
        )
    }

    private static func name(_ reason: DenialReason, _ direction: Direction) -> String {
        reason.directions.count > 1 ? "deny-\(reason.word)-\(direction)" : "deny-\(reason.word)"
    }

    /// As many as a node has ports at most, and no more memory than that whoever floods.
    private static let form = NFSet.Form.dynamic(size: 65_536, timeout: 86_400)

    private static func chain(_ reason: DenialReason, _ direction: Direction) -> NFChain {
        let port = NFExpression.meta(direction == .ingress ? .outputInterface : .inputInterface, into: 0)
        return NFChain(
            name(reason, direction),
            rules: log(reason) + [
                NFRule([port, count(in: set(reason))], comment: "counted"), drop,
            ])
    }

    /// Counts on the element of the key in the registers from 0 on. The drop is a rule of its own: what a full set does
    /// not take is refused all the same.
    private static func count(in set: String) -> NFExpression {
        .change(NFDynamicChange(.update, 0, in: set, each: .count))
    }

    private static let drop = NFRule([.verdict(.drop)])

    /// Five a second for each reason. What groups refuse is told of by the chain of the policy.
    private static func log(_ reason: DenialReason) -> [NFRule] {
        if reason.isOfGroups { return [] }
        return [
            NFRule([
                .limit(NFLimit(5, .packets, per: .second)),
                .log(.kernel(.info, prefix: "sdagent \(reason.word) denied: ")),
            ])
        ]
    }
}

/// The same for what is routed: the ports are not known there yet, but bridge and address.
///
///     denied-…-4    bridge . IPv4    denied-…-6    bridge . IPv6
extension DenialChains {
    /// The reasons for which something is refused there.
    static let routedReasons: [DenialReason] = [.ingress, .invalid]

    static func routedSet(_ reason: DenialReason, isIPv4: Bool) -> String { set(reason) + (isIPv4 ? "-4" : "-6") }

    static var routed: (sets: [NFSet], chains: [NFChain]) {
        (
            routedReasons.flatMap { reason in
                [true, false].map { isIPv4 in
                    NFSet(
                        routedSet(reason, isIPv4: isIPv4), key: [.interfaceName, isIPv4 ? .ipv4Address : .ipv6Address],
                        form: form)
                }
            },
            routedReasons.map { reason in
                let counted = [true, false].map { isIPv4 in
                    NFRule(
                        Match.family(isIPv4: isIPv4) + [
                            .meta(.outputInterface, into: 0), HeaderField.destination(isIPv4: isIPv4).load(into: 4),
                            count(in: routedSet(reason, isIPv4: isIPv4)),
                        ], comment: "counted")
                }
                return NFChain(name(reason, .ingress), rules: log(reason) + counted + [drop])
            }
        )
    }
}
