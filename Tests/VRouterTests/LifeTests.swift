import Netlink
import Reconcile
import Rules
import TestSupport
import Testing
@testable import VRouter

/// Routers made, changed, bent and taken away, beside what others have put there.
@Suite(.enabled(if: TestNamespace.isPossible))
struct LifeTests {
    private static let nothing = "switches: { blue: {}, wan: {} }\n"

    @Test(arguments: [IPv6Forwarding.perInterface, .wholeNode])
    func `removal leaves the node as it was, with all that is foreign`(ipv6: IPv6Forwarding) async throws {
        try await Site.with { site in
            try await Self.addForeign(site)
            let before = try await site.picture()
            #expect(try await site.apply(TrafficTests.manifest, ipv6) == [])
            let during = try await site.picture()
            for mark in ["inet 192.0.2.1/24", "192.0.2.128/25 via 192.0.2.9", "table inet foreign", "32000:"] {
                #expect(during.contains(mark), "\(mark)")
            }
            #expect(try await site.plan(TrafficTests.manifest, ipv6) == "Plan: no changes.\n")
            let plan = try await site.plan(Self.nothing, ipv6)
            #expect(plan.contains("- router/gw  delete") && plan.contains("- nat/inet  delete"), "\(plan)")
            #expect(try await site.apply(Self.nothing, ipv6) == [])
            let left = try await Self.difference(from: before, site)
            #expect(left == [])
            #expect(try await site.plan(Self.nothing, ipv6) == "Plan: no changes.\n")
        }
    }

