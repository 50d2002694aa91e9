import Manifest
import Netlink
import Reconcile
import Rules
import TestSupport
import Testing
import VSwitch

/// Code points of NICs, as a receiver sees them.
struct MarkingTests {
    @Test(
        arguments: [
            ("cs0", 0), ("cs7", 56), ("af11", 10), ("af43", 38), ("ef", 46), ("va", 44), ("le", 1), ("0", 0), ("5", 5),
            ("46", 46), ("63", 63),
        ] as [(String, UInt8)])
    func `a code point has a name or a number`(_ text: String, _ number: UInt8) throws {
        let point = try #require(CodePoint(text))
        #expect(point.number == number && CodePoint("\(point)") == point)
    }

    @Test(arguments: ["", "64", "-1", "010", "AF41", "af44", "cs8", "0x2e"])
    func `what is none is refused`(_ text: String) {
        #expect(CodePoint(text) == nil)
        let manifest = "switches: { blue: {} }\nvms: { vm1: { nics: [ { switch: blue, dscp: '\(text)' } ] } }\n"
        #expect(Manifests.load(manifest).mistakes.count == 1)
    }

    @Test func `a table is there where a NIC has one`() throws {
        let manifest = "switches: { blue: {} }\nvms: { vm1: { nics: [ { switch: blue, dscp: 46 } ] } }\n"
        let desired = try #require(Manifests.load(manifest).desired)
        #expect(desired.specs(of: MarkingKind.self)["bridge"]?.chains.keys.sorted() == ["dscp-ef", "marking"])
        let plain = Manifests.load("switches: { blue: {} }\nvms: { vm1: { nics: [ { switch: blue } ] } }\n").desired
        #expect(plain?.specs(of: MarkingKind.self).isEmpty == true)
    }

    /// The three NICs of a hall with these code points, behind the guard.
    private func desired(_ hall: Hall, _ points: [String?]) throws -> Desired {
        var desired = try hall.desired()
        for (name, point) in zip(["a", "b", "c"], points) {
            var nic = try #require(desired.specs(of: NICKind.self)["\(name)/net0"])
            nic.codePoint = point.flatMap { CodePoint($0) }
            desired.add(nic)
        }
        let diagnostics = Diagnostics()
        GuardKind.derivation.run(&desired, diagnostics)
        MarkingKind.derivation.run(&desired, diagnostics)
        return desired
    }

    private func node(_ space: TestNamespace) -> Node {
        let links = LinkListing(in: .namespace(space.name))
        let ledger = NFLedger(in: links.location, tenure: .passing)
        return Node(
            space,
            Reconciler(kinds: [
                SwitchKind(links: links), GuardKind(links: links, ledger), MarkingKind(links: links, ledger),
                NICKind(links: links),
            ]))
    }

    /// Sends packets of both families that may meet congestion (ECT(1)), and returns which of the code points came.
    private func seen(_ hall: Hall, from sender: Int, _ points: [String]) async throws -> [String] {
        let rules = ["ip", "ip6"].flatMap { family in
            points.map {
                "add rule inet w in \(family) dscp \($0) \(family) ecn ect1 counter comment \"\(family) \($0)\""
            }
        }
        let script = [
            "add table inet w", "delete table inet w", "add table inet w",
            "add chain inet w in { type filter hook input priority 0; }",
            // Their own packets, not what the switch says to all.
            "add rule inet w in meta l4proto != { icmp, ipv6-icmp } accept",
            "add rule inet w in icmp type != echo-request accept",
            "add rule inet w in icmpv6 type != echo-request accept",
        ]
        try await hall.spaces[1].run("nft", (script + rules).joined(separator: "\n"))
        // A wrong checksum would not be answered.
        try await hall.spaces[sender].run("ping", "-c1", "-W5", "-Q", "1", "10.0.0.2")
        try await hall.spaces[sender].run("ping", "-6", "-c1", "-W5", "-Q", "1", "fd00::2")
        let shown = try await hall.spaces[1].run("nft", "list", "table", "inet", "w")
        return shown.split(separator: "\n").filter { $0.contains("counter packets 1 ") }.compactMap { line in
            line.split(separator: "\"").dropFirst().first.map(String.init)
        }
    }

    @Test(.enabled(if: TestNamespace.isPossible))
    func `a link that has a NIC's name and is somebody else's is not marked`() async throws {
        try await Hall.with { hall in
            let node = node(hall.node.space)
            let wanted = try desired(hall, ["af41", nil, "ef"])
            let port = try #require(wanted.specs(of: NICKind.self)["a/net0"]?.interface.description)
            try await hall.node.space.run("ip", "link", "add", port, "type", "veth", "peer", "name", "stranger")
            let left = await node.apply(wanted)
            #expect(left.count == 1 && left[0].hasPrefix("nic/a/net0 conflict"), "\(left)")
            let shown = try await hall.node.space.run("nft", "list", "map", "bridge", "sdagent-marking", "marks")
            #expect(!shown.contains("\"\(port)\"") && shown.contains("jump dscp-ef"), "\(shown)")
        }
    }

    @Test(.enabled(if: TestNamespace.isPossible))
    func `what a NIC sends is marked, in both families`() async throws {
        try await Hall.with { hall in
            let node = node(hall.node.space)
            let wanted = try desired(hall, ["af41", nil, "63"])
            #expect(await node.apply(wanted) == [])
            #expect(await node.plan(wanted) == [])
            let points = ["af41", "63", "cs0", "ef"]
            #expect(try await seen(hall, from: 0, points) == ["ip af41", "ip6 af41"])
            #expect(try await seen(hall, from: 2, points) == ["ip 63", "ip6 63"])

            // One changes, one leaves: the NICs' links are none of it.
            let changed = try desired(hall, ["ef", nil, nil])
            #expect(await node.plan(changed) == ["marking/bridge update"])
            #expect(await node.apply(changed) == [])
            #expect(try await seen(hall, from: 0, points) == ["ip ef", "ip6 ef"])
            #expect(try await seen(hall, from: 2, points) == ["ip cs0", "ip6 cs0"])

            #expect(await node.apply(try desired(hall, [nil, nil, nil])) == [])
            #expect(try await seen(hall, from: 0, points) == ["ip cs0", "ip6 cs0"])
            #expect(try await !hall.node.space.run("nft", "list", "tables").contains("sdagent-marking"))
        }
    }
}
