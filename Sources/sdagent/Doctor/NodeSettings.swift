import Netlink

/// Numbers under /proc/sys that switches and routers live with, or suffer from.
enum NodeSettings {
    static func findings(_ sight: NodeSight, _ here: Circumstances) -> [Finding] {
        var findings = [reversePath(sight, here), forwarding(sight), bridged(sight, here)]
        findings += [proxy(sight, here), localNetwork(sight)]
        findings += [conntrack(sight, here), liberal(sight, here), ipv6(sight, here)].compactMap { $0 }
        findings += ["ipv4", "ipv6"].compactMap { neighbours($0, sight, here) }
        return findings
    }

    /// Strict reverse path filtering takes the larger of `all` and the link's own (ip-sysctl.rst). A router's rules
    /// satisfy it, but where two routers share a subnet the first one answers for both.
    private static func reversePath(_ sight: NodeSight, _ here: Circumstances) -> Finding {
        let all = sight.settings["net/ipv4/conf/all/rp_filter"] ?? 0
        let strict = here.routed.filter { name in
            let own = sight.settings["net/ipv4/conf/\(name)/rp_filter"] ?? 0
            return max(all, own) == 1
        }
        guard all == 1 || !strict.isEmpty else {
            return Finding(.node, .fine, "no strict rp_filter on routers' links")
        }
        let place = all == 1 ? "all" : strict[0]
        let setting = "net.ipv4.conf.\(place).rp_filter"
        guard let pair = here.sharedSubnets.first else {
            return Finding(.node, .fine, "\(setting) is 1 (strict), and routers have rules that satisfy it")
        }
        return Finding(
            .node, .mend, "\(setting) is 1 (strict)",
            "routers \(pair) share a subnet, and packets of one are dropped as the other's",
            remedy: Sysctls.command([(setting, 2)]))
    }

    /// Docker and others switch it on for all links, and some hardening switches it off again, for those of ours too.
    private static func forwarding(_ sight: NodeSight) -> Finding {
        let value = sight.settings["net/ipv4/ip_forward"] ?? 0
        return Finding(
            .node, .fine,
            "net.ipv4.ip_forward is \(value), and routers forward between their own switches, whatever it is")
    }

    /// What br_netfilter shows of every bridge to the rules of IP.
    private static func bridged(_ sight: NodeSight, _ here: Circumstances) -> Finding {
        let on = ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"]
            .filter { sight.settings["net/bridge/\($0)"] == 1 }.map { "net.bridge.\($0)" }
        guard let first = on.first, !here.bridges.isEmpty else {
            return Finding(.node, .fine, "bridged packets pass no rules of IP that are not meant for them")
        }
        let others = on.count > 1 ? " and \(on.count - 1) more like it are" : " is"
        let isDockers = sight.neighbours.contains(.docker)
        return Finding(
            .node, .note, "\(first)\(others) 1",
            "what NICs of one switch send each other passes everybody's rules of IP, and may be dropped or translated"
                + (isDockers ? "; Docker sets it for its own networks" : ""),
            remedy: isDockers ? nil : Sysctls.command(on.map { ($0, 0) }))
    }

    private static func proxy(_ sight: NodeSight, _ here: Circumstances) -> Finding {
        var on = here.bridges.map { "net/ipv4/conf/\($0)/proxy_arp" }.filter { sight.settings[$0] == 1 }
        if sight.settings["net/ipv4/conf/all/proxy_arp"] == 1 { on = ["net/ipv4/conf/all/proxy_arp"] }
        if sight.settings["net/ipv6/conf/all/proxy_ndp"] == 1 { on.append("net/ipv6/conf/all/proxy_ndp") }
        guard let first = on.first else { return Finding(.node, .fine, "the node answers ARP and ND for itself only") }
        let setting = first.split(separator: "/").joined(separator: ".")
        // Only a link with an address of the node's takes part.
        return Finding(
            .node, here.routed.isEmpty ? .note : .mend, "\(setting) is 1",
            "the node answers for addresses behind its other links, and draws NICs' packets to itself",
            remedy: Sysctls.command(on.map { ($0.split(separator: "/").joined(separator: "."), 0) }))
    }

