/// What there is to know of a capability without asking any kernel.
public struct CapabilityFacts: Hashable, Sendable {
    /// What takes the place of a capability that is lacking.
    public struct Fallback: Hashable, Sendable {
        /// What is done instead, in words.
        public let name: String
        /// What that stands on; nil where it stands on nothing.
        public let needs: Capability?
    }

    /// What it is for, in words: "VLANs on switches".
    public let purpose: String
    /// The kernel option.
    public let option: String
    /// The module, where the option can be built as one.
    public let module: String?
    /// The first release that has it.
    public let since: KernelRelease
    public let fallback: Fallback?

    init(
        _ purpose: String, _ option: String, module: String? = nil, since: (Int, Int), instead name: String? = nil,
        by needs: Capability? = nil
    ) {
        self.purpose = purpose
        self.option = "CONFIG_" + option
        self.module = module
        self.since = KernelRelease(since.0, since.1)
        fallback = name.map { Fallback(name: $0, needs: needs) }
    }
}

extension Capability {
    /// What there is to know of it. The releases are those of the kernel's own history.
    public var facts: CapabilityFacts {
        switch self {
        case .bridge, .tap, .veth, .vxlan, .vlanDevice, .vrf, .dummy, .bond, .ifb: linkFacts
        case .vlanFiltering, .portIsolation, .lockedPort, .neighbourSuppression, .neighbourSuppressionPerVLAN,
            .macLimit, .spanningTree, .multicastSnooping, .multicastSnoopingPerVLAN:
            bridgeFacts
        case .nftablesInet, .nftablesBridge, .nftablesNetdev, .netdevIngress, .netdevEgress, .nat, .rejectBridge,
            .intervalSets, .concatenatedRanges, .tableOwner, .tablePersistence, .flowtables, .packetLog, .bridgeMeta:
            tableFacts
        case .conntrack, .conntrackZones, .conntrackBridge, .bridgeNetfilter, .conntrackNetlink: conntrackFacts
        case .tbf, .htb, .fqCodel, .clsact, .u32, .flower, .matchall, .mirred, .police: shapingFacts
        case .policyRouting, .forceForwarding, .addressProtocol, .strictDumps, .ioUring, .vhostNet, .kvm: nodeFacts
        }
    }

    private var linkFacts: CapabilityFacts {
        switch self {
        case .tap: CapabilityFacts("taps of VMs, several queues each", "TUN", module: "tun", since: (3, 8))
        case .veth: CapabilityFacts("NICs in network namespaces", "VETH", module: "veth", since: (2, 6))
        case .vxlan: CapabilityFacts("overlays between nodes", "VXLAN", module: "vxlan", since: (3, 7))
        case .vlanDevice: CapabilityFacts("VLANs on uplinks", "VLAN_8021Q", module: "8021q", since: (2, 4))
        case .vrf:
            CapabilityFacts(
                "tenants as VRF devices", "NET_VRF", module: "vrf", since: (4, 3),
                instead: "routing tables and rules of each router's own", by: .policyRouting)
        case .dummy:
            CapabilityFacts(
                "addresses without a link", "DUMMY", module: "dummy", since: (2, 4),
                instead: "a bridge without ports", by: .bridge)
        case .bond: CapabilityFacts("bonded uplinks", "BONDING", module: "bonding", since: (2, 4))
        case .ifb:
            CapabilityFacts("caps on what NICs send", "IFB", module: "ifb", since: (2, 6))
        default: CapabilityFacts("switches", "BRIDGE", module: "bridge", since: (2, 4))
        }
    }

