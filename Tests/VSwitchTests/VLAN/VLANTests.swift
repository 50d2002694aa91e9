import Capabilities
import Netlink
import TestSupport
import Testing

@testable import VSwitch

/// Access ports, by whichever way the kernel has: IPv4, IPv6 and frames of raw sockets are the witnesses.
@Suite("VLANs", .enabled(if: TestNamespace.isPossible))
struct VLANTests {
    /// a and b in VLAN 10, c and e in VLAN 20 with the same addresses, d and f in none, which is VLAN 1.
    private static let campus = manifest(
        "a: 1 vlan: 10", "b: 2 vlan: 10", "c: 1 vlan: 20", "e: 2 vlan: 20", "d: 3", "f: 4")

    /// `NAME: HOST FIELDS`, a VM each, on the switch `lan`.
    static func manifest(_ vms: String..., switches: String = "lan: {}", rest: String = "") -> String {
        let entries = vms.map { words in
            let parts = words.split(separator: " ", maxSplits: 2)
            let fields = parts.count > 2 ? ", \(parts[2])" : ""
            let name = parts[0].dropLast()
            let addresses = "10.0.0.\(parts[1])/24, \"fd00::\(parts[1])/64\""
            return "  \(name): { nics: [ { switch: lan, address: [\(addresses)]\(fields), namespace: @\(name) } ] }"
        }
        return "switches: { \(switches) }\n\(rest)\nvms:\n" + entries.joined(separator: "\n")
    }

    /// Ways of asking, by both families.
    static func both(_ from: String, _ host: Int, _ isAnswered: Bool) -> [Town.Question] {
        ["10.0.0.\(host)", "fd00::\(host)"].flatMap { address in
            [("udp", 53), ("tcp", 80), ("icmp", 0)].map {
                Town.Question(from: from, how: $0.0, to: address, port: $0.1, isAnswered: isAnswered)
            }
        }
    }

    @Test func `ports of one VLAN talk, and those of different ones hear nothing of each other`() async throws {
        try await Town.with(["a", "b", "c", "d", "e", "f"]) { town in
            let left = try await town.apply(Self.campus)
            #expect(left == [])
            #expect(try await town.plan(Self.campus) == [])
            let asked = Self.both("a", 3, false) + Self.both("e", 3, false) + Self.both("f", 1, false)
            let answered = try await town.surprises(asked)
            #expect(answered == [])
            let lost = try await town.losses([(from: "a", host: 2), (from: "c", host: 2), (from: "d", host: 4)]) {}
            #expect(lost == [])
            let casts = [
                Cast.all(from: "a", host: 1, heardBy: ["b"]), Cast.all(from: "b", host: 2, heardBy: ["a"]),
                Cast.all(from: "c", host: 1, heardBy: ["e"]), Cast.all(from: "e", host: 2, heardBy: ["c"]),
                Cast.all(from: "d", host: 3, heardBy: ["f"]), Cast.all(from: "f", host: 4, heardBy: ["d"]),
            ]
            // With a tag it would be where it likes: its own VLAN, another's, none (priority alone).
            let tagged = ["a", "c", "d"].flatMap { name in
                [0, 1, 10, 20].flatMap { Cast.all(from: name, host: name == "d" ? 3 : 1, tag: $0) }
            }
            #expect(try await town.surprises(tagged + casts.joined()) == [])
        }
    }

    @Test func `a port whose VLAN changes is at no moment in another, and nobody else loses a packet`() async throws {
        try await Town.with(["a", "b", "c", "d", "e", "f"]) { town in
            // Without addresses, so that the guard lets its frame go.
            @Sendable func campus(_ vlan: String, _ others: String = "vlan: 10", c: String = "lan") -> String {
                let rest = Self.manifest(
                    "a: 1 \(others)", "b: 2 \(others)", "d: 3", "f: 4", switches: "lan: {}, far: {}")
                return rest + "\n  c: { nics: [ { switch: \(c), \(vlan)namespace: @c } ] }"
                    + "\n  e: { nics: [ { switch: lan, \(vlan.isEmpty ? "" : "vlan: 20, ")namespace: @e } ] }"
            }
            #expect(try await town.apply(campus("vlan: 20, ")) == [])
            let cast = Cast(
                "c", from: "c",
                Frame.ethernet(
                    from: Cast.mac("c"), type: 0x0800, Frame.ipv4(from: "10.0.0.9", udp: Frame.udp(from: 9, to: 9))))
            let pairs = [(from: "a", host: 2), (from: "d", host: 4)]
            let heard = try await town.flooding(cast) {
                let lost = try await town.losses(pairs) {
                    for vlan in [30, 4094, 20] {
                        let left = try await town.apply(campus("vlan: \(vlan), "))
                        #expect(left == [])
                    }
                }
                #expect(lost == [])
            }
            #expect(heard == ["e"])
        }
    }

