import TestSupport
import Testing

/// A node that carries flows of every sort: bridged and routed, through groups and without, translated and not, IPv4
/// and IPv6; and beside them half a manifest that comes and goes.
struct Crossing: Sendable {
    let node: AgentNode
    let guests: [String: TestNamespace]

    private static let names = ["alice", "bob", "carol", "dave", "erin"]

    /// Makes the node and its guests; nothing is applied yet.
    static func with<Value: Sendable>(_ body: @Sendable (Crossing) async throws -> Value) async throws -> Value {
        try await guests(names[...], [:]) { guests in
            try await AgentNode.with("{}") { node in
                let crossing = Crossing(node: node, guests: guests)
                try crossing.write(.day)
                return try await body(crossing)
            }
        }
    }

    private static func guests<Value: Sendable>(
        _ names: ArraySlice<String>, _ made: [String: TestNamespace],
        _ body: @Sendable ([String: TestNamespace]) async throws -> Value
    ) async throws -> Value {
        guard let name = names.first else { return try await body(made) }
        return try await TestNamespace.with { guest in
            var made = made
            made[name] = guest
            return try await guests(names.dropFirst(), made, body)
        }
    }

    private func guest(_ name: String) throws -> TestNamespace { try #require(guests[name]) }

    /// Runs the body beside flows, alice's and dave's, and beside what must not arrive: what bob's group does not
    /// allow, and what dave sends in another's name.
    func flows(_ body: @Sendable () async throws -> Void) async throws -> Flows.Outcome {
        let forwarded = ["192.0.2.80", "2001:db8:80::1"]
        let addresses = ["10.10.0.11", "fd00:10::11", "10.20.0.10", "fd00:20::10"] + forwarded
        return try await Flows.during(
            [
                Flows.Path(
                    from: guest("alice"), to: [guest("bob"), guest("carol")], addresses: addresses,
                    intrusions: addresses),
                Flows.Path(
                    from: guest("dave"), to: [guest("erin")], addresses: ["10.30.0.11", "fd00:30::11"],
                    intrusions: ["10.30.0.66=10.30.0.11", "fd00:30::66=fd00:30::11"]),
            ], in: node.directory, body)
    }

    /// Whether flows that had nothing to suffer could be judged.
    enum Round: Hashable, Sendable {
        case judged
        /// The machine itself was too busy for packets of anybody's: that of ours some were among them proves nothing.
        case withoutVerdict(String)
    }

    /// How many rounds a busy machine is given.
    static let rounds = 4

    /// Runs the body on a node; again, on a new one, where the machine was too busy to tell. Each such round is told
    /// of, and one has to be judged.
    static func judged(
        _ name: String = #function, tell: (String) -> Void = { print($0) },
        _ body: @Sendable (Crossing) async throws -> Round
    ) async throws {
        var doubts: [String] = []
        while doubts.count < rounds {
            guard case .withoutVerdict(let doubt) = try await with(body) else { return }
            doubts.append(doubt)
            tell("no verdict: \(name), round \(doubts.count) of \(rounds)\n\(doubt)")
        }
        Issue.record("no verdict in \(rounds) rounds: the machine is too busy\n\(doubts.joined())")
    }

    /// Flows, where nothing may be lost and nobody may come in.
    func undisturbed(_ body: @Sendable () async throws -> Void) async throws -> Round {
        let outcome = try await flows(body)
        #expect(outcome.reports.count == 2)
        var doubts: [String] = []
        for report in outcome.reports {
            if report.contains("nothing to tell") {
                doubts.append(report)
                continue
            }
            #expect(
                report.contains("every packet came back"), "\(report)\n\((try? text(ofFile: node.log)) ?? "")")
        }
        #expect(outcome.intruders.isEmpty, "\(outcome.intruders.count): \(outcome.intruders.prefix(9))")
        return doubts.isEmpty ? .judged : .withoutVerdict(doubts.joined())
    }

