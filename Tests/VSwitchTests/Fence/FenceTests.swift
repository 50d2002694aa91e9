import Manifest
import Netlink
import Reconcile
import Rules
import TestSupport
import Testing
import VSwitch

@Suite("Fence", .enabled(if: TestNamespace.isPossible))
struct FenceTests {
    /// A node with the switch blue, the NICs of a and b on it, and two links of somebody else's: one plugged into blue,
    /// one on a bridge of its own with the namespace far.
    private struct Site {
        let node: Node
        let a: TestNamespace
        let b: TestNamespace
        let stranger: TestNamespace
        let far: TestNamespace
        let desired: Desired

        static func with<Value>(_ body: (Site) async throws -> Value) async throws -> Value {
            try await TestNamespace.with { space in
                try await TestNamespace.with { a in
                    try await TestNamespace.with { b in
                        try await TestNamespace.with { stranger in
                            try await TestNamespace.with { far in
                                try await body(Site(space, a, b, stranger, far))
                            }
                        }
                    }
                }
            }
        }

        init(
            _ space: TestNamespace, _ a: TestNamespace, _ b: TestNamespace, _ stranger: TestNamespace,
            _ far: TestNamespace
        ) async throws {
            let links = LinkListing(in: .namespace(space.name))
            let ledger = NFLedger(in: links.location, tenure: .lasting)
            node = Node(
                space,
                Reconciler(kinds: [
                    SwitchKind(links: links), FenceKind<BridgeFence>(links: links, ledger),
                    FenceKind<HostFence>(links: links, ledger), FenceKind<ARPFence>(links: links, ledger),
                    GuardKind(links: links, ledger), NICKind(links: links),
                ]))
            self.a = a
            self.b = b
            self.stranger = stranger
            self.far = far
            desired = Self.desired([("a", a, 1), ("b", b, 2)])
        }

        static func desired(_ nics: [(machine: String, space: TestNamespace, host: Int)]) -> Desired {
            var desired = Desired()
            desired.add(SwitchSpec(name: "blue"))
            for nic in nics {
                let addresses = ["10.0.0.\(nic.host)", "fd00::\(nic.host)"].compactMap { IPAddress($0) }
                desired.add(
                    NICSpec(
                        machine: nic.machine, name: "net0", switchName: "blue",
                        addresses: addresses.map { NICSpec.Address($0, length: $0.isIPv4 ? 24 : 64) }, mtu: 1500,
                        attachment: .namespace(nic.space.name, farEnd: .derived(from: "eth0"), gateways: [])))
            }
            let diagnostics = Diagnostics()
            for derivation in [
                FenceKind<BridgeFence>.derivation, FenceKind<HostFence>.derivation, FenceKind<ARPFence>.derivation,
                GuardKind.derivation,
            ] { derivation.run(&desired, diagnostics) }
            return desired
        }

        /// Plugs the far end of a new pair into a namespace with addresses, and its near end into a bridge.
        func plug(_ name: String, into bridge: String, _ space: TestNamespace, host: Int) async throws {
            try await node.space.run(
                "ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", space.name)
            try await node.space.run("ip", "link", "set", name, "master", bridge, "up")
            try await space.run("ip", "link", "set", "eth0", "up")
            try await space.run("ip", "addr", "add", "10.0.0.\(host)/24", "dev", "eth0")
            try await space.run("ip", "addr", "add", "fd00::\(host)/64", "dev", "eth0", "nodad")
        }

        /// Gives the node an address on a bridge, as a router has one.
        func stand(on bridge: String, host: Int) async throws {
            try await node.space.run("ip", "addr", "add", "10.0.0.\(host)/24", "dev", bridge)
            try await node.space.run("ip", "addr", "add", "fd00::\(host)/64", "dev", bridge, "nodad")
        }

        func reaches(_ space: TestNamespace, _ host: Int) async -> [Bool] {
            var answers: [Bool] = []
            for address in ["10.0.0.\(host)", "fd00::\(host)"] {
                let answer = try? await space.run("ping", "-c", "3", "-i", "0.2", "-W", "1", "-w", "2", address)
                answers.append(answer != nil)
            }
            return answers
        }
    }

