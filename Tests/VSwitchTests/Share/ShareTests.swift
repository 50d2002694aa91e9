import Capabilities
import Manifest
import Netlink
import Reconcile
import Rules
import TestSupport
import Testing
import VSwitch

/// Rates of uplinks, shared out among NICs.
struct ShareTests {
    private func manifest(uplinks: String, _ guarantees: [String: String]) -> String {
        let machines = guarantees.sorted { $0.key < $1.key }.map { name, rate in
            "  \(name): { nics: [ { switch: blue, rate: { guarantee: \(rate) } } ] }\n"
        }
        return "switches: { blue: { uplinks: \(uplinks) } }\nvms:\n\(machines.joined())"
    }

    @Test func `guarantees become classes, which stay when others come`() throws {
        let uplinks = "[ eth0, { port: eth1, rate: 100Mbit } ]"
        let first = Manifests.load(manifest(uplinks: uplinks, ["vm1": "60Mbit"])).desired
        let shares = try #require(first?.specs(of: ShareKind.self))
        #expect(shares.keys.sorted() == ["eth1"] && shares["eth1"]?.rate == 100_000_000)
        let minor = try #require(shares["eth1"]?.guarantees.first?.minor)
        let more = Manifests.load(manifest(uplinks: uplinks, ["vm0": "1Mbit", "vm1": "60Mbit", "vm2": "1Mbit"])).desired
        let guarantees = try #require(more?.specs(of: ShareKind.self)["eth1"]?.guarantees)
        #expect(guarantees.map(\.nic) == ["vm0/net0", "vm1/net0", "vm2/net0"] && guarantees[1].minor == minor)
        #expect(Set(guarantees.map(\.minor)).count == 3)
        #expect(first?.specs(of: RateKind.self).isEmpty == true)
    }

    @Test(arguments: [false, true])
    func `a NIC in a VLAN has its guarantee, whichever way the VLAN leaves`(isFiltering: Bool) throws {
        let text = """
            switches: { blue: { uplinks: [ { port: eth1, rate: 100Mbit } ] } }
            vms: { vm1: { nics: [ { switch: blue, vlan: 10, rate: { guarantee: 60Mbit } } ] } }
            """
        let known = Capabilities(
            raw: isFiltering ? [:] : [.vlanFiltering: .missing(option: "CONFIG_BRIDGE_VLAN_FILTERING")])
        let (desired, mistakes) = Manifests.load(text, capabilities: { known })
        #expect(mistakes == [])
        let guarantees = desired?.specs(of: ShareKind.self)["eth1"]?.guarantees ?? []
        #expect(guarantees.map(\.nic) == ["vm1/net0"])
        let table = desired?.specs(of: MarkingKind.self)["bridge"]
        let exits = ["eth1"] + (isFiltering ? [] : ["eth1.10"])
        let keys = exits.compactMap { InterfaceName($0) }.map { NFKey(.interface($0)) }
        #expect(table?.sets["shared"]?.elements.keys.sorted() == keys.sorted())
    }

    @Test(
        arguments: [
            ("[ eth1 ]", "60Mbit", "switch 'blue' has no uplink whose rate is known: nothing is guaranteed"),
            (
                "[ { port: eth1, rate: 50Mbit } ]", "60Mbit",
                "the NICs of switch 'blue' are guaranteed 60Mbit, and eth1 carries 50Mbit"
            ),
            (
                "[ { port: eth1, rate: 1Gbit } ]", "60Mb",
                "'guarantee' of 'rate' of nic 1 of vm 'vm1' is not a rate: '60Mb'"
            ),
            (
                "[ { port: eth1, rate: 1Gbit } ]", "60Mbit, egress: 10Mbit",
                "'guarantee' of 'rate' of nic 1 of vm 'vm1' is above its cap"
            ),
            ("[ { rate: 1Gbit } ]", "60Mbit", "uplink of switch 'blue' needs 'port'"),
        ])
    func `what cannot be kept is told`(_ uplinks: String, _ guarantee: String, _ message: String) {
        let (desired, mistakes) = Manifests.load(manifest(uplinks: uplinks, ["vm1": guarantee]))
        #expect(desired == nil)
        #expect(mistakes.contains { $0.hasSuffix(" \(message)") }, "\(mistakes)")
    }

    /// The NICs of a hall behind an uplink of 100 Mbit; some are sure of so much.
    private func desired(_ hall: Hall, rate: UInt64? = 100_000_000, _ guarantees: [UInt64?]) throws -> Desired {
        var desired = try hall.desired()
        let port = try #require(InterfaceName("up0"))
        let uplink = UplinkSpec(interface: port, switchName: "blue", rate: rate)
        desired.add(UplinkKind.self, "up0", uplink)
        for (name, guarantee) in zip(["a", "b", "c"], guarantees) {
            var nic = try #require(desired.specs(of: NICKind.self)["\(name)/net0"])
            nic.guarantee = guarantee
            desired.add(nic)
        }
        let diagnostics = Diagnostics()
        ShareKind.derivation.run(&desired, diagnostics)
        MarkingKind.derivation.run(&desired, diagnostics)
        return desired
    }

