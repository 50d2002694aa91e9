import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

/// What becomes of an overlay in the course of time.
@Suite("Overlay life", .enabled(if: TestNamespace.isPossible))
struct OverlayLifeTests {
    /// A node of its own with an address in an underlay, and nobody there.
    private func onNode<Value>(_ body: (Node) async throws -> Value) async throws -> Value {
        try await Node.with { node in
            try await node.space.run("ip", "link", "add", "eth1", "type", "veth", "peer", "eth1-far")
            try await node.space.run("ip", "addr", "add", "192.0.2.10/24", "dev", "eth1")
            try await node.space.run("ip", "link", "set", "eth1", "up")
            return try await body(node)
        }
    }

    private func desired(
        vni: Int = 100, local: String = "192.0.2.10", peers: String = "[192.0.2.11, 192.0.2.12]", more: String = "",
        switch fields: String = ""
    ) throws -> Desired {
        try Cluster.desired(
            "switches: { blue: { \(fields) overlay: { vni: \(vni), local: \"\(local)\", peers: \(peers), \(more) } } }")
    }

    private let hosts = """
        [ { address: 192.0.2.11, hosts: [ { mac: "02:00:00:00:00:21", address: [10.10.0.21, "fd00:10::21"] },
                                          { mac: "02:00:00:00:00:22", address: 10.10.0.22 } ] },
          { address: 192.0.2.12, hosts: [ { mac: "02:00:00:00:00:23" } ] } ]
        """

