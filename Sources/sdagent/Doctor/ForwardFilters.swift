import Capabilities
import Netlink

/// Other people's chains that drop what nobody allows: whether they see our packets, and how those get past them.
enum ForwardFilters {
    /// What is told of one chain.
    struct Owner {
        /// "Docker's ", or "the " where the maker is not known.
        let name: String
        /// The command that lets one bridge pass.
        let remedy: (String) -> String
    }

    /// Hooks of the inet, ip, ip6 and bridge families (linux/netfilter.h).
    private static let forward: UInt32 = 2

    /// Whether a chain may drop what passes through the node although none of its rules says so.
    static func mayDrop(_ chain: NFRulesetChain) -> Bool {
        guard let hook = chain.hook, hook.number == forward, hook.kind == "filter" else { return false }
        switch chain.family {
        case .inet, .ip, .ip6, .bridge: return !hook.accepts || isFirewalld(chain)
        case .arp, .netdev: return false
        }
    }

    /// Its chains accept by policy and refuse by their last rule.
    private static func isFirewalld(_ chain: NFRulesetChain) -> Bool {
        chain.table == "firewalld" && chain.name == "filter_FORWARD"
    }

    static func findings(
        _ sight: NodeSight, _ here: Circumstances, _ capabilities: Capabilities
    ) -> [Finding] {
        guard let chains = sight.chains else {
            guard !sight.chainsFault.isEmpty else { return [] }
            return [
                Finding(
                    .node, .unknown, "rules of other programs", "they cannot be listed: \(sight.chainsFault)",
                    remedy: "sudo sdagent doctor")
            ]
        }
        let dropping = chains.filter(mayDrop)
        var findings = dropping.map { finding($0, owner(of: $0, among: chains, capabilities), sight, here) }
        if dropping.isEmpty {
            findings.append(Finding(.node, .fine, "no other program's chain drops what is forwarded"))
        }
        let filters = sight.legacyTables.filter { $0.hasSuffix(" filter") }
        for table in filters {
            let tool = "ip\(table.hasPrefix("ip6") ? "6" : "")tables-legacy"
            findings.append(
                Finding(
                    .node, .note, "the old iptables has a table '\(table)' in force",
                    "its rules cannot be listed here; where its FORWARD drops, switches and routers suffer",
                    remedy: "\(tool) -S FORWARD | head -1"))
        }
        return findings
    }

    private static func finding(
        _ chain: NFRulesetChain, _ owner: Owner, _ sight: NodeSight, _ here: Circumstances
    ) -> Finding {
        let title = "\(owner.name)chain '\(chain.family) \(chain.table) \(chain.name)' drops what no rule allows"
        let (reach, reached) = bridgedReach(chain, sight, here)
        let paths = sight.paths[NodeSight.TableName(family: chain.family, name: chain.table)]
        let passes = paths?.passes(from: chain.name) ?? []
        // A packet within one switch has its bridge on both sides; one that is routed needs both its ways.
        let stuck = reached.filter { !passes.lets($0, .input) && !passes.lets($0, .output) }
        let cut =
            chain.family == .bridge
            ? [] : here.routed.filter { !passes.lets($0, .input) || !passes.lets($0, .output) }
        if let reach, !stuck.isEmpty || here.bridges.isEmpty && !here.hasManifest {
            let whose = stuck.isEmpty ? "any switch" : listed(stuck)
            return Finding(
                .node, .mend, "\(title), and sees bridged packets (\(reach))",
                "NICs on \(whose) cannot talk to each other",
                remedy: remedy(owner, Set(stuck).union(cut).sorted()))
        }
        if !cut.isEmpty {
            return Finding(
                .node, .mend, title, "routers cannot forward from and to \(listed(cut))", remedy: remedy(owner, cut))
        }
        if here.bridges.isEmpty && here.routed.isEmpty {
            return Finding(.node, .note, title, "bridged packets do not pass it; those of a router would be dropped")
        }
        return Finding(.node, .fine, "\(owner.name)chain '\(chain.family) \(chain.table) \(chain.name)' lets ours pass")
    }