    @Test func `VLANs come to a switch and go from it, and what is in VLAN 1 loses nothing`() async throws {
        try await Town.with(["a", "c", "d", "f"]) { town in
            let plain = Self.manifest("d: 3", "f: 4", switches: "lan: {}, far: {}")
            let divided =
                plain + "\n  c: { nics: [ { switch: lan, vlan: 20, namespace: @c } ] }"
                + "\n  a: { nics: [ { switch: lan, vlan: 20, namespace: @a } ] }"
            let apart =
                plain + "\n  c: { nics: [ { switch: far, namespace: @c } ] }"
                + "\n  a: { nics: [ { switch: far, namespace: @a } ] }"
            #expect(try await town.apply(apart) == [])
            let cast = Cast(
                "c", from: "c",
                Frame.ethernet(
                    from: Cast.mac("c"), type: 0x0800, Frame.ipv4(from: "10.0.0.9", udp: Frame.udp(from: 9, to: 9))))
            let heard = try await town.flooding(cast) {
                let lost = try await town.losses([(from: "d", host: 4)]) {
                    for text in [divided, apart] {
                        let left = try await town.apply(text)
                        #expect(left == [])
                    }
                }
                #expect(lost == [])
            }
            #expect(heard == ["a"])
            #expect(try await town.apply(plain) == [])
            let left = try await town.node.run("ip", "-o", "link", "show", "type", "bridge")
            #expect(left.split(separator: "\n").count == 2, "\(left)")
        }
    }

    @Test func `a port with static learning has its MAC address in its own VLAN`() async throws {
        try await Town.with(["a", "b", "c", "d"]) { town in
            @Sendable func campus(_ vlan: Int) -> String {
                Self.manifest("a: 1 vlan: \(vlan), learning: static", "b: 2 vlan: 10", "c: 5 vlan: 20", "d: 4")
            }
            for (vlan, ear, host) in [(10, "b", 2), (20, "c", 5), (1, "d", 4), (10, "b", 2)] {
                #expect(try await town.apply(campus(vlan)) == [])
                #expect(try await town.plan(campus(vlan)) == [])
                let lost = try await town.losses([(from: "a", host: host)]) {}
                #expect(lost == [])
                #expect(try await town.surprises(Cast.all(from: "a", host: 1, heardBy: [ear])) == [])
                let shown = try await town.node.run("bridge", "fdb", "show", "dev", "a-net0")
                let fixed = shown.split(separator: "\n").filter { $0.hasPrefix("\(Cast.mac("a")) ") }
                    .filter { $0.contains("sticky") && $0.contains("static") && $0.contains(" vlan ") }
                let isFiltering = !Capabilities.current.lacks(.vlanFiltering)
                #expect(fixed.count == (isFiltering ? 1 : 0), "\(shown)")
                #expect(fixed.allSatisfy { $0.contains("vlan \(vlan) ") }, "\(shown)")
            }
            // Another MAC is refused by the port, not by the guard only.
            let shown = try await town.node.run("bridge", "-d", "link", "show", "dev", "a-net0")
            #expect(shown.contains("locked on"), "\(shown)")
            try await town.node.run("bridge", "fdb", "del", "\(Cast.mac("a"))", "dev", "a-net0", "master")
            #expect(try await town.plan(campus(10)) == ["nic/a/net0 update"])
            #expect(try await town.apply(campus(10)) == [])
            let lost = try await town.losses([(from: "a", host: 2)]) {}
            #expect(lost == [])
        }
    }

    @Test func `groups judge within a VLAN, and a change of them ends the flows of that VLAN`() async throws {
        try await Town.with(["a", "b", "c", "e"]) { town in
            @Sendable func campus(_ ports: String) -> String {
                Self.manifest(
                    "a: 1 vlan: 10, groups: web", "b: 2 vlan: 10", "c: 1 vlan: 20", "e: 2 vlan: 20",
                    rest: "groups: { web: { ingress: { protocol: any, from: { set: some } }, egress: "
                        + "{ protocol: udp, ports: 53 } } }\naddressSets: { some: [\(ports)] }")
            }
            let whole = "10.0.0.2, \"fd00::2\""
            #expect(try await town.apply(campus(whole)) == [])
            #expect(try await town.plan(campus(whole)) == [])
            func ask(_ from: String, _ how: String, _ host: Int, _ port: UInt16, _ yes: Bool) -> [Town.Question] {
                ["10.0.0.\(host)", "fd00::\(host)"].map {
                    Town.Question(from: from, how: how, to: $0, port: port, isAnswered: yes)
                }
            }
            let asked =
                Self.both("b", 1, true) + ask("a", "udp", 2, 53, true) + ask("a", "udp", 2, 80, false)
                + ask("a", "tcp", 2, 80, false) + Self.both("e", 1, true) + Self.both("c", 2, true)
            let answered = try await town.surprises(asked)
            #expect(answered == [])
            let lines = ["10.0.0.1", "fd00::1"].flatMap { address in
                ["tcp \(address) 80", "udp \(address) 53"].flatMap { [("b", $0), ("e", $0)] }
            }
            try await town.talking(lines.map { (guest: $0.0, line: $0.1) }) { counts in
                try await town.expect(counts) { _ in true }
                #expect(try await town.apply(campus("192.0.2.1")) == [])
                // The same addresses in the other VLAN are others' flows.
                try await town.expect(counts) { $0.hasPrefix("e") }
            }
        }
    }
}
