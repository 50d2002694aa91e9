import Capabilities
import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

/// Caps on NICs, as tc(8) shows them.
@Suite(.enabled(if: TestNamespace.isPossible))
struct RateTests {
    private let cap = RateCap(rate: 100_000_000)

    /// A tap each for these VMs, with a rate for those that have one.
    private func desired(_ rates: [String: RateSpec?]) -> Desired {
        var desired = Desired()
        desired.add(SwitchSpec(name: "blue"))
        for (machine, rate) in rates {
            let nic = NICSpec(machine: machine, name: "net0", switchName: "blue", mtu: 1500)
            desired.add(nic)
            if let rate { desired.add(rate, for: nic) }
        }
        return desired
    }

    private func rate(_ machine: String = "vm1", ingress: RateCap? = nil, egress: RateCap? = nil) -> RateSpec {
        RateSpec(
            interface: .derived(from: "\(machine)-net0"), isTap: true, ingress: ingress, egress: egress)
    }

    private func disciplines(_ node: Node, _ link: String) async throws -> String {
        try await node.space.run("tc", "-d", "qdisc", "show", "dev", link)
    }

    @Test func `caps come, change in place and go`() async throws {
        try await Node.with { node in
            let wanted = desired(["vm1": rate(ingress: cap, egress: cap), "vm2": nil])
            #expect(await node.plan(wanted).last == "rate/vm1/net0 create")
            #expect(await node.apply(wanted) == [])
            #expect(await node.plan(wanted) == [])
            let port = try await disciplines(node, "vm1-net0")
            for words in ["tbf 5da2: root", "rate 100Mbit burst 64Kb", "overhead -14", "clsact ffff:"] {
                #expect(port.contains(words), "\(words) in \(port)")
            }
            let queue = try await disciplines(node, "ifb-vm1-net0")
            #expect(queue.contains("tbf 5da2: root") && queue.contains("overhead -14"), "\(queue)")
            let filter = try await node.space.run("tc", "filter", "show", "dev", "vm1-net0", "ingress")
            #expect(filter.contains("Egress Redirect to device ifb-vm1-net0) stolen"), "\(filter)")
            let ifb = try #require(try node.link("ifb-vm1-net0"))
            #expect(ifb.alias == "sdagent rate/vm1/net0" && ifb.isUp && ifb.addressGeneration == AddressGeneration.none)
            #expect(try await disciplines(node, "vm2-net0").hasPrefix("qdisc noqueue"))

            let changed = desired(["vm1": rate(ingress: RateCap(rate: 5_000_000), egress: cap), "vm2": nil])
            #expect(await node.plan(changed) == ["rate/vm1/net0 update"])
            #expect(await node.apply(changed) == [])
            #expect(try await disciplines(node, "vm1-net0").contains("rate 5Mbit"))
            #expect(try node.link("ifb-vm1-net0")?.index == ifb.index)

            #expect(await node.apply(desired(["vm1": nil, "vm2": nil])) == [])
            // A tap must not get the kernel's default, and nothing of ours is left.
            let after = try await disciplines(node, "vm1-net0")
            #expect(after.hasPrefix("qdisc noqueue") && !after.contains("clsact"), "\(after)")
            #expect(try node.names() == ["blue", "lo", "vm1-net0", "vm2-net0"])
            #expect(await node.plan(desired(["vm1": nil, "vm2": nil])) == [])
        }
    }

    @Test func `one direction goes, the other stays`() async throws {
        try await Node.with { node in
            #expect(await node.apply(desired(["vm1": rate(ingress: cap, egress: cap)])) == [])
            #expect(await node.apply(desired(["vm1": rate(egress: cap)])) == [])
            #expect(try await disciplines(node, "vm1-net0").hasPrefix("qdisc noqueue"))
            #expect(try node.names().contains("ifb-vm1-net0"))
            #expect(await node.apply(desired(["vm1": rate(ingress: cap)])) == [])
            #expect(try !node.names().contains("ifb-vm1-net0"))
            let port = try await disciplines(node, "vm1-net0")
            #expect(port.contains("tbf 5da2:") && !port.contains("clsact"), "\(port)")
        }
    }

