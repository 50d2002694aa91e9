import Capabilities
import TestSupport
import Testing
@testable import VSwitch

/// NICs with groups and a router: between switches, to the outside, from the outside, and with the router itself.
@Suite("Groups and routers", .enabled(if: TestNamespace.isPossible))
struct RoutedGroupTests {
    /// Where c asks the forward for 8080: conntrack of the bridge judges before it is led on, br_netfilter behind that.
    private static let sent = Capabilities.current.has(.conntrackBridge) ? "[80, 8080]" : "80"

    /// web and client are on blue, x with groups on red, o without on wan, whose packets are shorter.
    private static let manifest = """
        switches: { blue: {}, red: {}, wan: { mtu: 1300 } }
        addressSets: { outside: [ 203.0.113.0/24, "fd20::/64" ] }
        groups:
          web:
            ingress:
              - { protocol: tcp, ports: 80, from: [ { group: client }, { set: outside } ] }
              - { protocol: icmp, types: echo-request, from: 10.0.0.254 }
              - { protocol: icmpv6, types: echo-request, from: "fd00::fe" }
          client:
            egress: [ { protocol: tcp, ports: \(sent) }, { protocol: udp }, { protocol: icmp },
              { protocol: icmpv6 } ]
          red: { ingress: { protocol: tcp, ports: [22, 80], from: { group: client } }, egress: { protocol: any } }
        routers:
          gw:
            interfaces:
              blue: { addresses: [10.0.0.254/24, "fd00::fe/64"] }
              red: { addresses: [10.1.0.254/24, "fd01::fe/64"] }
              wan: { addresses: [203.0.113.1/24, "fd20::1/64"] }
            snat: [ { from: 10.0.0.0/15, out: wan }, { from: "fd00::/15", out: wan } ]
            forwards: \(Town.forwards)
        vms:
          w: { nics: [ { switch: blue, address: [10.0.0.1, "fd00::1"], groups: web, namespace: @w ,
            gateway: [10.0.0.254, "fd00::fe"] } ] }
          c: { nics: [ { switch: blue, address: [10.0.0.3, "fd00::3"], groups: client, namespace: @c ,
            gateway: [10.0.0.254, "fd00::fe"] } ] }
          x: { nics: [ { switch: red, address: [10.1.0.5, "fd01::5"], groups: red, namespace: @x ,
            gateway: [10.1.0.254, "fd01::fe"] } ] }
          o: { nics: [ { switch: wan, address: [203.0.113.9, "fd20::9"], namespace: @o ,
            gateway: [203.0.113.1, "fd20::1"] } ] }
        """

    private static let hosts = [
        "w": ["10.0.0.1", "fd00::1"], "x": ["10.1.0.5", "fd01::5"], "o": ["203.0.113.9", "fd20::9"],
        "blue": ["10.0.0.254", "fd00::fe"], "wan": ["203.0.113.1", "fd20::1"],
    ]

    private static func ask(_ from: String, _ how: String, _ to: String, _ port: UInt16, _ isAnswered: Bool)
        -> [Town.Question]
    {
        (hosts[to] ?? []).map { Town.Question(from: from, how: how, to: $0, port: port, isAnswered: isAnswered) }
    }

    private static func with(_ body: @Sendable (Town) async throws -> Void) async throws {
        try await Town.with(["w", "c", "x", "o"]) { town in
            for _ in 0..<2 { town.expect(try await town.apply(manifest)) }
            try await body(town)
        }
    }

    @Test func `neighbours behind a router meet the rules of both ends`() async throws {
        try await Self.with { town in
            let questions = [
                Self.ask("c", "tcp", "x", 80, true), Self.ask("c", "tcp", "x", 22, false),
                Self.ask("c", "udp", "x", 53, false), Self.ask("c", "icmp", "x", 0, false),
                // x may ask whomever it wants: w lets only clients in.
                Self.ask("x", "tcp", "w", 80, false), Self.ask("x", "tcp", "o", 443, true),
                Self.ask("w", "tcp", "x", 80, false), Self.ask("c", "tcp", "w", 80, true),
            ]
            town.expect(try await town.surprises(questions.flatMap(\.self)))
        }
    }