    @Test func `the whole node forwards IPv6 only in name, and only while a router needs it`() async throws {
        try await Site.with { site in
            try await site.node.run("ip", "link", "add", "eth9", "type", "veth", "peer", "name", "eth8")
            let before = try await site.settings()
            #expect(try await site.apply(TrafficTests.manifest, .wholeNode) == [])
            let during = try await site.settings()
            #expect(during.contains("ipv6/conf/all/forwarding:1"))
            for name in ["default", "eth9", "eth8"] { #expect(during.contains("ipv6/conf/\(name)/forwarding:0")) }
            #expect(try await site.apply(Self.nothing, .wholeNode) == [])
            #expect(try await site.settings() == before)
            // Switched on by somebody else, it stays on.
            try await site.node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
            #expect(try await site.apply(TrafficTests.manifest, .wholeNode) == [])
            #expect(try await site.apply(Self.nothing, .wholeNode) == [])
            #expect(try await site.settings().contains("ipv6/conf/all/forwarding:1"))
        }
    }

    @Test(arguments: [
        ("ip addr del 10.10.0.1/24 dev blue", "address on blue  10.10.0.1/24"),
        ("ip -6 addr del fd00:10::1/64 dev blue", "address on blue  fd00:10::1/64"),
        ("ip route flush proto 201 table all", "route to default  via 203.0.113.1 on wan"),
        ("ip rule flush proto 201", "rule 20100"),
        ("sh -c 'echo 0 > /proc/sys/net/ipv4/conf/blue/forwarding'", "IPv4 forwarding from blue  on"),
        ("sh -c 'echo 0 > /proc/sys/net/ipv6/conf/wan/force_forwarding'", "IPv6 forwarding from wan"),
        ("ip link property del dev blue altname sdagent.router.gw.blue", "mark of blue"),
        ("ip link set wan down", "route to default  via 203.0.113.1 on wan"),
        ("nft delete table inet sdagent", "translate  forward tcp 203.0.113.2:8443 to 10.10.0.10:443"),
        ("nft flush chain inet sdagent postrouting", "translate  masquerade 10.10.0.0/24 out of wan"),
        (
            "nft delete element inet sdagent forward4 { 203.0.113.2 . tcp . 8443 }",
            "translate  forward tcp 203.0.113.2:8443 to 10.10.0.10:443"
        ),
        ("nft add element inet sdagent paths { blue . lo }", "paths  5 → 4"),
        ("nft insert rule inet sdagent forward accept", "rules  changed by another program → as compiled"),
    ])
    func `drift is told and mended`(words: String, told: String) async throws {
        try await Site.with { site in
            let applied = try await site.apply(TrafficTests.manifest)
            #expect(applied == [])
            #expect(try await site.node.settle())
            let before = try await site.picture()
            try await site.node.run("sh", "-c", words)
            // The bridge is another part's to switch on again.
            try await site.node.run("ip", "link", "set", "wan", "up")
            let plan = try await site.plan(TrafficTests.manifest)
            #expect(plan.replacing(#/  +/#, with: "  ").contains(told), "\(plan)")
            let mended = try await site.apply(TrafficTests.manifest)
            #expect(mended == [])
            let left = try await Self.difference(from: before, site)
            #expect(left == [])
        }
    }

    @Test func `a change touches what differs, in words of the manifest`() async throws {
        try await Site.with { site in
            #expect(try await site.apply(TrafficTests.manifest) == [])
            let next = TrafficTests.manifest
                .replacing("10.10.0.1/24,", with: "10.10.0.1/25,").replacing(
                    "via: 203.0.113.1 }", with: "via: 203.0.113.9 }"
                )
                .replacing("port: 8443, to: 10.10.0.10:443", with: "port: 8443, to: 10.10.0.10:444")
            let wanted = """
                  ~ nat/inet  update
                        translate  forward tcp 203.0.113.2:8443 to 10.10.0.10:444
                        translate  hairpin 10.10.0.0/25 on blue
                        translate  forward tcp 203.0.113.2:8443 to 10.10.0.10:443 → none
                        translate  hairpin 10.10.0.0/24 on blue → none
                  ~ router/gw  update
                        address on blue   10.10.0.1/24 → 10.10.0.1/25
                        route to default  via 203.0.113.1 on wan → via 203.0.113.9 on wan

                Plan: 2 to update.

                """
            #expect(try await site.plan(next) == wanted)
            #expect(try await site.apply(next) == [])
            let addresses = try await site.node.run("ip", "-4", "-o", "addr", "show", "dev", "blue")
            #expect(addresses.contains("10.10.0.1/25") && !addresses.contains("/24"), "\(addresses)")
        }
    }

    @Test func `what a renamed bridge keeps of a router is taken from it`() async throws {
        try await Site.with { site in
            #expect(try await site.apply(TrafficTests.manifest) == [])
            for line in [
                "link set blue alias other", "link set blue down", "link set blue name bluex", "link set bluex up",
                "link add blue type bridge",
                "link set blue addrgenmode none up",
            ] {
                try await output(of: site.node.inside(["ip"] + line.split(separator: " ").map(String.init)))
            }
            try await site.node.run("ip", "link", "set", "blue", "alias", "sdagent switch/blue")
            #expect(try await site.plan(TrafficTests.manifest).contains("~ router/gw  update\n"))
            #expect(try await site.apply(TrafficTests.manifest) == [])
            #expect(try await site.node.run("ip", "link", "show", "blue").contains("altname sdagent.router.gw.blue"))
            #expect(try await !site.node.run("ip", "link", "show", "bluex").contains("sdagent"))
            #expect(try await site.node.run("ip", "-4", "-o", "addr", "show", "dev", "bluex") == "")
            #expect(try await site.settings().contains("ipv4/conf/bluex/forwarding:0"))
            #expect(try await site.plan(TrafficTests.manifest) == "Plan: no changes.\n")
        }
    }

    @Test func `a mark on a link that is no bridge is a failure that names it`() async throws {
        try await Site.with { site in
            try await site.node.run("ip", "link", "add", "eth9", "type", "veth", "peer", "name", "eth8")
            try await site.node.run("ip", "link", "property", "add", "dev", "eth9", "altname", "sdagent.router.gw.blue")
            let trouble = try await site.apply(TrafficTests.manifest)
            #expect(trouble.count == 1)
            #expect(trouble.first?.hasPrefix("router/gw failed: add alternative name to link blue ") == true)
            #expect(trouble.first?.contains("another link has that name: take it off with") == true, "\(trouble)")
        }
    }

    @Test func `an address of ours that nobody wants goes`() async throws {
        try await Site.with { site in
            #expect(try await site.apply(TrafficTests.manifest) == [])
            var socket = try site.location.socket(.route)
            let blue = try #require(try socket.bridges().first { $0.name.description == "blue" })
            var batch = MessageWriter()
            batch.addAddress(try #require(IPPrefix("10.10.0.9/24")), to: blue.index)
            #expect(try socket.request(batch) == [nil])
            #expect(try await site.plan(TrafficTests.manifest).contains("address on blue  10.10.0.9/24 → none"))
            #expect(try await site.apply(TrafficTests.manifest) == [])
            #expect(try await site.node.run("ip", "addr").contains("10.10.0.9") == false)
        }
    }

    @Test func `an address of somebody else's serves, and stays when ours go`() async throws {
        try await Site.with { site in
            try await site.node.run("ip", "addr", "add", "10.10.0.1/24", "dev", "blue")
            try await site.node.run("ip", "addr", "add", "10.10.0.77/24", "dev", "blue")
            #expect(try await site.apply(TrafficTests.manifest) == [])
            #expect(try await site.apply(Self.nothing) == [])
            let left = try await site.node.run("ip", "-4", "-o", "addr", "show", "dev", "blue")
            #expect(left.contains("10.10.0.1/24") && left.contains("10.10.0.77/24"), "\(left)")
        }
    }

    @Test(arguments: ["0", "1"])
    func `an address of somebody else's in our subnet stays when ours changes`(isForwarding: String) async throws {
        try await Site.with { site in
            // Of the whole node, as other programs switch it on; our own switches are then nobody's.
            try await site.node.run("sh", "-c", "echo \(isForwarding) > /proc/sys/net/ipv4/ip_forward")
            #expect(try await site.apply(TrafficTests.manifest) == [])
            try await site.node.run("ip", "addr", "add", "10.10.0.77/24", "dev", "blue")
            let next = TrafficTests.manifest.replacing("10.10.0.1/24", with: "10.10.0.2/24")
            #expect(try await site.apply(next) == [])
            let left = try await site.node.run("ip", "-4", "-o", "addr", "show", "dev", "blue")
            #expect(left.contains("10.10.0.2/24") && left.contains("10.10.0.77/24"), "\(left)")
            #expect(!left.contains("10.10.0.1/24"))
            let promotes = try await site.node.run("cat", "/proc/sys/net/ipv4/conf/blue/promote_secondaries")
            #expect(promotes == "0\n")
        }
    }

    @Test func `a foreign route in the place of ours is named`() async throws {
        try await Site.with { site in
            #expect(try await site.apply(TrafficTests.manifest) == [])
            let table = RouterTable.number(of: "gw")
            try await site.node.run(
                "ip", "route", "replace", "default", "via", "203.0.113.7", "table", "\(table)", "proto", "boot")
            let trouble = try await site.apply(TrafficTests.manifest)
            let words =
                "router/gw failed: add route to default via 203.0.113.1 on wan: File exists: somebody else has "
                + "put another one there; see `ip route show table \(table)`, and take it out"
            #expect(trouble == [words])
            try await site.node.run("ip", "route", "delete", "default", "via", "203.0.113.7", "table", "\(table)")
            #expect(try await site.apply(TrafficTests.manifest) == [])
        }
    }

    @Test func `a bridge whose IPv6 is switched off is named with the remedy, and IPv4 works`() async throws {
        try await Site.with { site in
            try await site.node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/blue/disable_ipv6")
            let trouble = try await site.apply(TrafficTests.manifest)
            #expect(trouble.count == 1)
            let words = "router/gw failed: add address fd00:10::1/64 on blue: Permission denied: "
            #expect(trouble.first?.hasPrefix(words) == true, "\(trouble)")
            #expect(trouble.first?.contains("; switch it on with `sysctl net.ipv6.conf.blue.disable_ipv6=0`") == true)
            #expect(try await site.pings(site.a, "10.10.0.1"))
            try await site.node.run("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/blue/disable_ipv6")
            #expect(try await site.apply(TrafficTests.manifest) == [])
        }
    }

    @Test func `a router without its bridge fails by name, and the others are made`() async throws {
        try await Site.with { site in
            let text = """
                switches: { blue: {}, wan: {} }
                routers:
                  gw: { interfaces: { blue: { addresses: [10.10.0.1/24] } } }
                  other: { interfaces: { wan: { addresses: [203.0.113.2/24] } } }
                """
            try await site.node.run("ip", "link", "delete", "blue")
            let trouble = try await site.apply(text)
            #expect(trouble.count == 1)
            #expect(trouble.first?.hasPrefix("router/gw failed: there is no bridge blue") == true, "\(trouble)")
            #expect(try await site.pings(site.outside, "203.0.113.2"))
        }
    }

    @Test func `a table of the same name that is not ours is a conflict`() async throws {
        try await Site.with { site in
            try await site.node.run("nft", "add", "table", "inet", "sdagent")
            let trouble = try await site.apply(TrafficTests.manifest)
            #expect(
                trouble.contains { $0.hasPrefix("nat/inet conflict: a table 'inet sdagent' is there") }, "\(trouble)")
            // Nothing forwards without the rules that say what may be.
            #expect(trouble.contains { $0.hasPrefix("router/gw skipped") }, "\(trouble)")
            #expect(try await site.apply(Self.nothing) == [])
            #expect(try await site.node.run("nft", "list", "tables").contains("inet sdagent"))
        }
    }

    @Test func `a bridge of somebody else's does not feel the rules`() async throws {
        try await Site.with { site in
            try await site.node.run("ip", "link", "set", "wan", "alias", "theirs")
            let text = """
                switches: { blue: {}, wan: {} }
                routers:
                  gw: { interfaces: { blue: { addresses: [10.10.0.1/24] } } }
                  other: { interfaces: { wan: { addresses: [203.0.113.2/24] } } }
                """
            let desired = try #require(Manifests.load(text).desired)
            let report = await Reconciler(kinds: [SwitchStand(), site.kinds().nat]).apply(desired)
            #expect(report.exitCode == 0)
            let rules = try await site.node.run("nft", "list", "ruleset")
            #expect(rules.contains("\"blue\"") && !rules.contains("\"wan\""), "\(rules)")
        }
    }

    @Test func `a bridge that a router is to leave passes nothing on until it has left`() async throws {
        try await Site.with { site in
            #expect(try await site.apply(TrafficTests.manifest) == [])
            let next =
                "switches: { blue: {}, wan: {} }\n"
                + "routers: { gw: { interfaces: { blue: { addresses: [10.10.0.1/24] } } } }\n"
            let desired = try #require(Manifests.load(next).desired)
            // The rules alone: the router has not been changed yet.
            _ = await Reconciler(kinds: [SwitchStand(), site.kinds().nat]).apply(desired)
            let between = try await site.node.run("nft", "list", "set", "inet", "sdagent", "interfaces")
            #expect(between.contains("\"blue\"") && between.contains("\"wan\""), "\(between)")
            #expect(try await !site.node.run("nft", "list", "set", "inet", "sdagent", "paths").contains("wan"))
            #expect(try await site.plan(next).contains("interfaces  2 → 1"))
            #expect(try await site.apply(next) == [])
            #expect(try await !site.node.run("nft", "list", "ruleset").contains("\"wan\""))
            #expect(try await site.plan(next) == "Plan: no changes.\n")
        }
    }

    /// What a change says that was planned before somebody committed `foreign`.
    private func outcome(_ site: Site, after foreign: [String]) async throws -> [StepOutcome] {
        let desired = try #require(Manifests.load(TrafficTests.manifest).desired)
        let nat = site.kinds().nat
        #expect(try await site.apply(TrafficTests.manifest) == [])
        try await site.node.run("nft", "flush", "chain", "inet", "sdagent", "forward")
        let seen = try #require(try await nat.observe(desired)["inet"])
        let spec = desired.specs(of: NATKind.self)["inet"]
        try await output(of: site.node.inside(["nft"] + foreign))
        let change = nat.diff(name: "inet", spec: spec, observation: seen)
        let step = Step(name: "inet", change: change, spec: spec, observation: seen)
        return await nat.perform([step], desired: desired)
    }

    @Test func `a commit elsewhere between look and deed is no matter`() async throws {
        try await Site.with { site in
            let outcomes = try await outcome(site, after: ["add", "table", "ip", "foreign"])
            #expect(outcomes == [.done])
            #expect(try await site.node.run("nft", "list", "tables").contains("table ip foreign"))
            #expect(try await site.apply(TrafficTests.manifest) == [])
        }
    }

    @Test func `a commit to our table between look and deed is noticed`() async throws {
        try await Site.with { site in
            let outcomes = try await outcome(site, after: ["flush", "chain", "inet", "sdagent", "prerouting"])
            #expect(outcomes == [.stale("another program changed the nftables rules at the same moment")])
            #expect(try await site.apply(TrafficTests.manifest) == [])
        }
    }

    @Test func `routes that the node has learned from advertisements stay`() async throws {
        try await Site.with { site in
            try await TestNamespace.with { upstream in
                try await site.node.run(
                    "ip", "link", "add", "eth9", "type", "veth", "peer", "name", "eth0", "netns", upstream.name)
                try await upstream.run("ip", "link", "set", "eth0", "up")
                try await site.node.run("ip", "link", "set", "eth9", "up")
                let isLearned = try await eventually(within: 8) {
                    // It fails until the sender's own address is known to be nobody else's.
                    _ = try await upstream.attempt("python3", "-c", Self.advertise)
                    return try await site.node.run("ip", "-6", "route").contains("default via fe80")
                }
                #expect(isLearned)
                #expect(try await site.apply(TrafficTests.manifest) == [])
                let routes = try await site.node.run("ip", "-6", "route")
                #expect(routes.contains("default via fe80") && routes.contains("dev eth9 proto ra"), "\(routes)")
                #expect(try await site.settings().contains("ipv6/conf/eth9/accept_ra:1"))
            }
        }
    }

    /// A router advertisement with a lifetime of 1,800 s (RFC 4861, 4.2); the kernel fills the checksum in.
    private static let advertise = """
        import socket
        s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        s.sendto(bytes([134, 0, 0, 0, 64, 0, 7, 8] + [0] * 8), ('ff02::1', 0, 0, socket.if_nametoindex('eth0')))
        """

    /// What others might have on the same links and in the same hooks.
    private static func addForeign(_ site: Site) async throws {
        for line in [
            "ip addr add 192.0.2.1/24 dev blue", "ip route add 192.0.2.128/25 via 192.0.2.9",
            "ip rule add from 192.0.2.7 lookup 77 priority 32000", "nft add table inet foreign",
            "nft add chain inet foreign input { type filter hook input priority 0 ; }",
            "ip link property add dev blue altname other",
        ] {
            try await site.node.run("sh", "-c", line.replacing("{", with: "'{").replacing("}", with: "}'"))
        }
    }

    /// The lines in which the node differs from a picture; what is made anew may be listed elsewhere.
    ///
    /// The kernel settles some things in its own time: the anycast address of a subnet follows the address.
    private static func difference(from before: String, _ site: Site) async throws -> [String] {
        let old = Set(before.split(separator: "\n"))
        var lines: [String] = []
        _ = try await eventually(within: 5) {
            let new = Set(try await site.picture().split(separator: "\n"))
            lines = new.subtracting(old).map { "now: \($0)" }
            lines += old.subtracting(new).map { "before: \($0)" }
            return lines.isEmpty
        }
        return lines.sorted()
    }
}
