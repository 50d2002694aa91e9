import Capabilities
import Foundation
import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

/// Copies of what NICs send and receive, as the receiver sees them.
@Suite(.enabled(if: TestNamespace.isPossible))
struct MirrorTests {
    /// The NICs of a hall, and a mirror from a to c.
    private func desired(
        _ hall: Hall, _ direction: MirrorSpec.Direction?, from source: String = "a", rate: RateCap? = nil
    ) throws -> Desired {
        var desired = try hall.desired()
        if let direction {
            let spec = MirrorSpec(from: "\(source)/net0", to: "c/net0", direction: direction)
            let references = [spec.source, spec.target].map { Reference(NICKind.id($0)) }
            desired.add(MirrorKind.self, "tap", spec, references: references)
        }
        if let rate {
            let nic = try #require(desired.specs(of: NICKind.self)["a/net0"])
            desired.add(RateSpec(interface: nic.interface, isTap: false, ingress: rate, egress: rate), for: nic)
        }
        return desired
    }

    private func node(_ hall: Hall) -> Node {
        let links = LinkListing(in: .namespace(hall.node.space.name))
        return Node(
            hall.node.space,
            Reconciler(kinds: [
                SwitchKind(links: links), NICKind(links: links), RateKind(links: links), MirrorKind(links: links),
            ]))
    }

    /// How many echo requests and answers between a and b come by at c, by the words in the comments of rules.
    ///
    /// Both are frames for others, which only a chain of netdev sees.
    private func copies(_ hall: Hall) async throws -> [String: Int] {
        let rules = [
            ("sent 4", "ip saddr 10.0.0.1 icmp type echo-request"),
            ("received 4", "ip daddr 10.0.0.1 icmp type echo-reply"),
            ("sent 6", "ip6 saddr fd00::1 icmpv6 type echo-request"),
            ("received 6", "ip6 daddr fd00::1 icmpv6 type echo-reply"),
        ].map { "add rule netdev w in \($0.1) counter comment \"\($0.0)\"" }
        let script =
            ["add table netdev w", "delete table netdev w", "add table netdev w"]
            + ["add chain netdev w in { type filter hook ingress device eth0 priority 0; }"] + rules
        try await hall.spaces[2].run("nft", script.joined(separator: "\n"))
        #expect(try await hall.ping(0, "10.0.0.2"))
        #expect(try await hall.ping(0, "fd00::2"))
        let shown = try await hall.spaces[2].run("nft", "list", "table", "netdev", "w")
        var counts: [String: Int] = [:]
        for line in shown.split(separator: "\n") where line.contains("counter packets") {
            let words = line.split(separator: " ")
            guard let place = words.firstIndex(of: "packets"), let name = line.split(separator: "\"").dropFirst().first
            else { continue }
            counts[String(name)] = Int(words[place + 1])
        }
        return counts
    }

