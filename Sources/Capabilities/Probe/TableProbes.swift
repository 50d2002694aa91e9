internal import CNetlink
internal import Netlink
internal import SystemPackage

/// nftables: families, hooks, sets, owners.
enum TableProbes {
    /// One attempt, and the errnos by which it fails on a kernel that lacks the thing.
    private struct Attempt {
        let capability: Capability
        let draft: RuleDraft
        let lacking: [Errno]
    }

    /// linux/netfilter/nf_tables.h: NFT_TABLE_F_OWNER (Linux 5.12) and NFT_TABLE_F_PERSIST (6.9).
    private static let owner: UInt32 = 0x2
    private static let persist: UInt32 = 0x4

    static let group = ProbeGroup(
        covers: [
            .nftablesInet, .nftablesBridge, .nftablesNetdev, .netdevIngress, .netdevEgress, .nat, .rejectBridge,
            .intervalSets, .concatenatedRanges, .tableOwner, .tablePersistence, .flowtables,
            .bridgeMeta,
        ]
    ) { () throws(NetlinkError) in
        var socket = try NetlinkSocket(.netfilter)
        var answers: Answers = [:]
        for attempt in attempts() {
            let refusal = try attempt.draft.commit(on: &socket)
            answers[attempt.capability] = Probe.answer(attempt.capability, refusal, lacking: attempt.lacking)
        }
        return answers
    }

    private static func attempts() -> [Attempt] {
        [
            attempt(.nftablesInet, .inet) { $0.chain(hook: UInt32(NF_INET_FORWARD.rawValue)) },
            attempt(.nftablesBridge, .bridge) { $0.chain(hook: UInt32(NF_INET_FORWARD.rawValue)) },
            attempt(.nftablesNetdev, .netdev),
            attempt(.netdevIngress, .netdev) { $0.chain(hook: UInt32(NF_NETDEV_INGRESS.rawValue)) },
            // A kernel before 5.16 has one hook of this family only.
            attempt(.netdevEgress, .netdev, lacking: [.invalidArgument]) {
                $0.chain(hook: UInt32(NF_NETDEV_EGRESS.rawValue))
            },
            attempt(.nat, .inet) {
                $0.chain("nat", hook: UInt32(NF_INET_POST_ROUTING.rawValue))
                $0.rule(("masq", { _ in }))
            },
            attempt(.rejectBridge, .bridge) {
                $0.chain(hook: UInt32(NF_INET_PRE_ROUTING.rawValue))
                $0.rule(
                    (
                        "reject",
                        {
                            $0.attribute(
                                Int(NFTA_REJECT_TYPE.rawValue), bigEndian: UInt32(NFT_REJECT_ICMPX_UNREACH.rawValue))
                            $0.attribute(
                                Int(NFTA_REJECT_ICMP_CODE.rawValue), UInt8(NFT_REJECT_ICMPX_ADMIN_PROHIBITED.rawValue))
                        }
                    ))
            },
            attempt(.bridgeMeta, .bridge) {
                $0.chain(hook: UInt32(NF_INET_FORWARD.rawValue))
                $0.rule(
                    (
                        "meta",
                        {
                            $0.attribute(Int(NFTA_META_KEY.rawValue), bigEndian: UInt32(NFT_META_BRI_IIFNAME.rawValue))
                            $0.attribute(Int(NFTA_META_DREG.rawValue), bigEndian: UInt32(NFT_REG_1.rawValue))
                        }
                    ))
            },
            attempt(.intervalSets, .inet) { $0.set(flags: UInt32(NFT_SET_INTERVAL.rawValue)) },
            attempt(.concatenatedRanges, .inet, lacking: [.invalidArgument]) {
                $0.set(flags: UInt32(NFT_SET_INTERVAL.rawValue | NFT_SET_CONCAT.rawValue), fields: 2)
            },
            attempt(.tableOwner, .inet, flags: owner, lacking: [.invalidArgument]),
            attempt(.tablePersistence, .inet, flags: owner | persist, lacking: [.invalidArgument]),
            attempt(.flowtables, .inet, lacking: [.invalidArgument]) { $0.flowtable() },
        ]
    }

    private static func attempt(
        _ capability: Capability, _ family: RuleDraft.Family, flags: UInt32 = 0, lacking: [Errno] = [],
        _ body: (inout RuleDraft) -> Void = { _ in }
    ) -> Attempt {
        var draft = RuleDraft(capability, family, tableFlags: flags)
        body(&draft)
        return Attempt(capability: capability, draft: draft, lacking: lacking)
    }
}
