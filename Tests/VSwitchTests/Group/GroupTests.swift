import Netlink
import TestSupport
import Testing
@testable import VSwitch

/// Who may talk to whom, with real packets.
@Suite("Groups", .enabled(if: TestNamespace.isPossible))
struct GroupTests {
    /// web answers on 80 for everybody, on 22 for admins, and pings; admins may ask anything; visitor has no groups.
    static let manifest = """
        switches: { blue: {} }
        addressSets: { visitors: [10.0.0.3, 192.0.2.0/24, "fd00::3"], others: [10.0.0.0/31, "fd00::/127"] }
        groups:
          web:
            ingress:
              - { protocol: tcp, ports: 80 }
              - { protocol: tcp, ports: 22, from: { group: admin } }
              - { protocol: udp, ports: 53, from: { set: visitors } }
              - { protocol: udp, ports: 80, from: { set: others } }
              - { protocol: icmp, types: echo-request }
              - { protocol: icmpv6, types: echo-request, from: fd00::/64 }
          admin:
            egress: [ { protocol: any } ]
        vms:
          w: { nics: [ { switch: blue, address: [10.0.0.1/24, "fd00::1/64"], groups: web, namespace: @w } ] }
          a: { nics: [ { switch: blue, address: [10.0.0.2/24, "fd00::2/64"], groups: admin, namespace: @a } ] }
          v: { nics: [ { switch: blue, address: [10.0.0.3/24, "fd00::3/64"], namespace: @v } ] }
        """

    /// A question over IPv4 and over IPv6, to the guests by their last byte.
    static func both(_ from: String, _ how: String, _ to: String, _ port: UInt16, _ isAnswered: Bool) -> [Town.Question]
    {
        let host = ["w": 1, "a": 2, "v": 3][to] ?? 0
        return ["10.0.0.\(host)", "fd00::\(host)"].map {
            Town.Question(from: from, how: how, to: $0, port: port, isAnswered: isAnswered)
        }
    }

    @Test func `a NIC hears what one of its groups allows, and nothing else`() async throws {
        try await Town.with(["w", "a", "v"]) { town in
            for _ in 0..<2 {
                let left = try await town.apply(Self.manifest)
                #expect(left == [])
            }
            let questions = [
                Self.both("v", "tcp", "w", 80, true), Self.both("v", "tcp", "w", 22, false),
                Self.both("v", "tcp", "w", 443, false), Self.both("v", "udp", "w", 53, true),
                Self.both("v", "udp", "w", 80, false), Self.both("v", "icmp", "w", 0, true),
                Self.both("a", "tcp", "w", 22, true), Self.both("a", "tcp", "w", 80, true),
                Self.both("a", "udp", "w", 53, false), Self.both("a", "icmp", "v", 0, true),
                Self.both("a", "tcp", "v", 443, true),
                // web may ask nobody, and nobody may ask an admin.
                Self.both("w", "tcp", "v", 80, false), Self.both("w", "icmp", "a", 0, false),
                Self.both("v", "tcp", "a", 80, false), Self.both("v", "icmp", "a", 0, false),
            ].flatMap(\.self)
            let surprises = try await town.surprises(questions)
            #expect(surprises == [])
        }
    }
}
