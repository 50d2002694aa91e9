import Capabilities
import Reconcile
import TestSupport
import Testing
import VSwitch

/// What a switch learns, its spanning tree, and where multicast goes.
@Suite(.enabled(if: TestNamespace.isPossible))
struct SwitchSettingsTests {
    @Test func `the bridge gets them, and drift is mended`() async throws {
        try await Node.with { node in
            var spec = SwitchSpec(name: "blue")
            var tree = SwitchSettings.SpanningTree()
            tree.priority = 4096
            tree.forwardDelay = 4
            spec.settings.spanningTree = tree
            spec.settings.multicast = .snoop(isQuerier: true)
            spec.settings.ageing = 60
            var desired = Desired()
            desired.add(spec)
            #expect(await node.apply(desired) == [])
            let words = [
                "stp_state 1", "forward_delay 400 ", "max_age 600 ", "priority 4096", "ageing_time 6000",
                "mcast_snooping 1", "mcast_querier 1", "mcast_igmp_version 3", "mcast_mld_version 2",
                "addrgenmode eui64",
            ]
            func lacking() async throws -> [String] {
                let shown = try await node.space.run("ip", "-d", "link", "show", "blue")
                return words.filter { !shown.contains($0) }
            }
            #expect(try await lacking() == [])
            #expect(await node.plan(desired) == [])
            try await node.space.run(
                "ip", "link", "set", "blue", "type", "bridge", "stp_state", "0", "forward_delay", "1500", "max_age",
                "2000",
                "priority", "0", "ageing_time", "30000", "mcast_snooping", "0", "mcast_querier", "0",
                "mcast_igmp_version", "2", "mcast_mld_version", "1")
            try await node.space.run("ip", "link", "set", "blue", "addrgenmode", "none")
            #expect(try await lacking().count == words.count)
            #expect(await node.plan(desired) == ["switch/blue update"])
            #expect(await node.apply(desired) == [])
            #expect(try await lacking() == [])

            var plain = Desired()
            plain.add(SwitchSpec(name: "blue"))
            #expect(await node.apply(plain) == [])
            #expect(try await lacking().count == words.count)
            #expect(await node.plan(plain) == [])
        }
    }

    @Test func `what the kernel lacks is named`() {
        let old = Capabilities(release: "6.1", raw: [.macLimit: .missing(option: "CONFIG_BRIDGE")])
        let kind = SwitchKind(links: LinkListing(), capabilities: { old })
        var spec = SwitchSpec(name: "blue")
        spec.settings.macs = 100
        #expect(
            kind.diff(name: "blue", spec: spec, observation: nil)
                == .unsupported(reason: "`macs` needs Linux 6.7 or later"))
        spec.settings.macs = nil
        spec.settings.multicast = .snoop(isQuerier: false)
        #expect(kind.diff(name: "blue", spec: spec, observation: nil).word == "create")
    }

    @Test(.enabled(if: Capabilities.current.has(.macLimit)))
    func `no more MACs are learned than there may be`() async throws {
        try await Hall.with { hall in
            var settings = SwitchSettings()
            settings.macs = 4
            #expect(await hall.node.apply(try hall.desired(settings)) == [])
            #expect(try await hall.reaches(0, 1))
            try await hall.spaces[0].run(
                "python3", "-c",
                """
                import socket
                s = socket.socket(17, 3)
                s.bind(('eth0', 0))
                for n in range(20):
                    s.send(b'\\xff' * 6 + bytes([2, 0, 0, 0, 9, n]) + b'\\x88\\xb5' + bytes(46))
                """)
            func learned() async throws -> Int {
                try await hall.node.space.run("bridge", "fdb", "show", "dynamic").split(separator: "\n")
                    .filter { $0.contains("master blue") && !$0.contains("permanent") }.count
            }
            let count = try await learned()
            #expect(count == 4)
            #expect(try await hall.reaches(1, 2))
            #expect(await hall.node.plan(try hall.desired(settings)) == [])
            #expect(await hall.node.plan(try hall.desired()) == ["switch/blue update"])
            #expect(await hall.node.apply(try hall.desired()) == [])
            try await hall.spaces[0].run(
                "python3", "-c",
                "import socket; s = socket.socket(17, 3); s.bind(('eth0', 0)); "
                    + "s.send(b'\\xff' * 6 + bytes([2, 0, 0, 0, 9, 77]) + b'\\x88\\xb5' + bytes(46))")
            let more = try await learned()
            #expect(more > 4)
        }
    }

    @Test func `multicast goes to members only, and the switch asks for them`() async throws {
        let script = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/Port/multicast.py"
        try await Hall.with { hall in
            var settings = SwitchSettings()
            settings.multicast = .snoop(isQuerier: true)
            #expect(await hall.node.apply(try hall.desired(settings)) == [])
            let seen = try await output(of: ["python3", script] + hall.spaces.map(\.name), seconds: 120)
            #expect(seen == "queries query4 query6\nmember group4 group6\nother\n")
            #expect(try await hall.reaches(0, 2))
            #expect(await hall.node.plan(try hall.desired(settings)) == [])
        }
    }
}
