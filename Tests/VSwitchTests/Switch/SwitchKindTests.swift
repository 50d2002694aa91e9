import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

@Suite(.enabled(if: TestNamespace.isPossible))
struct SwitchKindTests {
    private func desired(_ specs: SwitchSpec...) -> Desired {
        var desired = Desired()
        for spec in specs { desired.add(spec) }
        return desired
    }

    @Test func `a switch is made, kept, changed and taken away`() async throws {
        try await Node.with { node in
            let wanted = desired(SwitchSpec(name: "blue", mtu: 1450))
            #expect(await node.plan(wanted) == ["switch/blue create"])
            #expect(await node.apply(wanted) == [])
            let shown = try await node.space.run("ip", "-d", "link", "show", "blue")
            for words in [
                "mtu 1450", "link/ether \(MACAddress.derived(from: "switch/blue"))", "alias sdagent switch/blue",
                "addrgenmode none", "stp_state 0", "forward_delay 0", "mcast_snooping 0", ",UP",
            ] { #expect(shown.contains(words), "\(words) in \(shown)") }

            let before = try node.links()
            #expect(await node.plan(wanted) == [])
            #expect(await node.apply(wanted) == [])
            #expect(try node.links() == before)

            #expect(await node.apply(desired(SwitchSpec(name: "blue", mtu: 1400))) == [])
            #expect(try node.link("blue")?.mtu == 1400)
            #expect(await node.apply(Desired()) == [])
            #expect(try node.links().map(\.name.description) == ["lo"])
        }
    }

    @Test func `a hasty look sees what the kernel has told of since the last one`() async throws {
        try await TestNamespace.with { space in
            let links = LinkListing(in: .namespace(space.name))
            let node = Node(space, Reconciler(kinds: [SwitchKind(links: links)]))
            let wanted = desired(SwitchSpec(name: "blue", mtu: 1450))
            #expect(await node.apply(wanted) == [])
            #expect(await node.plan(wanted) == [])
            // Before anybody listened, and since.
            for mtu in ["1300", "1200", "1100"] {
                try await space.run("ip", "link", "set", "blue", "mtu", mtu)
                links.hasten()
                #expect(await node.plan(wanted) == ["switch/blue update"])
                links.hasten()
                #expect(await node.apply(wanted) == [])
                for _ in 0..<3 {
                    links.hasten()
                    #expect(await node.plan(wanted) == [])
                }
                #expect(try node.link("blue")?.mtu == 1450)
            }
        }
    }

    @Test func `drift of every property is found and mended`() async throws {
        try await Node.with { node in
            let wanted = desired(SwitchSpec(name: "blue"))
            #expect(await node.apply(wanted) == [])
            let good = try node.steady("blue")
            for drift in [
                ["mtu", "1300"], ["address", "02:00:00:00:00:01"], ["down"], ["addrgenmode", "eui64"],
                ["type", "bridge", "stp_state", "1"], ["type", "bridge", "mcast_snooping", "1"],
                ["type", "bridge", "forward_delay", "1500"],
            ] {
                try await output(of: node.space.inside(["ip", "link", "set", "blue"] + drift))
                let plan = await node.plan(wanted)
                #expect(plan == ["switch/blue update"], "\(drift)")
                let left = await node.apply(wanted)
                #expect(left == [], "\(drift)")
                let mended = try node.steady("blue")
                #expect(mended == good, "\(drift)")
            }
        }
    }

    @Test func `a foreign link of the name is a conflict and is not touched`() async throws {
        try await Node.with { node in
            try await node.space.run("ip", "link", "add", "blue", "type", "bridge")
            try await node.space.run("ip", "link", "add", "red", "type", "veth", "peer", "name", "red2")
            try await node.space.run("ip", "link", "set", "red", "alias", "sdagent switch/red")
            let before = try node.links()
            let wanted = desired(SwitchSpec(name: "blue"), SwitchSpec(name: "red"), SwitchSpec(name: "green"))
            let left = await node.apply(wanted)
            #expect(left.count == 2)
            #expect(
                left.contains { $0.hasPrefix("switch/blue conflict: a bridge link named blue exists and is not ours") })
            #expect(left.contains { $0.hasPrefix("switch/red conflict: a veth link named red exists and is not ours") })
            #expect(try node.links().filter { $0.name.description != "green" } == before)
            #expect(await node.apply(Desired()) == [])
            #expect(try node.links() == before)
        }
    }

    @Test(arguments: [true, false])
    func `a bridge that was renamed gets its name back, with its ports`(isUp: Bool) async throws {
        try await Node.with { node in
            let wanted = desired(SwitchSpec(name: "blue"))
            #expect(await node.apply(wanted) == [])
            try await node.space.run("ip", "link", "add", "guest0", "type", "veth", "peer", "name", "guest1")
            try await node.space.run("ip", "link", "set", "guest0", "master", "blue")
            let good = try node.steady("blue")
            try await node.space.run("ip", "link", "set", "blue", "down")
            try await node.space.run("ip", "link", "set", "blue", "name", "bluex")
            if isUp { try await node.space.run("ip", "link", "set", "bluex", "up") }
            #expect(await node.plan(wanted) == ["switch/blue update"])
            let left = await node.apply(wanted)
            #expect(left.count == 1 && left[0].hasPrefix("switch/blue degraded: guest0 is plugged into it"), "\(left)")
            #expect(try node.steady("blue") == good)
            #expect(try node.link("guest0")?.master == good?.index)
            #expect(await node.plan(wanted) == ["switch/blue degraded"])
        }
    }

    @Test func `a renamed bridge with another in its place goes, and so does one that nobody wants`() async throws {
        try await Node.with { node in
            let wanted = desired(SwitchSpec(name: "blue"))
            #expect(await node.apply(wanted) == [])
            let good = try node.steady("blue")
            try await node.space.run("ip", "link", "add", "bluex", "type", "bridge")
            try await node.space.run("ip", "link", "set", "bluex", "alias", "sdagent switch/blue")
            #expect(await node.plan(wanted) == ["switch/blue update"])
            #expect(await node.apply(wanted) == [])
            #expect(try node.names() == ["blue", "lo"])
            #expect(try node.steady("blue") == good)

            try await node.space.run("ip", "link", "set", "blue", "down")
            try await node.space.run("ip", "link", "set", "blue", "name", "bluex")
            // Somebody else's bridge in its place is a conflict, and leaves ours as it is.
            try await node.space.run("ip", "link", "add", "blue", "type", "bridge")
            #expect(await node.apply(wanted).first?.hasPrefix("switch/blue conflict") == true)
            #expect(try node.names() == ["blue", "bluex", "lo"])
            #expect(await node.apply(Desired()) == [])
            #expect(try node.names() == ["blue", "lo"])
        }
    }

    @Test func `a long name is hashed and stays whole in the alias`() async throws {
        try await Node.with { node in
            let name = "the-network-of-the-accounting-department"
            #expect(await node.apply(desired(SwitchSpec(name: name))) == [])
            let link = try #require(try node.links().first { $0.kind == .bridge })
            #expect(link.name == InterfaceName.derived(from: name) && link.alias == "sdagent switch/\(name)")
            #expect(await node.plan(desired(SwitchSpec(name: name))) == [])
        }
    }
}