    @Test func `what is translated meets them too`() async throws {
        try await Self.with { town in
            let questions = [
                Self.ask("c", "tcp", "o", 80, true), Self.ask("c", "tcp", "o", 443, false),
                Self.ask("c", "udp", "o", 53, true), Self.ask("c", "icmp", "o", 0, true),
                Self.ask("w", "tcp", "o", 80, false), Self.ask("w", "icmp", "o", 0, false),
                // Forwarded from the outside, from another switch and from w's own.
                Self.ask("o", "tcp", "wan", 8_080, true), Self.ask("o", "tcp", "wan", 8_443, false),
                Self.ask("x", "tcp", "wan", 8_080, false), Self.ask("c", "tcp", "wan", 8_080, true),
                Self.ask("c", "tcp", "wan", 8_443, false),
            ]
            town.expect(try await town.surprises(questions.flatMap(\.self)))
        }
    }

    @Test func `a router answers who may ask it, and asks who lets it in`() async throws {
        try await Self.with { town in
            let questions = [
                Self.ask("c", "icmp", "blue", 0, true), Self.ask("c", "icmp", "wan", 0, true),
                Self.ask("w", "icmp", "blue", 0, false), Self.ask("x", "icmp", "blue", 0, true),
                Self.ask("o", "icmp", "wan", 0, true), Self.ask("c", "refused", "blue", 9, true),
            ]
            town.expect(try await town.surprises(questions.flatMap(\.self)))
            for address in ["10.0.0.1", "fd00::1"] {
                #expect(try await town.node.attempt("ping", "-c", "1", "-W", "2", address).succeeded, "\(address)")
            }
            for address in ["10.0.0.3", "fd00::3", "10.1.0.5", "fd01::5"] {
                let answer = try await town.node.attempt("ping", "-c", "1", "-W", "1", address)
                #expect(!answer.succeeded, "\(address)")
            }
        }
    }

    @Test func `errors about what was allowed come back`() async throws {
        try await Self.with { town in
            let questions = [
                // Nobody listens there: o says so to the router, which says it to c.
                Self.ask("c", "refused", "o", 9, true),
                // The next packet is too long for wan: the router says so itself.
                Self.ask("c", "narrow", "o", 53, true),
                Self.ask("x", "refused", "o", 9, true), Self.ask("w", "refused", "o", 9, false),
                Self.ask("w", "narrow", "o", 53, false),
            ]
            town.expect(try await town.surprises(questions.flatMap(\.self)))
        }
    }

    @Test func `what was refused makes no way for an answer`() async throws {
        try await Self.with { town in
            let (w, o) = (try #require(town.guests["w"]), try #require(town.guests["o"]))
            for (inner, outer, family) in [("10.0.0.1", "203.0.113.9", 4), ("[fd00::1]", "[fd20::9]", 6)] {
                // w may send nothing of its own: this would be an answer to what nobody let in.
                try await o.run("sh", "-c", "echo hello | socat -u - UDP\(family):\(inner):9999,bind=:4444")
                try await TemporaryDirectory.with { directory in
                    let listen = o.inside(["socat", "-u", "UDP\(family)-RECV:4444", "-"])
                    try await RunningCommand.with(listen, log: directory.file("heard")) { _ in
                        let send = "for i in 1 2 3 4 5; do echo hello; sleep 0.2; done"
                        try await w.run("sh", "-c", "(\(send)) | socat -u - UDP\(family):\(outer):4444,bind=:9999")
                        // That it would have been heard.
                        let isThere = try await eventually(within: 20) {
                            try await o.run("sh", "-c", "echo there | socat -u - UDP\(family):\(outer):4444")
                            return try directory.read("heard").contains("there")
                        }
                        let heard = try directory.read("heard")
                        #expect(isThere && !heard.contains("hello"), "\(family): \(heard)")
                    }
                }
            }
        }
    }
}
