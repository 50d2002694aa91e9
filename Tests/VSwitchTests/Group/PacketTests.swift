import TestSupport
import Testing
@testable import VSwitch

/// What rules may say of packets, with such packets.
@Suite("Packets and groups", .enabled(if: TestNamespace.isPossible))
struct PacketTests {
    /// v is open; w has two groups; s is closed altogether; p shows its rules of ports and messages.
    private static func manifest(friends: String = "10.0.0.99", _ groups: String = "") -> String {
        """
        switches: { blue: {} }
        addressSets: { friends: [ \(friends) ] }
        groups:
          web: { ingress: [ { protocol: tcp, ports: 80 }, { protocol: udp, ports: 53 } ] }
          shell: { ingress: { protocol: tcp, ports: 22, from: [ { group: admin }, { set: friends } ] } }
          admin: { egress: { protocol: any } }
          shut: {}
          other:
            ingress:
              - { protocol: tcp, ports: [ 20-30, 400-443 ] }
              - { protocol: sctp, ports: 5000-5010 }
              - { protocol: gre }
              - { protocol: icmp, types: 13 }
              - { protocol: icmpv6, types: 128/0 }
        vms:
          w: { nics: [ { switch: blue, address: [10.0.0.1/24, "fd00::1/64"], groups: [web, shell], namespace: @w } ] }
          s: { nics: [ { switch: blue, address: [10.0.0.2/24, "fd00::2/64"], groups: shut, namespace: @s } ] }
          v: { nics: [ { switch: blue, address: [10.0.0.3/24, "fd00::3/64"],\(groups) namespace: @v } ] }
          p: { nics: [ { switch: blue, address: [10.0.0.4/24, "fd00::4/64"], groups: other, namespace: @p } ] }
        """
    }

    private static func ask(
        _ from: String, _ how: String, _ to: String, _ port: UInt16, _ isAnswered: Bool, _ families: [Int] = [4, 6]
    ) -> [Town.Question] {
        let host = ["w": 1, "s": 2, "v": 3, "p": 4][to] ?? 0
        return families.map { $0 == 4 ? "10.0.0.\(host)" : "fd00::\(host)" }.map {
            Town.Question(from: from, how: how, to: $0, port: port, isAnswered: isAnswered)
        }
    }

    @Test func `a group without rules lets nothing in and nothing out`() async throws {
        try await Town.with(["w", "s", "v", "p"]) { town in
            town.expect(try await town.apply(Self.manifest()))
            let ways: [(String, UInt16)] = [("tcp", 80), ("udp", 53), ("icmp", 0), ("sctp", 5_000), ("gre", 0)]
            let closed = ways.flatMap { how, port in
                Self.ask("v", how, "s", port, false) + Self.ask("s", how, "v", port, false)
            }
            town.expect(try await town.surprises(closed))
            // Where none is in the way, each of these is answered.
            let control = ways.flatMap { Self.ask("v", $0, "w", $1, $0 == "tcp" || $0 == "udp") }
            town.expect(try await town.surprises(control))
        }
    }

    @Test func `ports, protocols and messages are told apart`() async throws {
        try await Town.with(["w", "s", "v", "p"]) { town in
            town.expect(try await town.apply(Self.manifest()))
            let questions = [
                Self.ask("v", "tcp", "p", 22, true), Self.ask("v", "tcp", "p", 443, true),
                Self.ask("v", "tcp", "p", 53, false), Self.ask("v", "tcp", "p", 80, false),
                Self.ask("v", "udp", "p", 22, false), Self.ask("v", "sctp", "p", 5_000, true),
                Self.ask("v", "sctp", "p", 5_010, true), Self.ask("v", "sctp", "p", 5_011, false),
                Self.ask("v", "gre", "p", 0, true), Self.ask("v", "gre", "w", 0, false),
                Self.ask("v", "stamp", "p", 0, true, [4]), Self.ask("v", "icmp", "p", 0, false, [4]),
                Self.ask("v", "icmp", "p", 0, true, [6]), Self.ask("v", "stamp", "w", 0, false, [4]),
            ]
            town.expect(try await town.surprises(questions.flatMap(\.self)))
        }
    }

    @Test func `a datagram in fragments passes by its port`() async throws {
        try await Town.with(["w", "s", "v", "p"]) { town in
            town.expect(try await town.apply(Self.manifest()))
            let questions = [
                Self.ask("v", "big", "w", 53, true), Self.ask("v", "big", "w", 80, false),
                Self.ask("v", "big", "s", 53, false), Self.ask("v", "big", "p", 53, false),
            ]
            town.expect(try await town.surprises(questions.flatMap(\.self)))
        }
    }

    @Test func `what belongs to no connection passes no rule`() async throws {
        try await Town.with(["w", "s", "v", "p"]) { town in
            town.expect(try await town.apply(Self.manifest()))
            // A listener answers both with a reset, wherever they get to it.
            let questions = [
                Self.ask("v", "ack", "w", 80, false), Self.ask("v", "synack", "w", 80, false),
                Self.ask("p", "ack", "v", 80, false),
            ]
            town.expect(try await town.surprises(questions.flatMap(\.self)))
            let open = Self.manifest().replacing(" groups: [web, shell],", with: "")
            town.expect(try await town.apply(open))
            town.expect(
                try await town.surprises(Self.ask("v", "ack", "w", 80, true) + Self.ask("v", "synack", "w", 80, true)))
        }
    }

    @Test func `members and addresses that come later count, and those that go no longer`() async throws {
        try await Town.with(["w", "s", "v", "p"]) { town in
            let changes: [(String, Bool)] = [
                (Self.manifest(), false), (Self.manifest(" groups: admin,"), true), (Self.manifest(), false),
                (Self.manifest(friends: "10.0.0.0/29, \"fd00::/125\""), true),
                (Self.manifest(friends: "10.0.0.4/30, \"fd00::4/126\""), false),
            ]
            for (text, isAnswered) in changes {
                town.expect(try await town.apply(text))
                // The other group of w lets everybody in, whatever this one says.
                let questions = Self.ask("v", "tcp", "w", 22, isAnswered) + Self.ask("v", "tcp", "w", 80, true)
                town.expect(try await town.surprises(questions))
            }
        }
    }
}
