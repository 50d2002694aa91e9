import Capabilities
import Rules

/// Other people's chains that drop what nobody allows: whether they see our packets, and how those get past them.
enum ForwardFilters {
    static func findings(
        _ sight: NodeSight, _ here: Circumstances, _ capabilities: Capabilities
    ) -> [Finding] {
        guard let foreign = sight.foreign else {
            guard !sight.chainsFault.isEmpty else { return [] }
            return [
                Finding(
                    .node, .unknown, "rules of other programs", "they cannot be listed: \(sight.chainsFault)",
                    remedy: "sudo sdagent doctor")
            ]
        }
        var findings = foreign.all.map { filter in
            let owner = ForeignOwner(of: filter, canNameBridges: capabilities.has(.bridgeMeta))
            return finding(filter, owner, foreign, here)
        }
        if foreign.all.isEmpty {
            findings.append(Finding(.node, .fine, "no other program's chain drops what is forwarded"))
        }
        findings += foreign.askingForRoutes.map { filter in
            routeCheck(filter, ForeignOwner(of: filter, canNameBridges: false), foreign, here)
        }
        let filters = sight.legacyTables.filter { $0.hasSuffix(" filter") }
        for table in filters {
            let tool = "ip\(table.hasPrefix("ip6") ? "6" : "")tables-legacy"
            findings.append(
                Finding(
                    .node, .note, "the old iptables has a table '\(table)' in force",
                    "its rules could not be read; where its FORWARD drops, switches and routers suffer",
                    remedy: "\(tool) -S FORWARD | head -1"))
        }
        return findings
    }

    private static func finding(
        _ filter: ForeignFilter, _ owner: ForeignOwner, _ foreign: ForeignFilters, _ here: Circumstances
    ) -> Finding {
        let title = "\(owner.title) drops what no rule allows"
        let stuck = here.bridges.compactMap { bridge in
            foreign.blockades(on: bridge, isTracked: here.tracked.contains(bridge))
                .first { $0.filter == filter }.flatMap(\.sight).map { (bridge: bridge, sight: $0) }
        }
        let cut = here.legs.flatMap { legs in
            [(legs.bridges4, true), (legs.bridges6, false)].flatMap { bridges, isIPv4 in
                foreign.blockades(among: bridges, isIPv4: isIPv4).filter { $0.blockade.filter == filter }
                    .flatMap(\.bridges)
            }
        }
        let isBare = here.bridges.isEmpty && !here.hasManifest
        if let reach = stuck.first?.sight ?? (isBare ? foreign.sight(of: filter, isTracked: false) : nil) {
            let whose = stuck.isEmpty ? "any switch" : listed(stuck.map(\.bridge))
            return Finding(
                .node, .mend, "\(title), and sees bridged packets (\(reach))",
                "NICs on \(whose) cannot talk to each other",
                remedy: owner.remedy(for: Set(stuck.map(\.bridge)).union(cut).sorted()))
        }
        if !cut.isEmpty {
            let bridges = Set(cut).sorted()
            return Finding(
                .node, .mend, title, "routers cannot forward from and to \(listed(bridges))",
                remedy: owner.remedy(for: bridges))
        }
        if here.bridges.isEmpty && here.routed.isEmpty {
            return Finding(.node, .note, title, "bridged packets do not pass it; those of a router would be dropped")
        }
        return Finding(.node, .fine, "\(owner.title) lets ours pass")
    }

    /// A chain that asks whether the node would answer by the way a packet has come.
    private static func routeCheck(
        _ filter: ForeignFilter, _ owner: ForeignOwner, _ foreign: ForeignFilters, _ here: Circumstances
    ) -> Finding {
        let title = "\(owner.title) drops what comes from where the node has no route to"
        let stuck = [(here.apart.bridges4, true), (here.apart.bridges6, false)].flatMap { bridges, isIPv4 in
            bridges.flatMap { bridge in
                foreign.routeChecks(on: bridge, isTracked: here.tracked.contains(bridge), isIPv4: isIPv4)
                    .filter { $0.filter == filter }.compactMap(\.sight).map { (bridge: bridge, sight: $0) }
            }
        }
        guard let first = stuck.first else {
            return Finding(.node, .fine, "\(title), and that is none of ours")
        }
        let bridges = Set(stuck.map(\.bridge)).sorted()
        return Finding(
            .node, .mend, "\(title), and sees bridged packets (\(first.sight))",
            "NICs on \(listed(bridges)), where no router is, cannot talk to each other",
            remedy: owner.remedy(for: bridges))
    }

    private static func listed(_ names: [String]) -> String {
        names.count > 4
            ? "\(names.prefix(3).joined(separator: ", ")) and \(names.count - 3) more"
            : names.joined(separator: ", ")
    }
}
