import Capabilities
import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import sdagent

/// Whether bridged packets can be made to pass inet rules.
private let hasBridgeNetfilter = FileManager.default.fileExists(
    atPath: "/proc/sys/net/bridge/bridge-nf-call-iptables")

/// The verb itself, in network namespaces where others have been at work before.
@Suite(
    "The doctor's visit", .serialized, .enabled(if: TestNamespace.isPossible && haveTools("nft")),
    .timeLimit(.minutes(3)))
struct DoctorProgramTests {
    private static let program = Bundle.main.bundlePath + "/sdagent"

    private static let manifest = """
        switches: {blue: {}, red: {}}
        routers: {gw: {interfaces: {blue: {addresses: [10.10.0.1/24]}}}}
        vms: {vm1: {nics: [{switch: blue, address: 10.10.0.10}]}}

        """

    /// A table like Docker's, with the rest of its chains left out.
    private static let docker = """
        table ip filter {
            chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; }
            chain DOCKER-USER { return; }
            chain INPUT { type filter hook input priority 0; iifname { "blue", "red" } accept; }
        }
        """

    private struct Node: Sendable {
        let namespace: TestNamespace
        let place: Workplace

        func doctor(_ words: String..., wrapped: [String] = []) async throws -> CommandResult {
            let options = ["-f", place.manifest, "--state", place.state.path.string, "--socket", place.socket]
            return try await command(namespace.inside(wrapped + [program, "doctor"] + words + options))
        }

        /// What it finds about the node itself, above the given standing.
        func findings(_ standings: Set<Finding.Standing> = [.mend, .unknown]) async throws -> [Finding] {
            let result = try await doctor("--output", "json")
            let document = try JSONText.decode(DoctorDocument.self, Array(result.output.utf8))
            #expect(result.code == document.exitCode)
            return document.findings.filter { $0.section == .node && standings.contains($0.standing) }
        }

        func load(_ rules: String) async throws {
            try rules.write(toFile: place.folder + "/rules", atomically: true, encoding: .utf8)
            try await namespace.run("nft", "-f", place.folder + "/rules")
        }

        func set(_ path: String, _ value: Int) async throws {
            try await namespace.run("sh", "-c", "echo \(value) > /proc/sys/\(path)")
        }
    }

    private func withNode(_ text: String = manifest, _ body: (Node) async throws -> Void) async throws {
        let place = try Workplace()
        try place.write(text)
        try await TestNamespace.with { namespace in
            let node = Node(namespace: namespace, place: place)
            // Namespaces inherit their bridge settings from nobody: the kernel begins each with 1.
            for name in ["iptables", "ip6tables", "arptables"] {
                let path = "/proc/sys/net/bridge/bridge-nf-call-\(name)"
                _ = try await namespace.attempt("sh", "-c", "test ! -e \(path) || echo 0 > \(path)")
            }
            try await body(node)
        }
    }

    @Test("A quiet node has nothing to mend; nothing is touched, no state is made")
    func quiet() async throws {
        try await withNode { node in
            let look = ["sh", "-c", "ip -d link; ip addr; ip rule; nft list ruleset"]
            let before = try await output(of: node.namespace.inside(look))
            let result = try await node.doctor()
            #expect(result.code == 0)
            #expect(result.error == "")
            #expect(result.output.contains("\nNothing to mend"))
            #expect(try await node.findings().isEmpty)
            #expect(try await output(of: node.namespace.inside(look)) == before)
            #expect(!FileManager.default.fileExists(atPath: node.place.state.path.string))
            let all = try await node.doctor("--all")
            #expect(all.output.contains("  + switches (CONFIG_BRIDGE)\n"))
        }
    }