    /// What somebody takes away comes back, whatever part of it.
    @Test(
        arguments: [
            ["tc", "qdisc", "delete", "dev", "vm1-net0", "root"],
            ["tc", "qdisc", "delete", "dev", "ifb-vm1-net0", "root"],
            ["tc", "qdisc", "delete", "dev", "vm1-net0", "clsact"], ["ip", "link", "delete", "ifb-vm1-net0"],
            ["ip", "link", "set", "ifb-vm1-net0", "down"], ["ip", "link", "delete", "vm1-net0"],
            ["tc", "filter", "delete", "dev", "vm1-net0", "ingress"],
            ["tc", "qdisc", "change", "dev", "vm1-net0", "root", "handle", "5da2:"]
                + ["tbf", "rate", "1gbit", "burst", "1mb", "limit", "9mb"],
        ])
    func `a cap that is lost comes back`(_ words: [String]) async throws {
        try await Node.with { node in
            let wanted = desired(["vm1": rate(ingress: cap, egress: cap), "vm2": rate("vm2", egress: cap)])
            #expect(await node.apply(wanted) == [])
            try await output(of: node.space.inside(words))
            #expect(await node.plan(wanted).last == "rate/vm1/net0 update")
            #expect(await node.apply(wanted) == [])
            #expect(await node.plan(wanted) == [])
            let filter = try await node.space.run("tc", "filter", "show", "dev", "vm1-net0", "ingress")
            #expect(filter.contains("Egress Redirect to device ifb-vm1-net0)"), "\(filter)")
            #expect(try await disciplines(node, "vm1-net0").contains("rate 100Mbit burst 64Kb"))
            #expect(try await disciplines(node, "ifb-vm1-net0").contains("rate 100Mbit burst 64Kb"))
        }
    }

    @Test func `with its NIC goes all of a rate`() async throws {
        try await Node.with { node in
            let four = (1...4).map { "vm\($0)" }
            let wanted = desired(
                Dictionary(uniqueKeysWithValues: four.map { ($0, rate($0, ingress: cap, egress: cap)) }))
            #expect(await node.apply(wanted) == [])
            #expect(await node.apply(desired(["vm1": rate(ingress: cap, egress: cap)])) == [])
            let left = try node.names()
            #expect(left == ["blue", "ifb-vm1-net0", "lo", "vm1-net0"])
            #expect(await node.apply(Desired()) == [])
            #expect(try node.names() == ["lo"])
        }
    }

    @Test func `what others have put there stays, and is told of`() async throws {
        try await Node.with { node in
            #expect(await node.apply(desired(["vm1": nil])) == [])
            try await node.space.run(
                "tc", "qdisc", "add", "dev", "vm1-net0", "root", "tbf", "rate", "1mbit", "burst", "9kb", "limit", "99kb"
            )
            #expect(await node.plan(desired(["vm1": nil])) == [])
            let refused = await node.apply(desired(["vm1": rate(ingress: cap)]))
            #expect(
                refused.count == 1 && refused[0].contains("queueing discipline of somebody else's (tbf "), "\(refused)")
            #expect(refused.first?.contains("`tc qdisc delete dev vm1-net0 root`") == true)
            #expect(try await disciplines(node, "vm1-net0").contains("rate 1Mbit"))

            try await node.space.run("ip", "link", "add", "ifb-vm1-net0", "type", "ifb")
            let second = await node.apply(desired(["vm1": rate(egress: cap)]))
            #expect(
                second.count == 1 && second[0].contains("a link named ifb-vm1-net0 exists and is not ours"), "\(second)"
            )
            try await node.space.run("ip", "link", "delete", "ifb-vm1-net0")

            // Their filters stay when ours go.
            #expect(await node.apply(desired(["vm1": rate(egress: cap)])) == [])
            try await node.space.run(
                "tc", "filter", "add", "dev", "vm1-net0", "egress", "pref", "3", "u32", "match", "u32", "0", "0",
                "flowid", "1:1")
            #expect(await node.plan(desired(["vm1": rate(egress: cap)])) == [])
            #expect(await node.apply(desired(["vm1": nil])) == [])
            #expect(try await node.space.run("tc", "filter", "show", "dev", "vm1-net0", "egress").contains("pref 3"))
            #expect(try await node.space.run("tc", "filter", "show", "dev", "vm1-net0", "ingress").isEmpty)
        }
    }

    @Test func `a kernel without what a cap needs refuses it by name`() async throws {
        try await Node.with { node in
            #expect(await node.apply(desired(["vm1": nil])) == [])
            let lean = Capabilities(raw: [.ifb: .missing(option: "CONFIG_IFB")])
            let links = LinkListing(in: .namespace(node.space.name))
            let kind = RateKind(links: links) { lean }
            let seen = try await kind.observe(desired(["vm1": rate(ingress: cap, egress: cap)]))["vm1/net0"]
            #expect(
                kind.diff(name: "vm1/net0", spec: rate(ingress: cap, egress: cap), observation: seen)
                    == .unsupported(reason: "`rate.egress` needs a kernel with CONFIG_IFB; the NIC is not capped"))
            #expect(kind.diff(name: "vm1/net0", spec: rate(ingress: cap), observation: seen).word == "create")
        }
    }
}
