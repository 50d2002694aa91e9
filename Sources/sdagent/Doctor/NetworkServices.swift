import Glibc
import Netlink

/// NetworkManager, systemd-networkd and others that may take our links for theirs.
enum NetworkServices {
    static func findings(_ sight: NodeSight, _ here: Circumstances) -> [Finding] {
        guard sight.isFirstNamespace else {
            return [Finding(.node, .fine, "this is not the node's first network namespace: its services manage it not")]
        }
        var findings: [Finding] = []
        if sight.neighbours.contains(.networkManager) { findings.append(networkManager(sight, here)) }
        if sight.neighbours.contains(.networkd) { findings += networkd(sight, here) }
        if sight.neighbours.contains(.docker) { findings.append(docker(sight)) }
        if sight.neighbours.contains(.libvirt) {
            findings.append(Finding(.node, .fine, "libvirt has a network of its own (virbr0)"))
        }
        let isFiltering = (sight.chains ?? []).contains { $0.name.hasPrefix("ufw") }
        if sight.neighbours.contains(.ufw), !isFiltering {
            findings.append(
                Finding(
                    .node, .note, "ufw is on, and none of its chains can be seen",
                    "whether it drops what is forwarded is not known", remedy: "ufw status verbose"))
        }
        let known: [NodeSight.Neighbour] = [.networkManager, .networkd, .docker, .libvirt, .ufw, .firewalld]
        if !known.contains(where: sight.neighbours.contains) {
            findings.append(Finding(.node, .fine, "no NetworkManager, networkd, Docker, libvirt, ufw or firewalld"))
        }
        return findings
    }

    /// Bridges that others make, and taps, it leaves alone by itself; a port of the machine it configures.
    private static func networkManager(_ sight: NodeSight, _ here: Circumstances) -> Finding {
        let texts = sight.configurations.filter { $0.key.contains("/NetworkManager/") }.values
        let excluded = texts.flatMap { $0.split(separator: "\n") }
            .filter { $0.drop { $0 == " " }.hasPrefix("unmanaged-devices") }
            .flatMap { line in line.split { "=;+, ".contains($0) } }
            .map { $0.hasPrefix("interface-name:") ? String($0.dropFirst(15)) : String($0) }
        let open = (here.uplinks + here.bridges).filter { name in !excluded.contains { matches($0, name) } }
        guard !open.isEmpty else {
            return Finding(.node, .fine, "NetworkManager runs, and leaves our links alone")
        }
        // All of them: the command may write over a file that it has written before.
        let names = (here.uplinks + here.bridges).map { "interface-name:\($0)" }.joined(separator: ";")
        let isUplink = open.contains(where: here.uplinks.contains)
        return Finding(
            .node, isUplink ? .mend : .note, "NetworkManager runs, and nothing keeps it off \(listed(open))",
            isUplink
                ? "it gives a borrowed port addresses and routes of its own"
                : "it leaves bridges that others made alone, as long as no connection names them",
            remedy: "printf '[keyfile]\\nunmanaged-devices+=\(names)\\n' > /etc/NetworkManager/conf.d/90-sdagent.conf"
                + " && nmcli general reload")
    }

    private static func networkd(_ sight: NodeSight, _ here: Circumstances) -> [Finding] {
        let main = sight.configurations.filter { $0.key.contains("/networkd.conf") }
        let lines = main.values.flatMap { text in text.split(separator: "\n") }
            .map { line in line.filter { $0 != " " }.lowercased() }
        let isOff = ["ManageForeignRoutes", "ManageForeignRoutingPolicyRules"].allSatisfy { word in
            ["no", "false", "0", "off"].contains { lines.contains("\(word.lowercased())=\($0)") }
        }
        var findings: [Finding] = []
        if isOff {
            findings.append(Finding(.node, .fine, "systemd-networkd runs, and leaves foreign routes and rules alone"))
        } else {
            let text = "[Network]\\nManageForeignRoutes=no\\nManageForeignRoutingPolicyRules=no\\n"
            findings.append(
                Finding(
                    .node, here.routed.isEmpty ? .note : .mend, "systemd-networkd runs, and manages foreign routes",
                    "at each restart it removes routes and rules of routers, and they are cut off until the daemon "
                        + "has put them back",
                    remedy: "mkdir -p /etc/systemd/networkd.conf.d && printf '\(text)' > "
                        + "/etc/systemd/networkd.conf.d/90-sdagent.conf && systemctl restart systemd-networkd"))
        }
        let claimed = claims(sight, here)
        if let (name, file) = claimed.first {
            let names = (here.uplinks + here.bridges).joined(separator: " ")
            findings.append(
                Finding(
                    .node, .mend, "systemd-networkd takes \(name) for its own", "\(file) matches it",
                    remedy: "printf '[Match]\\nName=\(names)\\n[Link]\\nUnmanaged=yes\\n' > "
                        + "/etc/systemd/network/00-sdagent.network && networkctl reload"))
        }
        return findings
    }

    /// Our links that a .network file takes. The first file in the order of names counts, wherever it lies.
    private static func claims(_ sight: NodeSight, _ here: Circumstances) -> [(name: String, file: String)] {
        let files = sight.configurations.filter { $0.key.hasSuffix(".network") }.sorted {
            ($0.key.split(separator: "/").last ?? "") < ($1.key.split(separator: "/").last ?? "")
        }.map { NetworkdFile($0.key, $0.value) }
        let links = here.uplinks.map { ($0, NetworkdFile.Link.port($0)) } + here.bridges.map { ($0, .bridge($0)) }
        return links.compactMap { name, link in
            guard let first = files.first(where: { $0.takes(link) }), !first.isUnmanaged else { return nil }
            return (name, first.path)
        }
    }

    private static func docker(_ sight: NodeSight) -> Finding {
        guard sight.settings["net/bridge/bridge-nf-call-iptables"] == 1 else {
            return Finding(.node, .fine, "Docker is here, and bridged packets do not pass its rules")
        }
        let isThere = (sight.chains ?? []).contains { $0.name == "DOCKER-USER" }
        return isThere
            ? Finding(.node, .fine, "Docker is here, and its rules can be seen")
            : Finding(
                .node, .note, "Docker is here, and none of its chains can be seen",
                "whether it drops what is forwarded is not known", remedy: "iptables -S DOCKER-USER")
    }

    /// A shell pattern, as both services match names.
    private static func matches(_ pattern: String, _ name: String) -> Bool { fnmatch(pattern, name, 0) == 0 }

    private static func listed(_ names: [String]) -> String {
        names.count > 4
            ? "\(names.prefix(3).joined(separator: ", ")) and \(names.count - 3) more"
            : names.joined(separator: ", ")
    }
}