    @Test("Docker's FORWARD policy is a conflict until its remedy has been typed, for routers and for switches")
    func docker() async throws {
        try await withNode { node in
            try await node.load(Self.docker)
            let routed = try await node.findings()
            #expect(routed.map(\.what) == ["Docker's chain 'ip filter FORWARD' drops what no rule allows"])
            #expect(routed.map(\.consequence) == ["routers cannot forward from and to blue"])
            #expect(
                routed.map(\.remedy) == [
                    "iptables -I DOCKER-USER -i blue -j ACCEPT && iptables -I DOCKER-USER -o blue -j ACCEPT"
                ])
            for side in ["iifname", "oifname"] {
                try await node.namespace.run("nft", "insert rule ip filter DOCKER-USER \(side) blue counter accept")
            }
            #expect(try await node.findings().isEmpty)
        }
    }

    @Test("With br_netfilter it drops what is bridged too", .enabled(if: hasBridgeNetfilter))
    func bridged() async throws {
        try await withNode { node in
            try await node.load(Self.docker)
            try await node.set("net/bridge/bridge-nf-call-iptables", 1)
            let found = try await node.findings()
            #expect(found.map(\.consequence) == ["NICs on blue, red cannot talk to each other"])
            #expect(found[0].remedy?.hasPrefix("for s in blue red; do iptables -I DOCKER-USER -i $s -j ACCEPT") == true)
            try await node.namespace.run("nft", "insert rule ip filter DOCKER-USER iifname { blue, red } accept")
            try await node.namespace.run("nft", "insert rule ip filter DOCKER-USER oifname blue accept")
            #expect(try await node.findings().isEmpty)
        }
    }

    @Test(
        "Where groups need br_netfilter on a bridge it drops what is bridged there, whatever the node's setting",
        .enabled(if: hasBridgeNetfilter && !Capabilities.current.has(.conntrackBridge)))
    func tracked() async throws {
        let text = """
            switches: {blue: {}, red: {}}
            groups: {web: {ingress: {protocol: icmp}}}
            vms: {vm1: {nics: [{switch: blue, address: 10.9.0.1, groups: web}]}}

            """
        try await withNode(text) { node in
            try await node.load(Self.docker)
            let found = try await node.findings()
            #expect(found.map(\.consequence) == ["NICs on blue cannot talk to each other"])
            #expect(found[0].remedy?.hasPrefix("iptables -I DOCKER-USER -i blue -j ACCEPT") == true)
            try await node.namespace.run("nft", "insert rule ip filter DOCKER-USER iifname blue accept")
            #expect(try await node.findings().isEmpty)
        }
    }

    @Test(
        "That bridged packets pass everybody's rules is worth knowing, with what ends it",
        .enabled(if: hasBridgeNetfilter))
    func bridgeSettings() async throws {
        try await withNode { node in
            #expect(try await node.findings([.note]).isEmpty)
            try await node.set("net/bridge/bridge-nf-call-ip6tables", 1)
            let found = try await node.findings([.note, .mend])
            #expect(found.map(\.what) == ["net.bridge.bridge-nf-call-ip6tables is 1"])
            let remedy = try #require(found.first?.remedy)
            #expect(remedy.hasPrefix("printf 'net.bridge.bridge-nf-call-ip6tables = 0\\n' >> /etc/sysctl.d/"))
            // What it sets now, without the file that keeps it.
            try await node.namespace.run("sysctl", "-qw", "net.bridge.bridge-nf-call-ip6tables=0")
            #expect(try await node.findings([.note]).isEmpty)
        }
    }

    @Test("What the doctor says of packets is what becomes of them", .enabled(if: hasBridgeNetfilter))
    func packets() async throws {
        try await withNode("switches: {blue: {}}\n") { node in
            try await TestNamespace.with { far in
                let script = """
                    ip link add blue up type bridge; ip link set blue addrgenmode none
                    ip link add left type veth peer name eth0 netns \(far.name); ip link set left master blue up
                    ip link add right type veth peer name here; ip link set right master blue up
                    ip addr add 10.9.0.1/24 dev here; ip link set here up
                    """
                try await node.namespace.run("sh", "-ec", script)
                try await far.run("sh", "-ec", "ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up")
                func talks() async throws -> Bool {
                    try await node.namespace.attempt("ping", "-c1", "-W1", "10.9.0.2").succeeded
                }
                #expect(try await eventually(within: 5) { try await talks() })
                try await node.load(Self.docker)
                #expect(try await node.findings().isEmpty)
                #expect(try await talks())
                try await node.set("net/bridge/bridge-nf-call-iptables", 1)
                #expect(try await node.findings().count == 1)
                #expect(try await !talks())
                try await node.namespace.run("nft", "insert rule ip filter DOCKER-USER iifname blue accept")
                #expect(try await node.findings().isEmpty)
                #expect(try await talks())
            }
        }
    }

    @Test("firewalld, a table of nobody's and one of the bridge family each have a remedy of their own")
    func others() async throws {
        try await withNode { node in
            try await node.load(
                """
                table inet firewalld {
                    chain filter_FORWARD { type filter hook forward priority 10; reject; }
                    chain filter_FWD_trusted { accept; }
                }
                table inet mine { chain fw { type filter hook forward priority 5; policy drop; }; }
                table bridge own { chain fw { type filter hook forward priority 5; policy drop; }; }
                table bridge sdagent { chain fw { type filter hook forward priority 6; policy drop; }; }
                """)
            let found = try await node.findings()
            #expect(
                Set(found.map(\.remedy)).isSuperset(of: [
                    "firewall-cmd --permanent --zone=trusted --add-interface=blue && firewall-cmd --reload",
                    "nft insert rule inet mine fw iifname blue accept && "
                        + "nft insert rule inet mine fw oifname blue accept",
                ]))
            #expect(found.count == 3)
            try await node.namespace.run(
                "nft", "insert rule inet firewalld filter_FORWARD iifname blue goto filter_FWD_trusted")
            try await node.namespace.run("nft", "insert rule inet mine fw iifname blue accept")
            try await node.namespace.run("nft", "insert rule inet mine fw oifname blue accept")
            try await node.namespace.run("nft", "chain bridge own fw { policy accept; }")
            #expect(try await node.findings().isEmpty)
        }
    }

    @Test(
        "A chain that asks for the route to a source drops what is bridged where no router is",
        .enabled(if: hasBridgeNetfilter))
    func routes() async throws {
        let text = """
            switches: {blue: {}, red: {}, four: {}}
            routers: {gw: {interfaces: {blue: {addresses: ["fd00:10::1/64"]}}}}
            vms: {v: {nics: [{switch: blue}, {switch: red, address: "fd00:20::9"}, {switch: four, address: 10.9.0.1}]}}

            """
        try await withNode(text) { node in
            try await node.load(
                """
                table inet firewalld {
                    chain filter_PREROUTING {
                        type filter hook prerouting priority 10;
                        icmpv6 type nd-neighbor-solicit accept
                        meta nfproto ipv6 fib saddr . mark . iif oif missing drop
                    }
                }
                """)
            #expect(try await node.findings().isEmpty)
            for name in ["iptables", "ip6tables"] { try await node.set("net/bridge/bridge-nf-call-\(name)", 1) }
            let found = try await node.findings()
            #expect(
                found.map(\.consequence) == ["NICs on red, where no router is, cannot talk to each other"])
            #expect(found[0].remedy?.hasPrefix("sed -i 's/^IPv6_rpfilter=.*/IPv6_rpfilter=no/'") == true)
            try await node.namespace.run("nft", "flush chain inet firewalld filter_PREROUTING")
            #expect(try await node.findings().isEmpty)
        }
    }

    @Test("Settings that hurt are named with the command that mends them")
    func settings() async throws {
        let shared = """
            switches: {blue: {}, red: {}}
            routers:
              one: {interfaces: {blue: {addresses: [10.10.0.1/24]}}}
              two: {interfaces: {blue: {addresses: [10.10.0.2/24]}}}

            """
        try await withNode(shared) { node in
            #expect(try await node.findings([.mend, .note]).isEmpty)
            for name in ["rp_filter", "proxy_arp", "route_localnet"] {
                try await node.set("net/ipv4/conf/all/\(name)", 1)
            }
            let found = try await node.findings([.mend, .note])
            let file = "/etc/sysctl.d/90-sdagent.conf"
            #expect(
                found.map(\.remedy) == [
                    "printf 'net.ipv4.conf.all.rp_filter = 2\\n' >> \(file) && sysctl -p \(file)",
                    "printf 'net.ipv4.conf.all.proxy_arp = 0\\n' >> \(file) && sysctl -p \(file)",
                    "printf 'net.ipv4.conf.all.route_localnet = 0\\n' >> \(file) && sysctl -p \(file)",
                ])
            #expect(found.map(\.standing) == [.mend, .mend, .note])
        }
    }

    @Test("Without privileges it says what it could not look at, and does not call the node well")
    func unprivileged() async throws {
        try await withNode { node in
            // Root without any capability: the files stay readable, the kernel's doors are shut.
            let result = try await node.doctor(wrapped: ["setpriv", "--bounding-set=-all", "--inh-caps=-all"])
            #expect(result.code == 1)
            #expect(result.error == "")
            #expect(result.output.contains("? 5"))
            #expect(result.output.contains("that needs root\n      sudo sdagent doctor\n"))
            #expect(result.output.contains("\nNot all could be looked at; "))
        }
    }

    @Test("A manifest with mistakes is one line, and validate the remedy; no manifest at all is no trouble")
    func manifests() async throws {
        try await withNode("switches: {blue: {mtu: big}}\n") { node in
            let result = try await node.doctor()
            #expect(result.code == 1)
            #expect(result.output.contains("      sdagent validate -f \(node.place.manifest)\n"))
            let bare = try await command(node.namespace.inside([Self.program, "doctor", "--state", node.place.folder]))
            #expect(FileManager.default.fileExists(atPath: "/etc/sdagent") || bare.code == 0)
        }
    }
}