    private static func localNetwork(_ sight: NodeSight) -> Finding {
        guard sight.settings["net/ipv4/conf/all/route_localnet"] == 1 else {
            return Finding(.node, .fine, "127.0.0.0/8 is reached from this node only")
        }
        return Finding(
            .node, .note, "net.ipv4.conf.all.route_localnet is 1",
            "a neighbour on any link can reach what listens on 127.0.0.1, if no rule stops it",
            remedy: Sysctls.command([("net.ipv4.conf.all.route_localnet", 0)]))
    }

    private static func conntrack(_ sight: NodeSight, _ here: Circumstances) -> Finding? {
        guard let most = sight.settings["net/netfilter/nf_conntrack_max"], most > 0,
            let count = sight.settings["net/netfilter/nf_conntrack_count"]
        else { return nil }
        guard count >= most / 5 * 4 else {
            return Finding(.node, .fine, "\(count) connections tracked of \(most)")
        }
        return Finding(
            .node, .mend, "\(count) connections tracked of \(most)",
            "when the table is full, new connections are dropped (\"nf_conntrack: table full\" in the kernel's log)",
            remedy: Sysctls.command([
                ("net.netfilter.nf_conntrack_max", most.multipliedReportingOverflow(by: 2).partialValue)
            ]))
    }

    private static func liberal(_ sight: NodeSight, _ here: Circumstances) -> Finding? {
        guard here.translates, sight.settings["net/netfilter/nf_conntrack_tcp_be_liberal"] == 0 else { return nil }
        return Finding(
            .node, .note, "net.netfilter.nf_conntrack_tcp_be_liberal is 0",
            "a translated connection whose packets come late is reset; 1 is kinder where links lose or reorder",
            remedy: Sysctls.command([("net.netfilter.nf_conntrack_tcp_be_liberal", 1)]))
    }

    private static func ipv6(_ sight: NodeSight, _ here: Circumstances) -> Finding? {
        guard here.speaksIPv6 else { return nil }
        guard sight.settings["net/ipv6/conf/all/disable_ipv6"] == 1 else {
            return Finding(.node, .fine, "IPv6 is on")
        }
        return Finding(
            .node, .mend, "net.ipv6.conf.all.disable_ipv6 is 1", "routers cannot have their IPv6 addresses",
            remedy: Sysctls.command([("net.ipv6.conf.all.disable_ipv6", 0)]))
    }

    /// Above gc_thresh3 the kernel refuses a new neighbour ("neighbour table overflow"). It is the node's, and shown in
    /// its first network namespace only.
    private static func neighbours(_ family: String, _ sight: NodeSight, _ here: Circumstances) -> Finding? {
        guard let most = sight.settings["net/\(family)/neigh/default/gc_thresh3"] else { return nil }
        guard here.neighbours > most / 4 * 3 else {
            return Finding(.node, .fine, "\(family): room for \(most) neighbours, for \(here.neighbours) of ours")
        }
        return Finding(
            .node, .mend, "net.\(family).neigh.default.gc_thresh3 is \(most)",
            "routers have \(here.neighbours) addresses of NICs to reach; above the limit new ones get no packet",
            remedy: Sysctls.command([("net.\(family).neigh.default.gc_thresh3", here.neighbours * 4)]))
    }
}

/// Commands that set numbers under /proc/sys.
enum Sysctls {
    /// Sets them now and at every boot: `-p` applies the file.
    static func command(_ settings: [(name: String, value: Int)]) -> String {
        let file = "/etc/sysctl.d/90-sdagent.conf"
        let lines = settings.map { "\($0.name) = \($0.value)" }.joined(separator: "\\n")
        return "printf '\(lines)\\n' >> \(file) && sysctl -p \(file)"
    }
}
