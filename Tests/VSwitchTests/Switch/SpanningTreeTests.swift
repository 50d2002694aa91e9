import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

/// Switches in a spanning tree, with other bridges and with NICs that would be part of it.
@Suite(.enabled(if: TestNamespace.isPossible))
struct SpanningTreeTests {
    private var settings: SwitchSettings {
        var tree = SwitchSettings.SpanningTree()
        tree.forwardDelay = 4
        var settings = SwitchSettings()
        settings.spanningTree = tree
        return settings
    }

    /// A configuration message of a bridge that would be root (IEEE 802.1D-2004, 9.3.1).
    private let message = """
        import socket
        s = socket.socket(17, 3)
        s.bind(('eth0', 0))
        own = s.getsockname()[4]
        body = bytes(5) + bytes(2) + own + bytes(4) + bytes(2) + own + b'\\x80\\x01' + bytes([0, 0, 20, 0, 2, 0, 15, 0])
        s.send(bytes.fromhex('0180c2000000') + own + b'\\x00\\x26\\x42\\x42\\x03' + body + bytes(8))
        """

    @Test func `a NIC never becomes part of the tree`() async throws {
        try await Hall.with { hall in
            let node = hall.node
            let wanted = try hall.desired(settings)
            #expect(await node.apply(wanted) == [])
            #expect(try await eventually(within: 60) { try await hall.ping(0, "10.0.0.2") })
            #expect(await node.plan(wanted) == [])
            // No rule of a bridge sees the message: the kernel takes it off before (br_handle_frame).
            try await node.space.run(
                "nft",
                "table bridge other { chain c { type filter hook prerouting priority -300; "
                    + "ether daddr 01:80:c2:00:00:00 drop; }; }")
            try await hall.spaces[0].run("python3", "-c", message)
            #expect(try await eventually(within: 20) { await node.plan(wanted) == ["nic/a/net0 degraded"] })
            let bridge = try #require(try node.link("blue")?.bridge)
            #expect(bridge.isSTPEnabled && !bridge.followsAnother)
            #expect(try await hall.reaches(1, 2))
            #expect(try await !hall.ping(0, "10.0.0.2"))

            try await node.space.run("ip", "link", "set", "a-net0", "down")
            #expect(await node.apply(wanted) == [])
            #expect(try await eventually(within: 60) { try await hall.ping(0, "10.0.0.2") })

            try await node.space.run("bridge", "link", "set", "dev", "b-net0", "guard", "off")
            #expect(await node.plan(wanted) == ["nic/b/net0 update"])
            #expect(await node.apply(wanted) == [])
        }
    }

    @Test func `the times of another root are no drift`() async throws {
        try await Hall.with { hall in
            let node = hall.node
            for words in [
                "add eth1 type veth peer name far", "add other type bridge stp_state 1 priority 0",
                "set far master other", "set other up", "set far up",
            ] { try await node.space.run("sh", "-c", "ip link \(words)") }
            let wanted = try hall.desired(settings, uplinks: ["eth1"])
            #expect(await node.apply(wanted) == [])
            #expect(
                try await eventually(within: 60) {
                    try node.link("blue")?.bridge.map { $0.followsAnother && $0.forwardDelay == 1500 } == true
                })
            #expect(await node.plan(wanted) == [])
        }
    }
}