    private func node(_ space: TestNamespace) -> Node {
        let links = LinkListing(in: .namespace(space.name))
        let ledger = NFLedger(in: links.location, tenure: .passing)
        return Node(
            space,
            Reconciler(kinds: [
                SwitchKind(links: links), UplinkKind(links: links), MarkingKind(links: links, ledger),
                NICKind(links: links),
                ShareKind(links: links),
            ]))
    }

    private func withUplink(_ body: (Hall, Node, TestNamespace) async throws -> Void) async throws {
        try await Hall.with { hall in
            try await TestNamespace.with { beyond in
                let space = hall.node.space
                try await space.run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "eth0")
                try await space.run("ip", "link", "set", "eth0", "netns", beyond.name)
                for address in ["10.0.0.9/24", "fd00::9/64"] {
                    try await beyond.run("ip", "address", "add", address, "dev", "eth0", "nodad")
                }
                try await beyond.run("ip", "link", "set", "eth0", "up")
                try await body(hall, node(space), beyond)
            }
        }
    }

    /// Bytes by class.
    private func bytes(_ node: Node) async throws -> [String: Int] {
        let shown = try await node.space.run("tc", "-s", "class", "show", "dev", "up0")
        var (bytes, number) = ([String: Int](), "")
        for line in shown.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            if words.first == "class", words.count > 2 { number = words[2] }
            if words.first == "Sent", words.count > 1 { bytes[number] = Int(words[1]) }
        }
        return bytes
    }

    @Test(.enabled(if: TestNamespace.isPossible))
    func `what a NIC sends by an uplink is in its class, and all is given back`() async throws {
        try await withUplink { hall, node, _ in
            #expect(await node.apply(try desired(hall, rate: nil, [nil, nil, nil])) == [])
            let before = try await node.space.run("tc", "qdisc", "show", "dev", "up0")
            let wanted = try desired(hall, [60_000_000, nil, 10_000_000])
            #expect(await node.apply(wanted) == [])
            #expect(await node.plan(wanted) == [])
            let share = try #require(wanted.specs(of: ShareKind.self)["up0"])
            let minors = share.guarantees.map { "5da2:" + String($0.minor, radix: 16) }
            let shown = try await node.space.run("tc", "class", "show", "dev", "up0")
            for words in [
                "htb 5da2:1 root rate 100Mbit ceil 100Mbit", "rate 30Mbit ceil 100Mbit", "rate 60Mbit ceil 100Mbit",
                "rate 10Mbit ceil 100Mbit",
            ] { #expect(shown.contains(words), "\(words) in \(shown)") }
            let root = try await node.space.run("tc", "-d", "qdisc", "show", "dev", "up0")
            #expect(root.contains("htb 5da2: root") && root.contains("default 0x2") && root.contains("overhead -14"))

            for address in ["10.0.0.9", "fd00::9"] {
                for (sender, number) in [(0, minors[0]), (1, "5da2:2"), (2, minors[1])] {
                    #expect(try await hall.ping(sender, address))
                    let start = try await bytes(node)
                    try await hall.spaces[sender].run("ping", "-q", "-c50", "-i0.002", "-s972", address)
                    let end = try await bytes(node)
                    let moved = (end[number] ?? 0) - (start[number] ?? 0)
                    #expect(moved >= 50_000, "\(number): \(moved)")
                }
            }

            // One changes, one goes: classes only.
            let changed = try desired(hall, [50_000_000, nil, nil])
            #expect(await node.plan(changed) == ["marking/bridge update", "share/up0 update"])
            #expect(await node.apply(changed) == [])
            let after = try await node.space.run("tc", "class", "show", "dev", "up0")
            #expect(after.contains("rate 50Mbit") && !after.contains("rate 60Mbit") && !after.contains("rate 10Mbit"))

            // Somebody takes it away.
            try await node.space.run("tc", "qdisc", "delete", "dev", "up0", "root")
            #expect(await node.plan(changed) == ["share/up0 create"])
            #expect(await node.apply(changed) == [])
            #expect(await node.plan(changed) == [])

            #expect(await node.apply(try desired(hall, rate: nil, [nil, nil, nil])) == [])
            #expect(try await node.space.run("tc", "qdisc", "show", "dev", "up0") == before)
        }
    }

    @Test(.enabled(if: TestNamespace.isPossible))
    func `what others have chosen for an uplink stays`() async throws {
        try await withUplink { hall, node, _ in
            try await node.space.run("tc", "qdisc", "add", "dev", "up0", "root", "handle", "7:", "htb")
            let refused = await node.apply(try desired(hall, [60_000_000, nil, nil]))
            #expect(refused.count == 1 && refused[0].contains("somebody else's (htb 7:)"), "\(refused)")
            #expect(try await node.space.run("tc", "qdisc", "show", "dev", "up0").contains("htb 7: root"))
            #expect(await node.apply(try desired(hall, rate: nil, [nil, nil, nil])) == [])
            #expect(try await node.space.run("tc", "qdisc", "show", "dev", "up0").contains("htb 7: root"))
        }
    }
}