    /// The two halves of what does not carry the flows.
    enum Half: String, Sendable { case day, night }

    func write(_ half: Half) throws {
        let sections = [Self.switches(half), Self.groups(half), Self.routers(half), try vms(half)]
        try node.write(sections.joined())
    }

    private static func switches(_ half: Half) -> String {
        """
        switches:
          blue: {}
          red: {}
          plain: {}
          calm: { mtu: \(half == .day ? 1500 : 1280) }
          \(half): { mtu: 1400 }

        """
    }

    private static func groups(_ half: Half) -> String {
        """
        addressSets: { office: [198.51.100.0/\(half == .day ? "24" : "25, 203.0.113.0/24")] }
        groups:
          peers:
            ingress:
              - { protocol: udp, ports: 7000 }
              - { protocol: tcp, ports: 7000 }
              - { protocol: tcp, ports: \(half == .day ? 80 : 8080), from: { set: office } }
            egress: [ { protocol: any } ]
          \(half): { ingress: [ { protocol: icmp }, { protocol: tcp, ports: 22, from: { group: peers } } ] }

        """
    }

    private static func routers(_ half: Half) -> String {
        let forwards = ["tcp", "udp"].map { transport in
            """
                  - { listen: 192.0.2.80, protocol: \(transport), port: 7000, to: 10.20.0.10 }
                  - { listen: "2001:db8:80::1", protocol: \(transport), port: 7000, to: "fd00:20::10" }

            """
        }
        return """
            routers:
              r\(half): { interfaces: { \(half): { addresses: [10.77.0.1/24, "fd00:77::1/64"] } } }
              gw:
                interfaces:
                  blue: { addresses: [10.10.0.1/24, "fd00:10::1/64"] }
                  red: { addresses: [10.20.0.1/24, "fd00:20::1/64"] }
                routes: [ { to: \(half == .day ? "198.51.100.0/24" : "203.0.113.0/24"), via: 10.20.0.99 } ]
                snat:
                  - { from: 10.10.0.0/24, out: red }
                  - { from: \(half == .day ? "172.16.0.0/24" : "172.17.0.0/24"), out: red }
                forwards:
                  - { listen: 192.0.2.80, protocol: tcp, port: \(half == .day ? 80 : 443), to: 10.20.0.10 }

            """ + forwards.joined()
    }

    private func vms(_ half: Half) throws -> String {
        let grouped = [
            ("alice", "blue, address: [10.10.0.10, \"fd00:10::10\"], gateway: [10.10.0.1, \"fd00:10::1\"]"),
            ("bob", "blue, address: [10.10.0.11, \"fd00:10::11\"]"),
            ("carol", "red, address: [10.20.0.10, \"fd00:20::10\"], gateway: [10.20.0.1, \"fd00:20::1\"]"),
        ]
        var lines = try grouped.map { name, nic in
            "  \(name): { nics: [ { switch: \(nic), groups: [peers], namespace: \(try guest(name).name) } ] }"
        }
        lines += try [("dave", 10), ("erin", 11)].map { name, last in
            let nic = "switch: plain, address: [10.30.0.\(last)/24, \"fd00:30::\(last)/64\"]"
            return "  \(name): { nics: [ { \(nic), namespace: \(try guest(name).name) } ] }"
        }
        lines += (1...48).map { number in
            let place = ["blue", "red", "plain", "\(half)"][number % 4]
            // Only at night has the switch of dave and erin NICs with groups, so that its packets are tracked.
            let groups = half == .day && place == "plain" ? "" : ", groups: [\(number % 2 == 0 ? "\(half)" : "peers")]"
            let nic = "switch: \(place), address: 10.99.\(half == .day ? 0 : 1).\(number)\(groups)"
            return "  \(half)\(number): { nics: [ { \(nic) } ] }"
        }
        return "vms:\n" + lines.joined(separator: "\n") + "\n"
    }
}