    private var bridgeFacts: CapabilityFacts {
        switch self {
        case .vlanFiltering:
            CapabilityFacts(
                "VLANs on switches", "BRIDGE_VLAN_FILTERING", since: (3, 9),
                instead: "one bridge for each VLAN, access ports only", by: .bridge)
        case .portIsolation: CapabilityFacts("isolated ports", "BRIDGE", module: "bridge", since: (4, 18))
        case .lockedPort: CapabilityFacts("ports with fixed MACs only", "BRIDGE", module: "bridge", since: (5, 18))
        case .neighbourSuppression:
            CapabilityFacts("ARP and ND answered at the switch", "BRIDGE", module: "bridge", since: (4, 15))
        case .neighbourSuppressionPerVLAN:
            CapabilityFacts(
                "ARP and ND answered for each VLAN", "BRIDGE", module: "bridge", since: (6, 4),
                instead: "answers for a port as a whole", by: .neighbourSuppression)
        case .macLimit:
            CapabilityFacts(
                "a limit of learned MACs", "BRIDGE", module: "bridge", since: (6, 7),
                instead: "a bounded set of MACs in the guard's table", by: .nftablesBridge)
        case .multicastSnooping:
            CapabilityFacts("IGMP and MLD snooping, querier", "BRIDGE_IGMP_SNOOPING", since: (3, 5))
        case .multicastSnoopingPerVLAN:
            CapabilityFacts(
                "snooping for each VLAN", "BRIDGE_VLAN_FILTERING", since: (5, 15),
                instead: "snooping for a switch as a whole", by: .multicastSnooping)
        default: CapabilityFacts("spanning tree", "BRIDGE", module: "bridge", since: (2, 4))
        }
    }

    private var tableFacts: CapabilityFacts {
        switch self {
        case .nftablesBridge: CapabilityFacts("the guard against spoofing", "NF_TABLES_BRIDGE", since: (3, 18))
        case .nftablesNetdev: CapabilityFacts("rules on single links", "NF_TABLES_NETDEV", since: (4, 2))
        case .netdevIngress: CapabilityFacts("rules where a link takes packets in", "NETFILTER_INGRESS", since: (4, 2))
        case .netdevEgress:
            CapabilityFacts(
                "rules where a link sends packets out", "NETFILTER_EGRESS", since: (5, 16),
                instead: "rules of the bridge's postrouting", by: .nftablesBridge)
        case .nat: CapabilityFacts("translation by routers", "NFT_MASQ", module: "nft_masq", since: (5, 2))
        case .rejectBridge:
            CapabilityFacts(
                "refusals answered on a switch", "NFT_BRIDGE_REJECT", module: "nft_reject_bridge", since: (3, 18),
                instead: "answers at netdev ingress to what a NIC sends, silence to what it is sent",
                by: .netdevIngress)
        case .bridgeMeta:
            CapabilityFacts(
                "names of bridges in rules", "NFT_BRIDGE_META", module: "nft_meta_bridge", since: (3, 14),
                instead: "sets of port names", by: .nftablesBridge)
        case .intervalSets:
            CapabilityFacts("sets of prefixes and ranges", "NF_TABLES", module: "nf_tables", since: (3, 13))
        case .concatenatedRanges:
            CapabilityFacts("sets of ranges with several fields", "NF_TABLES", module: "nf_tables", since: (5, 6))
        case .tableOwner:
            CapabilityFacts(
                "rules that nobody else can flush", "NF_TABLES", module: "nf_tables", since: (5, 12),
                instead: "rules that the daemon restores within a second", by: .nftablesInet)
        case .tablePersistence:
            CapabilityFacts(
                "protected rules that outlive the daemon", "NF_TABLES", module: "nf_tables", since: (6, 9),
                instead: "rules without an owner, restored by the daemon", by: .nftablesInet)
        case .flowtables:
            CapabilityFacts(
                "a fast path for routed flows", "NF_FLOW_TABLE_INET", module: "nf_flow_table_inet", since: (4, 16),
                instead: "the first rule, which established flows pass", by: .conntrack)
        case .packetLog:
            CapabilityFacts(
                "denied packets in the log", "NETFILTER_NETLINK_LOG", module: "nfnetlink_log", since: (2, 6))
        default: CapabilityFacts("rules for routed packets", "NF_TABLES_INET", since: (3, 14))
        }
    }