    @Test(arguments: [nil, RateCap(rate: 100_000_000)])
    func `copies of each direction arrive once, beside a cap as well`(_ rate: RateCap?) async throws {
        try await Hall.with { hall in
            let node = node(hall)
            #expect(await node.apply(try desired(hall, nil, rate: rate)) == [])
            #expect(try await hall.reaches(0, 1))
            let none = ["sent 4": 0, "received 4": 0, "sent 6": 0, "received 6": 0]
            #expect(try await copies(hall) == none)
            for (direction, sent, received) in [
                (MirrorSpec.Direction.both, 1, 1), (.egress, 1, 0), (.ingress, 0, 1),
            ] {
                let wanted = try desired(hall, direction, rate: rate)
                #expect(await node.plan(wanted) == ["mirror/tap \(direction == .both ? "create" : "update")"])
                #expect(await node.apply(wanted) == [])
                #expect(await node.plan(wanted) == [])
                #expect(
                    try await copies(hall)
                        == ["sent 4": sent, "received 4": received, "sent 6": sent, "received 6": received])
            }
            #expect(await node.apply(try desired(hall, nil, rate: rate)) == [])
            #expect(try await copies(hall) == none)
            let left = try await node.space.run("tc", "qdisc", "show", "dev", "a-net0")
            #expect(left.contains("clsact") == (rate != nil), "\(left)")
            #expect(try node.link("a-net0")?.alternativeNames == [])
        }
    }

    @Test(
        arguments: [
            ["tc", "filter", "delete", "dev", "a-net0", "egress"],
            ["tc", "qdisc", "delete", "dev", "a-net0", "clsact"],
            ["ip", "link", "delete", "a-net0"], ["ip", "link", "delete", "c-net0"],
        ])
    func `a mirror that is lost comes back`(_ words: [String]) async throws {
        try await Hall.with { hall in
            let node = node(hall)
            let wanted = try desired(hall, .both)
            #expect(await node.apply(wanted) == [])
            try await output(of: node.space.inside(words))
            #expect(await node.apply(wanted) == [])
            #expect(await node.plan(wanted) == [])
            #expect(try await hall.reaches(0, 1))
            #expect(try await copies(hall) == ["sent 4": 1, "received 4": 1, "sent 6": 1, "received 6": 1])
        }
    }

    @Test func `a mirror moves to another NIC, and goes with one`() async throws {
        try await Hall.with { hall in
            let node = node(hall)
            #expect(await node.apply(try desired(hall, .both)) == [])
            try await node.space.run(
                "tc", "filter", "add", "dev", "a-net0", "egress", "pref", "3", "u32", "match", "u32",
                "0", "0", "flowid", "1:1")
            let moved = try desired(hall, .both, from: "b")
            #expect(await node.plan(moved) == ["mirror/tap update"])
            #expect(await node.apply(moved) == [])
            #expect(await node.plan(moved) == [])
            let marks = try [node.link("a-net0"), node.link("b-net0")].map { $0?.alternativeNames.count }
            #expect(marks == [0, 1])
            // Filters of others stay.
            let filters = try await node.space.run("tc", "filter", "show", "dev", "a-net0", "egress")
            #expect(filters.contains("pref 3 ") && !filters.contains("mirred"), "\(filters)")
            #expect(await node.apply(Desired()) == [])
            #expect(try node.names() == ["lo"])
        }
    }

    @Test(
        arguments: [
            ("a: { from: vm1/net0 }", "mirror 'a' needs 'to'"), ("a: { from: vm1, to: vm2/net0 }", "'vm1' is no nic"),
            ("a: { from: vm1/net0, to: vm1/net0 }", "mirror 'a' leads to where it comes from"),
            (
                "a: { from: vm1/net0, to: vm2/net0 }, b: { from: vm1/net0, to: vm3/net0 }",
                "mirrors 'a' and 'b' both copy vm1/net0"
            ),
            (
                "a: { from: vm1/net0, to: vm2/net0 }, b: { from: vm2/net0, to: vm3/net0 }",
                "mirror 'a' leads to vm2/net0, which mirror 'b' copies"
            ),
            ("a: { from: vm1/net0, to: vm9/net0 }", "vm9/net0"),
        ])
    func `a mistake is told`(_ mirrors: String, _ message: String) {
        let machines = (1...3).map { "vm\($0): { nics: [ { switch: blue } ] }" }.joined(separator: ", ")
        let (desired, mistakes) = Manifests.load(
            "switches: { blue: {} }\nvms: { \(machines) }\nmirrors: { \(mirrors) }\n")
        #expect(desired == nil)
        #expect(mistakes.count == 1 && mistakes[0].contains(message), "\(mistakes)")
    }

    @Test func `a kernel that cannot refuses it by name`() throws {
        let lean = Capabilities(raw: [.mirred: .missing(option: "CONFIG_NET_ACT_MIRRED")])
        let kind = MirrorKind(links: LinkListing()) { lean }
        let change = kind.diff(name: "tap", spec: MirrorSpec(from: "a/net0", to: "c/net0"), observation: nil)
        #expect(change == .unsupported(reason: "a mirror needs a kernel with CONFIG_NET_ACT_MIRRED"))
    }
}
