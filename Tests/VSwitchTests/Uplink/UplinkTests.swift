import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

@Suite(.enabled(if: TestNamespace.isPossible))
struct UplinkTests {
    /// A switch that borrows ports; references as the manifest gives them.
    private func desired(_ name: String = "wan", _ ports: String...) throws -> Desired {
        var desired = Desired()
        desired.add(SwitchSpec(name: name))
        for port in ports {
            let spec = UplinkSpec(interface: try #require(InterfaceName(port)), switchName: name)
            desired.add(UplinkKind.self, port, spec)
        }
        return desired
    }

    /// A port of the machine: a veth end stands for a physical one.
    private func addPort(_ node: Node, _ name: String) async throws {
        try await node.space.run("ip", "link", "add", name, "type", "veth", "peer", "name", "\(name)-peer")
    }

    @Test func `a port is borrowed and given back as it was`() async throws {
        try await Node.with { node in
            for port in ["eth1", "eth2"] { try await addPort(node, port) }
            try await node.space.run("ip", "link", "set", "eth2", "up")
            try await node.space.run("ip", "link", "set", "eth2", "addrgenmode", "random")
            let before = try [node.steady("eth1"), node.steady("eth2")]
            let wanted = try desired("wan", "eth1", "eth2")
            #expect(await node.plan(wanted) == ["switch/wan create", "uplink/eth1 create", "uplink/eth2 create"])
            #expect(await node.apply(wanted) == [])
            let shown = try await node.space.run("ip", "-d", "link", "show", "eth1")
            for words in ["master wan", ",UP", "altname sdagent.uplink.000.", "addrgenmode none"] {
                #expect(shown.contains(words), "\(words) in \(shown)")
            }
            #expect(await node.plan(wanted) == [])
            let bridged = try await node.space.run("bridge", "link")
            #expect(bridged.contains("eth1") && bridged.contains("eth2"))

            #expect(await node.apply(try desired("wan", "eth2")) == [])
            #expect(try node.steady("eth1") == before[0])
            #expect(await node.apply(Desired()) == [])
            #expect(try node.steady("eth2") == before[1])
            let names = try node.names()
            #expect(names == ["eth1", "eth1-peer", "eth2", "eth2-peer", "lo"])
        }
    }

    /// All that the node tells of a port, save what its own counters and timers move.
    private func portrait(_ node: Node, _ name: String) async throws -> String {
        let link = try await node.space.run("ip", "-d", "link", "show", name)
        let addresses = try await node.space.run("ip", "addr", "show", name)
        let settings = try await node.space.run(
            "sh", "-c",
            "for f in 4 6; do cd /proc/sys/net/ipv$f/conf/\(name) && for i in *; do "
                + "[ $i = stable_secret ] || echo $f $i $(cat $i); done; done")
        return link + addresses + settings
    }

    @Test func `a port's MTU, promiscuity, addresses and IPv6 settings are as before, up or down`() async throws {
        try await Node.with { node in
            for port in ["eth1", "eth2"] {
                try await addPort(node, port)
                for words in ["mtu 1400", "promisc on", "allmulticast on", "txqueuelen 77"] {
                    try await node.space.run("sh", "-c", "ip link set \(port) \(words)")
                }
                try await node.space.run("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/\(port)/accept_ra")
                try await node.space.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/\(port)/accept_dad")
                try await node.space.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/\(port)/forwarding")
            }
            // One that has never been up shows another queue than one that has.
            for state in ["up", "down"] { try await node.space.run("ip", "link", "set", "eth1", state) }
            for link in ["eth2", "eth2-peer"] { try await node.space.run("ip", "link", "set", link, "up") }
            func settled() async throws -> Bool {
                let shown = try await portrait(node, "eth2")
                return shown.contains("scope link") && !shown.contains("tentative") && shown.contains("state UP")
            }
            #expect(try await eventually(within: 20) { try await settled() })
            let before = [try await portrait(node, "eth1"), try await portrait(node, "eth2")]
            #expect(before[1].contains("inet6 fe80::") && before[1].contains("PROMISC"))
            // Smaller than the switch's, which is told and not changed.
            let left = await node.apply(try desired("wan", "eth1", "eth2"))
            #expect(left.count == 2)
            for words in left {
                #expect(words.contains("degraded: packets of 1401 to 1500 bytes do not leave by it"), "\(words)")
            }
            #expect(try await portrait(node, "eth2").contains("master wan"))
            #expect(await node.apply(Desired()) == [])
            #expect(try await eventually(within: 20) { try await settled() })
            #expect(try await portrait(node, "eth1") == before[0])
            #expect(try await portrait(node, "eth2") == before[1])
        }
    }

    @Test func `a missing port is reported, and the rest converges`() async throws {
        try await Node.with { node in
            try await addPort(node, "eth1")
            let left = await node.apply(try desired("wan", "eth0", "eth1"))
            #expect(left == ["uplink/eth0 unsupported: this node has no link named eth0"])
            let port = try node.link("eth1")
            #expect(port?.master == (try node.link("wan")?.index))
        }
    }

    @Test func `a port in use is a conflict and is not touched`() async throws {
        try await Node.with { node in
            for port in ["eth1", "eth2"] { try await addPort(node, port) }
            try await node.space.run("ip", "addr", "add", "192.0.2.5/24", "dev", "eth1")
            try await node.space.run("ip", "link", "add", "other", "type", "bridge")
            try await node.space.run("ip", "link", "set", "eth2", "master", "other")
            let before = try [node.link("eth1"), node.link("eth2")]
            let left = await node.apply(try desired("wan", "eth1", "eth2", "lo"))
            #expect(left.count == 3)
            #expect(left[0].hasPrefix("uplink/eth1 conflict: eth1 has addresses of its own (192.0.2.5/24)"))
            #expect(left[1].hasPrefix("uplink/eth2 conflict: eth2 is a port of other, which is not ours"))
            #expect(left[2].hasPrefix("uplink/lo conflict: lo cannot be a port of a bridge"))
            #expect(try [node.link("eth1"), node.link("eth2")] == before)
            #expect(await node.apply(Desired()) == [])
            #expect(try [node.link("eth1"), node.link("eth2")] == before)
        }
    }

    @Test func `a port with a link-local address or routes of somebody's is in use`() async throws {
        try await Node.with { node in
            for port in ["eth1", "eth2", "eth3", "eth4"] {
                try await addPort(node, port)
                try await node.space.run("ip", "link", "set", port, "up")
                try await node.space.run("ip", "link", "set", "\(port)-peer", "up")
            }
            try await node.space.run("ip", "-6", "addr", "add", "fe80::1/64", "dev", "eth1")
            try await node.space.run("ip", "-6", "route", "add", "default", "via", "fe80::9", "dev", "eth2")
            try await node.space.run("ip", "route", "add", "198.51.100.0/24", "dev", "eth3")
            let before = try await node.space.run("ip", "-6", "route", "show", "default")
            let left = await node.apply(try desired("wan", "eth1", "eth2", "eth3", "eth4"))
            #expect(left.count == 3, "\(left)")
            #expect(left[0].hasPrefix("uplink/eth1 conflict: eth1 has addresses of its own (fe80::1/64)"))
            #expect(left[1].hasPrefix("uplink/eth2 conflict: eth2 has routes of its own (default)"))
            #expect(left[2].hasPrefix("uplink/eth3 conflict: eth3 has routes of its own (198.51.100.0/24)"))
            #expect(try await node.space.run("ip", "-6", "route", "show", "default") == before)
        }
    }

    @Test func `a port that was put into our bridge by hand is borrowed from there`() async throws {
        try await Node.with { node in
            try await addPort(node, "eth1")
            #expect(await node.apply(try desired("wan")) == [])
            try await node.space.run("ip", "link", "set", "eth1", "master", "wan")
            #expect(await node.apply(try desired("wan", "eth1")) == [])
            #expect(await node.apply(try desired("wan")) == [])
            let port = try node.link("eth1")
            #expect(port?.master == nil && port?.alternativeNames == [])
        }
    }

    @Test func `a port moves to another switch, and drift is mended`() async throws {
        try await Node.with { node in
            try await addPort(node, "eth1")
            let before = try node.steady("eth1")
            #expect(await node.apply(try desired("wan", "eth1")) == [])
            try await node.space.run("ip", "link", "set", "eth1", "nomaster")
            #expect(await node.plan(try desired("wan", "eth1")) == ["uplink/eth1 update"])
            #expect(await node.apply(try desired("wan", "eth1")) == [])
            #expect(await node.plan(try desired("lan", "eth1")).contains("uplink/eth1 replace"))
            #expect(await node.apply(try desired("lan", "eth1")) == [])
            let port = try node.link("eth1")
            #expect(port?.master == (try node.link("lan")?.index))
            #expect(port?.alternativeNames == ["sdagent.uplink.000.\(port?.index ?? 0).lan"])
            #expect(await node.apply(Desired()) == [])
            #expect(try node.steady("eth1") == before)
        }
    }

    @Test func `two ports that are alike are borrowed by one switch`() async throws {
        try await Node.with { node in
            for port in ["eth1", "eth2"] { try await addPort(node, port) }
            let before = try [node.steady("eth1"), node.steady("eth2")]
            #expect(await node.apply(try desired("wan", "eth1", "eth2")) == [])
            #expect(await node.apply(Desired()) == [])
            #expect(try [node.steady("eth1"), node.steady("eth2")] == before)
        }
    }

    @Test func `a NIC of ours is no port to borrow`() async throws {
        try await Node.with { node in
            var wanted = try desired("wan")
            wanted.add(NICSpec(machine: "vm1", name: "net0", switchName: "wan", mtu: 1500))
            #expect(await node.apply(wanted) == [])
            let left = await node.plan(try desired("wan", "vm1-net0"))
            #expect(left == ["nic/vm1/net0 delete", "uplink/vm1-net0 conflict"])
        }
    }
}
