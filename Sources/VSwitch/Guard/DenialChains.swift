internal import Netlink
internal import Rules

/// Where refused packets end: one chain for each reason, which counts them by NIC and drops them.
///
///     denied-guard     interface, with a counter    every guarded port: what it sent in another's name
///     denied-egress    interface, with a counter    ports with groups: what no group lets them send
///     denied-ingress   interface, with a counter    ports with groups: what no group lets in
///
/// Neither rule nor chain is a NIC's own, and elements that stay keep what they have counted, whatever else changes.
enum DenialChains {
    static func name(_ reason: DenialReason) -> String { "deny-\(reason.rawValue)" }

    static func set(_ reason: DenialReason) -> String { "denied-\(reason.rawValue)" }

    static let sets = Set(DenialReason.allCases.map(set))

    /// Ends in the chain of the reason.
    static func verdict(_ reason: DenialReason) -> NFExpression { .verdict(.goto(name(reason))) }

    /// A lookup counts on the element that it finds. The drop is a rule of its own: a port that is in no set is
    /// refused all the same.
    static func chain(_ reason: DenialReason) -> NFChain {
        let port = NFMeta.portOf(reason)
        return NFChain(
            name(reason),
            rules: [
                NFRule([.meta(port, into: 0), .lookup(0, set: set(reason), isInverted: false)], comment: "counted"),
                NFRule([.verdict(.drop)]),
            ])
    }

    static func ports(_ reason: DenialReason, _ nics: some Collection<NICSpec>) -> NFSet {
        var set = NFSet(set(reason), key: [.interfaceName], isCounted: true)
        for nic in nics where reason == .guard || !nic.groups.isEmpty { set.insert(NFKey(.interface(nic.interface))) }
        return set
    }
}

extension NFMeta {
    /// The side on which the refused NIC is.
    fileprivate static func portOf(_ reason: DenialReason) -> NFMeta {
        reason == .ingress ? .outputInterface : .inputInterface
    }
}