    private var conntrackFacts: CapabilityFacts {
        switch self {
        case .conntrackZones: CapabilityFacts("tenants with the same addresses", "NF_CONNTRACK_ZONES", since: (2, 6))
        case .conntrackBridge:
            CapabilityFacts(
                "stateful groups on switches", "NF_CONNTRACK_BRIDGE", module: "nf_conntrack_bridge", since: (5, 3),
                instead: "marks set by a table behind br_netfilter", by: .bridgeNetfilter)
        case .bridgeNetfilter:
            CapabilityFacts("bridged packets in inet rules", "BRIDGE_NETFILTER", module: "br_netfilter", since: (2, 6))
        case .conntrackNetlink:
            CapabilityFacts(
                "live flows judged anew", "NF_CT_NETLINK", module: "nf_conntrack_netlink", since: (2, 6))
        default: CapabilityFacts("stateful rules", "NFT_CT", module: "nft_ct", since: (3, 13))
        }
    }

    private var shapingFacts: CapabilityFacts {
        switch self {
        case .htb: CapabilityFacts("guaranteed rates", "NET_SCH_HTB", module: "sch_htb", since: (2, 6))
        case .fqCodel:
            CapabilityFacts(
                "fair queues below a rate", "NET_SCH_FQ_CODEL", module: "sch_fq_codel", since: (3, 5),
                instead: "one queue for all flows of a NIC", by: .tbf)
        case .clsact: CapabilityFacts("classifiers on links", "NET_SCH_INGRESS", module: "sch_ingress", since: (4, 5))
        case .u32: CapabilityFacts("classifying by bits", "NET_CLS_U32", module: "cls_u32", since: (2, 6))
        case .flower:
            CapabilityFacts(
                "classifying by fields", "NET_CLS_FLOWER", module: "cls_flower", since: (4, 2),
                instead: "classifying by bits", by: .u32)
        case .matchall:
            CapabilityFacts(
                "classifying all of a link", "NET_CLS_MATCHALL", module: "cls_matchall", since: (4, 8),
                instead: "classifying by bits", by: .u32)
        case .mirred:
            CapabilityFacts("packets sent on to other links", "NET_ACT_MIRRED", module: "act_mirred", since: (2, 6))
        case .police:
            CapabilityFacts(
                "caps by policing", "NET_ACT_POLICE", module: "act_police", since: (2, 6),
                instead: "queues behind an ifb", by: .ifb)
        default: CapabilityFacts("caps on NICs", "NET_SCH_TBF", module: "sch_tbf", since: (2, 6))
        }
    }

    private var nodeFacts: CapabilityFacts {
        switch self {
        case .forceForwarding:
            CapabilityFacts(
                "IPv6 forwarding of single links", "IPV6", since: (6, 17),
                instead: "net.ipv6.conf.all.forwarding, for the whole node")
        case .addressProtocol:
            CapabilityFacts(
                "marks on addresses of ours", "INET", since: (5, 18),
                instead: "addresses known by the link they are on")
        case .strictDumps:
            CapabilityFacts(
                "listings filtered by the kernel", "NET", since: (4, 20), instead: "listings filtered by the agent")
        case .ioUring: CapabilityFacts("disks and targets", "IO_URING", since: (6, 1))
        case .vhostNet:
            CapabilityFacts(
                "packets of VMs moved by the kernel", "VHOST_NET", module: "vhost_net", since: (2, 6),
                instead: "the hypervisor's own copies, slower")
        case .kvm:
            CapabilityFacts(
                "VMs at full speed", "KVM", since: (2, 6),
                instead: "QEMU's emulation, some twenty times slower")
        default: CapabilityFacts("a routing table for each router", "IP_MULTIPLE_TABLES", since: (2, 4))
        }
    }
}