    @Test func `what others plug into a switch reaches nobody, and nobody reaches it`() async throws {
        try await Site.with { site in
            #expect(await site.node.apply(site.desired) == [])
            try await site.stand(on: "blue", host: 254)
            try await site.plug("odd", into: "blue", site.stranger, host: 3)

            #expect(await site.reaches(site.a, 2) == [true, true], "neighbours")
            #expect(await site.reaches(site.a, 254) == [true, true], "the node")
            #expect(await site.reaches(site.node.space, 2) == [true, true], "from the node")

            for (from, host, what) in [
                (site.stranger, 1, "a NIC"), (site.stranger, 254, "the node"), (site.a, 3, "the stranger, from a NIC"),
                (site.node.space, 3, "the stranger, from the node"),
            ] { #expect(await site.reaches(from, host) == [false, false], "\(what)") }
            // Not even ARP and neighbour discovery got through.
            let known = try await site.node.space.run("ip", "neigh", "show", "nud", "reachable", "nud", "stale")
            #expect(!known.contains("10.0.0.3 ") && !known.contains("fd00::3 "), "\(known)")
            let heard = try await site.stranger.run("ip", "neigh", "show", "nud", "reachable", "nud", "stale")
            #expect(heard == "", "\(heard)")

            // It is told of, and is no reason to change anything.
            let status = await site.node.apply(site.desired)
            #expect(
                status == [
                    "switch/blue degraded: odd is plugged into it by somebody else and carries nothing; "
                        + "make it an uplink, or release it with `ip link set odd nomaster`"
                ])
        }
    }

    @Test func `bridges of others carry what they carried`() async throws {
        try await Site.with { site in
            let before = try await foreignTraffic(site)
            #expect(before == [true, true, true, true])
            #expect(await site.node.apply(site.desired) == [])
            #expect(await site.reaches(site.stranger, 4) == [true, true], "between foreign ports")
            #expect(await site.reaches(site.node.space, 4) == [true, true], "from the node")
            #expect(await site.reaches(site.far, 253) == [true, true], "to the node")
        }
    }

    private func foreignTraffic(_ site: Site) async throws -> [Bool] {
        try await site.node.space.run("ip", "link", "add", "theirs", "type", "bridge")
        try await site.node.space.run("ip", "link", "set", "theirs", "up")
        try await site.stand(on: "theirs", host: 253)
        try await site.plug("odd", into: "theirs", site.stranger, host: 3)
        try await site.plug("even", into: "theirs", site.far, host: 4)
        return await site.reaches(site.stranger, 4) + site.reaches(site.far, 253)
    }

    @Test func `a stranger under the name of a NIC is none of ours`() async throws {
        try await Site.with { site in
            #expect(await site.node.apply(site.desired) == [])
            let name = NICSpec(machine: "c", name: "net0", switchName: "blue").interface
            try await site.plug("\(name)", into: "blue", site.stranger, host: 3)
            let wanted = Site.desired([("a", site.a, 1), ("b", site.b, 2), ("c", site.far, 3)])
            let left = await site.node.apply(wanted)
            #expect(left.contains { $0.hasPrefix("nic/c/net0 conflict") }, "\(left)")
            #expect(await site.reaches(site.a, 2) == [true, true])
            #expect(await site.reaches(site.a, 3) == [false, false])
            #expect(await site.reaches(site.stranger, 1) == [false, false])
        }
    }

    @Test func `the fence stands as long as there is a switch`() async throws {
        try await Site.with { site in
            #expect(await site.node.apply(site.desired) == [])
            #expect(await site.node.plan(site.desired) == [])
            let mark = try await site.node.space.run("nft", "list", "table", "bridge", "sdagent-fence")
            #expect(mark.contains("ports") && mark.contains("drop"), "\(mark)")
            #expect(await site.node.apply(Desired()) == [])
            let rest = try await site.node.space.run("nft", "list", "tables")
            #expect(!rest.contains("sdagent"), "\(rest)")
        }
    }
}