    /// All that an overlay has in the kernel, without times.
    private func picture(_ node: Node) async throws -> String {
        let link = try await node.space.run("ip", "-d", "link", "show", "vx-blue")
        let entries = try await node.space.run("bridge", "fdb", "show", "dev", "vx-blue")
        let neighbours = try await node.space.run("ip", "neigh", "show", "dev", "blue")
        let lines = (entries + neighbours).split(separator: "\n").sorted().joined(separator: "\n")
        return link.replacing(#/\b(state|[a-z_]+_timer) +\S+/#, with: "") + lines
    }

    @Test func `an overlay is made as asked, kept, and leaves nothing behind`() async throws {
        try await onNode { node in
            let bare = try node.names()
            let wanted = try desired(peers: hosts)
            #expect(await node.plan(wanted) == ["switch/blue create", "overlay/blue create"])
            #expect(await node.apply(wanted) == [])
            let shown = try await node.space.run("ip", "-d", "link", "show", "vx-blue")
            for words in [
                "vxlan id 100 local 192.0.2.10", "dstport 4789", "df set", "udpcsum", "mtu 1450", "master blue",
                "alias sdagent overlay/blue", "addrgenmode none", "neigh_suppress on", "learning on flood on",
                "isolated off", ",UP",
            ] { #expect(shown.contains(words), "\(words) in \(shown)") }
            #expect(!shown.contains("nolearning"))
            #expect(try await node.space.run("sysctl", "-n", "net.ipv6.conf.vx-blue.disable_ipv6") == "1\n")
            let entries = try await node.space.run("bridge", "fdb", "show", "dev", "vx-blue")
            for words in [
                "00:00:00:00:00:00 dst 192.0.2.11 self permanent", "00:00:00:00:00:00 dst 192.0.2.12 self permanent",
                "02:00:00:00:00:21 dst 192.0.2.11 self permanent", "02:00:00:00:00:21 sticky master blue static",
                "02:00:00:00:00:23 dst 192.0.2.12 self permanent", "02:00:00:00:00:23 sticky master blue static",
            ] { #expect(entries.contains(words), "\(words) in \(entries)") }
            let neighbours = try await node.space.run("ip", "neigh", "show", "dev", "blue")
            for words in [
                "10.10.0.21 lladdr 02:00:00:00:00:21 PERMANENT proto 201",
                "fd00:10::21 lladdr 02:00:00:00:00:21 PERMANENT proto 201",
                "10.10.0.22 lladdr 02:00:00:00:00:22 PERMANENT proto 201",
            ] { #expect(neighbours.contains(words), "\(words) in \(neighbours)") }
            #expect(await node.plan(wanted) == [])

            // Without the overlay the switch stays, and has its own MTU again.
            let plain = try Cluster.desired("switches: { blue: }")
            #expect(await node.plan(plain) == ["overlay/blue delete", "switch/blue update"])
            #expect(await node.apply(plain) == [])
            #expect(try node.names() == (bare + ["blue"]).sorted())
            #expect(try await node.space.run("ip", "neigh", "show", "dev", "blue") == "")
            #expect(
                try await node.space.run("bridge", "fdb", "show", "br", "blue").contains("02:00:00:00:00:2") == false)
            #expect(await node.apply(wanted) == [])
            #expect(await node.apply(Desired()) == [])
            #expect(try node.names() == bare)
        }
    }

    @Test func `neighbours that an overlay left when its link was deleted by hand go too`() async throws {
        try await onNode { node in
            #expect(await node.apply(try desired(peers: hosts)) == [])
            try await node.space.run("ip", "link", "delete", "vx-blue")
            let plain = try Cluster.desired("switches: { blue: { mtu: 1450 } }")
            #expect(await node.plan(plain).contains("overlay/blue delete"))
            #expect(await node.apply(plain) == [])
            #expect(try await node.space.run("ip", "neigh", "show", "dev", "blue") == "")
            #expect(await node.plan(plain) == [])
        }
    }

    @Test func `drift is found and mended, whatever it is`() async throws {
        try await onNode { node in
            let wanted = try desired(peers: hosts)
            #expect(await node.apply(wanted) == [])
            let good = try await picture(node)
            for drift in [
                "bridge fdb del 00:00:00:00:00:00 dst 192.0.2.12 dev vx-blue self",
                "bridge fdb append 00:00:00:00:00:00 dst 192.0.2.66 dev vx-blue self",
                "bridge fdb append 00:00:00:00:00:00 dst 192.0.2.12 port 4790 dev vx-blue self",
                "bridge fdb del 02:00:00:00:00:21 dev vx-blue self",
                "bridge fdb del 02:00:00:00:00:21 dev vx-blue master",
                "bridge fdb replace 02:00:00:00:00:21 dst 192.0.2.66 dev vx-blue self",
                "bridge fdb add 02:00:00:00:00:66 dst 192.0.2.11 dev vx-blue self",
                "bridge fdb add 02:00:00:00:00:66 dev vx-blue master static",
                "bridge fdb replace 02:00:00:00:00:22 dev vx-blue master static",
                "bridge fdb add 02:00:00:00:00:66 dev vx-blue master permanent",
                "ip neigh del 10.10.0.21 dev blue", "ip neigh del fd00:10::21 dev blue",
                "ip neigh replace 10.10.0.22 lladdr 02:00:00:00:00:66 dev blue nud permanent",
                "ip neigh replace 10.10.0.22 lladdr 02:00:00:00:00:22 dev blue nud reachable",
                "ip neigh add 10.10.0.66 lladdr 02:00:00:00:00:66 dev blue nud permanent protocol 201",
                "ip link set vx-blue down", "ip link set vx-blue mtu 1300", "ip link set vx-blue nomaster",
                "ip link set vx-blue address 02:00:00:00:00:77", "ip link set vx-blue addrgenmode eui64",
                "sysctl -qw net.ipv6.conf.vx-blue.disable_ipv6=0", "ip link set vx-blue type vxlan nolearning",
                "ip link set vx-blue type vxlan df unset", "ip link set vx-blue type vxlan ttl 3",
                "ip link set vx-blue type vxlan ageing 9", "ip link set vx-blue type vxlan local 192.0.2.99",
                "ip link set vx-blue type bridge_slave neigh_suppress off",
                "ip link set vx-blue type bridge_slave learning off",
                "ip link set vx-blue type bridge_slave flood off isolated on",
                "ip link set vx-blue type bridge_slave bcast_flood off", "ip link set vx-blue mtu 1000",
            ] {
                try await output(of: node.space.inside(drift.split(separator: " ").map(String.init)))
                #expect(await node.plan(wanted) == ["overlay/blue update"], "\(drift)")
                #expect(await node.apply(wanted) == [], "\(drift)")
                let mended = try await picture(node)
                #expect(mended == good, "\(drift)")
                #expect(await node.plan(wanted) == [], "\(drift)")
            }
            // A link or a bridge that is gone comes back with all it had.
            for drift in [["ip", "link", "delete", "vx-blue"], ["ip", "link", "delete", "blue"]] {
                try await output(of: node.space.inside(drift))
                #expect(await node.apply(wanted) == [], "\(drift)")
                let made = try await picture(node).replacing(#/(?m)^\d+: /#, with: "")
                #expect(made == good.replacing(#/(?m)^\d+: /#, with: ""), "\(drift)")
            }
        }
    }

    @Test func `what was learned and what another control plane has set stays`() async throws {
        try await onNode { node in
            let wanted = try desired()
            #expect(await node.apply(wanted) == [])
            for words in [
                "bridge fdb add 02:00:00:00:00:31 dst 192.0.2.12 dev vx-blue self dynamic",
                "bridge fdb add 02:00:00:00:00:32 dst 192.0.2.12 dev vx-blue self extern_learn",
                "bridge fdb add 02:00:00:00:00:32 dev vx-blue master extern_learn",
                "ip neigh add 10.10.0.31 lladdr 02:00:00:00:00:31 dev blue nud permanent",
            ] { try await output(of: node.space.inside(words.split(separator: " ").map(String.init))) }
            let before = try await picture(node)
            #expect(await node.plan(wanted) == [])
            #expect(await node.apply(try desired(peers: "[192.0.2.11, 192.0.2.12, 192.0.2.13]")) == [])
            #expect(await node.apply(wanted) == [])
            #expect(try await picture(node) == before)
        }
    }

    @Test func `a changed peer touches its own entries only`() async throws {
        try await onNode { node in
            try await TemporaryDirectory.with { directory in
                #expect(await node.apply(try desired(peers: hosts)) == [])
                // The peer .12 becomes .13, and its host moves there with it.
                let moved = try desired(peers: hosts.replacing("192.0.2.12", with: "192.0.2.13"))
                let log = directory.file("events")
                // Without their errors: `ip` complains of namespaces that other tests have taken away.
                let watch = "bridge monitor fdb 2>/dev/null & exec ip monitor neigh 2>/dev/null"
                try await RunningCommand.with(node.space.inside(["sh", "-c", watch]), log: log) { _ in
                    try await Task.sleep(for: .milliseconds(500))
                    #expect(await node.apply(moved) == [])
                    try await Task.sleep(for: .milliseconds(500))
                }
                let events = try directory.read("events").replacing(" \n", with: "\n").split(separator: "\n")
                let expected = [
                    "00:00:00:00:00:00 dev vx-blue dst 192.0.2.13 self permanent",
                    "02:00:00:00:00:23 dev vx-blue dst 192.0.2.13 self permanent",
                    "Deleted 00:00:00:00:00:00 dev vx-blue dst 192.0.2.12 self permanent",
                ]
                // `ip monitor` shows entries of the link a second time, as if they were neighbours.
                let told = events.filter { !($0.contains("dev vx-blue") && $0.contains("lladdr")) }.map(String.init)
                // Older kernels tell of each a second time, without its destination (Linux 6.1 does).
                let placed = told.filter { $0.contains(" dst ") }
                func isTwin(_ line: String) -> Bool {
                    let beginning = line.prefix { $0 != "v" }
                    return !line.contains(" dst ") && placed.contains { $0.hasPrefix(beginning) }
                }
                #expect(told.filter { !isTwin($0) }.sorted() == expected)
            }
        }
    }

    @Test func `what a link keeps for life makes it anew, all else is changed in place`() async throws {
        try await onNode { node in
            try await node.space.run("ip", "addr", "add", "fd00:1::10/64", "dev", "eth1", "nodad")
            #expect(await node.apply(try desired(peers: hosts)) == [])
            let index = try node.link("vx-blue")?.index
            for wanted in try [
                desired(peers: "[]"), desired(local: "192.0.2.20", peers: hosts),
                desired(peers: hosts, more: "learning: false, suppress: false"),
                desired(peers: "[192.0.2.11]", switch: "mtu: 1200,"),
                desired(peers: "[192.0.2.44]", switch: "mtu: 1300,"),
            ] {
                let plan = await node.plan(wanted)
                #expect(plan.allSatisfy { $0.hasSuffix(" update") } && plan.contains("overlay/blue update"), "\(plan)")
                let left = await node.apply(wanted)
                #expect(left == [])
                #expect(await node.plan(wanted) == [])
                #expect(try node.link("vx-blue")?.index == index)
            }
            for wanted in try [
                desired(vni: 101, peers: hosts), desired(vni: 101, peers: hosts, more: "port: 8472"),
                desired(vni: 101, local: "fd00:1::10", peers: "[\"fd00:1::11\"]"),
            ] {
                #expect(await node.plan(wanted).contains("overlay/blue replace"))
                #expect(await node.apply(wanted) == [])
                #expect(await node.plan(wanted) == [])
            }
        }
    }

    @Test func `a thousand hosts are programmed, and one that moves is one entry`() async throws {
        try await onNode { node in
            func peers(moved: Int? = nil) -> String {
                let hosts = [11, 12].map { peer in
                    let list = (0..<1000).filter { ($0 == moved ? 12 : 11) == peer }.map { host in
                        "{ mac: \"02:00:00:00:0\(host / 100):\(host % 100 < 10 ? "0" : "")\(host % 100)\", "
                            + "address: [10.10.\(host / 100).\(host % 100), \"fd00:10::\(host)\"] }"
                    }
                    return "{ address: 192.0.2.\(peer), hosts: [\(list.joined(separator: ", "))] }"
                }
                return "[\(hosts.joined(separator: ", "))]"
            }
            let wanted = try desired(peers: peers())
            #expect(await node.apply(wanted) == [])
            let entries = try await node.space.run("bridge", "fdb", "show", "dev", "vx-blue").split(separator: "\n")
            #expect(entries.filter { $0.contains("dst 192.0.2.11 self permanent") }.count == 1001)
            #expect(entries.filter { $0.contains("sticky master blue static") }.count == 1000)
            let neighbours = try await node.space.run("ip", "neigh", "show", "dev", "blue").split(separator: "\n")
            #expect(neighbours.filter { $0.contains("PERMANENT proto 201") }.count == 2000)
            #expect(await node.apply(wanted) == [])
            let moved = try desired(peers: peers(moved: 777))
            let plan = await node.reconciler.plan(moved)
            #expect(plan.pending.map(\.change) == [.update([FieldChange("hosts", to: "~02:00:00:00:07:77")])])
            #expect(await node.apply(moved) == [])
            #expect(await node.apply(Desired()) == [])
        }
    }
}