    /// Why a chain sees packets that are only bridged, and of which bridges; nil where it sees none.
    private static func bridgedReach(
        _ chain: NFRulesetChain, _ sight: NodeSight, _ here: Circumstances
    ) -> (reason: String?, bridges: [String]) {
        let isOn4 = sight.settings["net/bridge/bridge-nf-call-iptables"] == 1
        let isOn6 = sight.settings["net/bridge/bridge-nf-call-ip6tables"] == 1
        let reason: String?
        switch chain.family {
        case .bridge: reason = "it is in the bridge family"
        case .ip: reason = isOn4 ? "net.bridge.bridge-nf-call-iptables is 1" : nil
        case .ip6: reason = isOn6 ? "net.bridge.bridge-nf-call-ip6tables is 1" : nil
        case .inet: reason = isOn4 || isOn6 ? "net.bridge.bridge-nf-call-iptables or -ip6tables is 1" : nil
        case .arp, .netdev: return (nil, [])
        }
        if let reason { return (reason, here.bridges) }
        guard !here.tracked.isEmpty else { return (nil, []) }
        return ("NICs with groups need br_netfilter there: this kernel lacks NF_CONNTRACK_BRIDGE", here.tracked)
    }

    private static func owner(
        of chain: NFRulesetChain, among chains: [NFRulesetChain], _ capabilities: Capabilities
    ) -> Owner {
        let table = chains.filter { $0.family == chain.family && $0.table == chain.table }.map(\.name)
        let tool = "ip\(chain.family == .ip6 ? "6" : "")tables"
        if isFirewalld(chain) {
            return Owner(name: "firewalld's ") {
                "firewall-cmd --permanent --zone=trusted --add-interface=\($0) && firewall-cmd --reload"
            }
        }
        if table.contains("DOCKER-USER") {
            return Owner(name: "Docker's ") {
                "\(tool) -I DOCKER-USER -i \($0) -j ACCEPT && \(tool) -I DOCKER-USER -o \($0) -j ACCEPT"
            }
        }
        if table.contains(where: { $0.hasPrefix("ufw-") || $0.hasPrefix("ufw6-") }) {
            return Owner(name: "ufw's ") { "ufw route allow in on \($0) && ufw route allow out on \($0)" }
        }
        if chain.family == .ip || chain.family == .ip6, chain.table == "filter", chain.name == "FORWARD" {
            return Owner(name: "the ") {
                "\(tool) -I FORWARD -i \($0) -j ACCEPT && \(tool) -I FORWARD -o \($0) -j ACCEPT"
            }
        }
        let place = "\(chain.family) \(chain.table) \(chain.name)"
        let rule = "nft insert rule \(place)"
        // In the bridge family an interface is a port; its bridge has a word of its own, where the kernel knows it.
        if chain.family == .bridge {
            return Owner(name: "the ") { bridge in
                capabilities.has(.bridgeMeta)
                    ? "\(rule) meta ibrname \(bridge) accept" : "nft chain \(place) '{ policy accept; }'"
            }
        }
        return Owner(name: "the ") { "\(rule) iifname \($0) accept && \(rule) oifname \($0) accept" }
    }

    /// One command for one bridge, a loop for several.
    private static func remedy(_ owner: Owner, _ bridges: [String]) -> String {
        switch bridges.count {
        case 0: owner.remedy("SWITCH")
        case 1: owner.remedy(bridges[0])
        // A command that names no bridge is typed once.
        case _ where owner.remedy("a") == owner.remedy("b"): owner.remedy("")
        default: "for s in \(bridges.joined(separator: " ")); do \(owner.remedy("$s")); done"
        }
    }

    private static func listed(_ names: [String]) -> String {
        names.count > 4
            ? "\(names.prefix(3).joined(separator: ", ")) and \(names.count - 3) more"
            : names.joined(separator: ", ")
    }
}

extension Set<NFInterfacePass> {
    /// Whether a rule accepts all of an interface on this side: itself, or by sending it to firewalld's trusted zone.
    fileprivate func lets(_ name: String, _ side: NFInterfacePass.Side) -> Bool {
        contains { pass in
            let accepts = pass.leadsTo.map { $0.hasPrefix("filter_FWD") && $0.hasSuffix("_trusted") } ?? true
            let isSide = pass.side == side || pass.leadsTo != nil
            return accepts && isSide && pass.interface == name
        }
    }
}
