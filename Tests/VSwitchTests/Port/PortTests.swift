import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

/// How a switch treats the ports of NICs.
@Suite(.enabled(if: TestNamespace.isPossible))
struct PortTests {
    private func isolated(_ name: String) -> PortSettings {
        var port = PortSettings()
        port.isIsolated = name != "c"
        return port
    }

    private func fixed(_ name: String) -> PortSettings {
        var port = PortSettings()
        if name == "a" { port.learning = .fixed }
        return port
    }

    @Test func `isolated NICs reach the others and the node, and not each other`() async throws {
        try await Hall.with { hall in
            let node = hall.node
            let wanted = try hall.desired(ports: isolated)
            #expect(await node.apply(wanted) == [])
            // An address of the bridge stands for a router.
            try await node.space.run("ip", "addr", "add", "10.0.0.9/24", "dev", "blue")
            #expect(try await hall.ping(0, "10.0.0.9"))
            #expect(try await hall.reaches(0, 2))
            #expect(try await hall.reaches(2, 1))
            #expect(try await !hall.reaches(0, 1))
            let before = try node.links()
            #expect(await node.plan(wanted) == [])
            #expect(await node.apply(wanted) == [])
            #expect(try node.links() == before)

            try await node.space.run("bridge", "link", "set", "dev", "a-net0", "isolated", "off")
            #expect(try await hall.reaches(0, 1))
            #expect(await node.plan(wanted) == ["nic/a/net0 update"])
            #expect(await node.apply(wanted) == [])
            #expect(try await !hall.reaches(0, 1))

            // Out of the bridge and in again: the kernel has forgotten all.
            try await node.space.run("ip", "link", "set", "a-net0", "nomaster")
            try await node.space.run("ip", "link", "set", "b-net0", "nomaster")
            try await node.space.run("ip", "link", "set", "b-net0", "master", "blue")
            #expect(await node.plan(wanted) == ["nic/a/net0 update", "nic/b/net0 update"])
            #expect(await node.apply(wanted) == [])
            #expect(try await hall.reaches(0, 2))
            #expect(try await !hall.reaches(0, 1))
            #expect(await node.apply(try hall.desired()) == [])
            #expect(try await hall.reaches(0, 1))
        }
    }

    @Test func `a port with static learning takes the NIC's own MAC only, and keeps it`() async throws {
        try await Hall.with { hall in
            let node = hall.node
            let wanted = try hall.desired(ports: fixed)
            #expect(await node.apply(wanted) == [])
            let mac = try #require(wanted.specs(of: NICKind.self)["a/net0"]?.mac.description)
            func entries() async throws -> [Substring] {
                try await node.space.run("bridge", "fdb", "show", "dev", "a-net0").split(separator: "\n")
                    // A kernel that has VLANs shows it for VLAN 1 once more.
                    .filter { $0.contains("static") && !$0.contains(" vlan ") }
            }
            #expect(try await entries().map { $0.hasPrefix(mac) && $0.contains("sticky") } == [true])
            let shown = try await node.space.run("bridge", "-d", "link", "show", "dev", "a-net0")
            #expect(shown.contains("learning off") && shown.contains("locked on"), "\(shown)")
            #expect(try await hall.reaches(0, 1))
            #expect(try await hall.reaches(2, 0))
            #expect(await node.plan(wanted) == [])

            // Another station behind the port, and the NIC's MAC heard elsewhere: neither gets anywhere.
            try await hall.spaces[0].run("ip", "link", "set", "eth0", "address", "02:00:00:00:00:99")
            #expect(try await !hall.ping(0, "10.0.0.2"))
            try await hall.spaces[0].run("ip", "link", "set", "eth0", "address", mac)
            try await hall.spaces[1].run(
                "python3", "-c",
                "import socket; s = socket.socket(17, 3); s.bind(('eth0', 0)); "
                    + "s.send(b'\\xff' * 6 + bytes.fromhex('\(mac)'.replace(':', '')) + b'\\x88\\xb5' + bytes(46))")
            #expect(try await entries().count == 1)

            try await node.space.run("bridge", "fdb", "del", mac, "dev", "a-net0", "master")
            try await node.space.run(
                "bridge", "fdb", "add", "02:00:00:00:00:99", "dev", "a-net0", "master", "static", "sticky")
            #expect(await node.plan(wanted) == ["nic/a/net0 update"])
            #expect(await node.apply(wanted) == [])
            #expect(try await entries().map { $0.hasPrefix(mac) } == [true])
            try await node.space.run("bridge", "link", "set", "dev", "a-net0", "learning", "on", "locked", "off")
            #expect(await node.plan(wanted) == ["nic/a/net0 update"])
            #expect(await node.apply(wanted) == [])

            #expect(await node.apply(try hall.desired()) == [])
            #expect(try await entries().isEmpty)
            #expect(try await hall.reaches(0, 1))
        }
    }

    @Test func `a tap comes up with its settings`() async throws {
        try await Node.with { node in
            var desired = Desired()
            desired.add(SwitchSpec(name: "blue"))
            var nic = NICSpec(machine: "vm1", name: "net0", switchName: "blue", mtu: 1500)
            nic.port.isIsolated = true
            nic.port.learning = .fixed
            desired.add(nic)
            #expect(await node.apply(desired) == [])
            let shown = try await node.space.run("bridge", "-d", "link", "show", "dev", "vm1-net0")
            for words in ["isolated on", "learning off", "locked on", ",UP"] {
                #expect(shown.contains(words), "\(words) in \(shown)")
            }
            let entries = try await node.space.run("bridge", "fdb", "show", "dev", "vm1-net0")
            #expect(entries.contains("\(nic.mac) sticky master blue static"), "\(entries)")
        }
    }
}
