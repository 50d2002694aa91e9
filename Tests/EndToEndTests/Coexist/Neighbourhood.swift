import TestSupport
import Testing

/// A node of ours on which somebody else has rules, a bridge and guests too.
///
///     alice 10.10.0.10, bob 10.10.0.11, in groups ── blue ─┐
///     carol 10.77.0.10, dave 10.77.0.11 ─────────── lone   │
///     carol 10.20.0.10, dave 10.20.0.11 ──────────── red ──┤ gw ── wan ── eth1 ── outside 203.0.113.9
///     one .2, two .3 ────────────────── a bridge of his ───┘ node ── eth0 ── outside 198.51.100.9
struct Neighbourhood: Sendable {
    let node: AgentNode
    let neighbour: Neighbour
    private let guests: [String: TestNamespace]

    private static let names = ["outside", "one", "two", "alice", "bob", "carol", "dave"]

    /// Makes all but what is ours, and runs the body beside echoes on every host.
    static func with(_ neighbour: Neighbour, _ body: @Sendable (Neighbourhood) async throws -> Void) async throws {
        try await guests(names[...], [:]) { guests in
            try await AgentNode.with("{}") { node in
                let place = Neighbourhood(node: node, neighbour: neighbour, guests: guests)
                try await place.build()
                let log = node.directory.file("echoes")
                let spaces = guests.values.map(\.name) + [node.space.name]
                let serve = "nsenter --net=/run/netns/$n python3 \(script) serve"
                let echoes = "for n in \(spaces.joined(separator: " ")); do \(serve) & done; wait"
                try await RunningCommand.with(["sh", "-c", echoes], log: log) { _ in
                    let areUp = try await eventually(within: 60) {
                        try text(ofFile: log).matches(of: /ready/).count == spaces.count
                    }
                    #expect(areUp)
                    try await body(place)
                }
            }
        }
    }

    private static let script = #filePath.replacing("Coexist/Neighbourhood.swift", with: "flow.py")

    private static func guests(
        _ names: ArraySlice<String>, _ made: [String: TestNamespace],
        _ body: @Sendable ([String: TestNamespace]) async throws -> Void
    ) async throws {
        guard let name = names.first else { return try await body(made) }
        try await TestNamespace.with { guest in
            var made = made
            made[name] = guest
            try await guests(names.dropFirst(), made, body)
        }
    }

    private func space(_ name: String) throws -> TestNamespace { try #require(guests[name]) }

    // MARK: What is his

    private func build() async throws {
        let outside = try space("outside").name
        var script = """
            ip link add eth0 type veth peer name eth0 netns \(outside)
            ip addr add 198.51.100.1/24 dev eth0; ip link set eth0 up
            ip link add eth1 type veth peer name eth1 netns \(outside)
            ip link add \(neighbour.bridge) type bridge; ip link set \(neighbour.bridge) addrgenmode none up
            ip addr add \(neighbour.network).1/24 dev \(neighbour.bridge)
            sysctl -qw net.ipv4.ip_forward=1

            """
        for name in ["one", "two"] {
            script += """
                ip link add \(name) type veth peer name eth0 netns \(try space(name).name)
                ip link set \(name) addrgenmode none master \(neighbour.bridge) up

                """
        }
        if let calls = neighbour.callsRules {
            let value = calls ? 1 : 0
            script += "for f in /proc/sys/net/bridge/bridge-nf-call-ip*; do test ! -e $f || echo \(value) > $f; done\n"
        }
        for (index, rules) in neighbour.rules.enumerated() {
            let file = try node.directory.write(rules.text, to: "rules\(index)")
            script += (rules.tool + [file]).joined(separator: " ") + "\n"
        }
        try await node.space.run("sh", "-ec", script)
        try await space("outside").run(
            "sh", "-ec",
            """
            ip addr add 198.51.100.9/24 dev eth0; ip link set eth0 up
            ip addr add 203.0.113.9/24 dev eth1; ip addr add fd00:99::9/64 dev eth1 nodad; ip link set eth1 up
            ip route add \(neighbour.network).0/24 via 198.51.100.1
            """)
        for (name, last) in [("one", 2), ("two", 3)] {
            try await space(name).run(
                "sh", "-ec",
                """
                ip addr add \(neighbour.network).\(last)/24 dev eth0; ip link set eth0 up
                ip route add default via \(neighbour.network).1
                """)
        }
    }

    /// His rules as he left them.
    func hisRules() async throws -> String { try await node.space.run("sh", "-ec", neighbour.listing) }

    // MARK: What is ours

    /// - Parameter isChanged: whether what carries nothing of the ways looked at is other than at first.
    func manifest(isChanged: Bool = false) throws -> String {
        func vm(_ name: String, _ nics: String...) throws -> String {
            let space = try space(name).name
            return "  \(name): { nics: [ \(nics.map { "{ \($0), namespace: \(space) }" }.joined(separator: ", ")) ] }"
        }
        func addresses(_ net: Int, _ last: Int) -> String {
            "address: [10.\(net).0.\(last)/24, \"fd00:\(net)::\(last)/64\"]"
        }
        func routed(_ net: Int, _ last: Int) -> String {
            "\(addresses(net, last)), gateway: [10.\(net).0.1, \"fd00:\(net)::1\"]"
        }
        let extra = isChanged ? "\n  green: { mtu: 1400 }" : ""
        return """
            switches:
              blue: {}
              red: {}
              lone: {}
              wan: { uplinks: [eth1] }\(extra)
            groups: { echo: { ingress: [ { protocol: tcp, ports: 7000 } ], egress: [ { protocol: any } ] } }
            routers:
              gw:
                interfaces:
                  blue: { addresses: [10.10.0.1/24, "fd00:10::1/64"] }
                  red: { addresses: [10.20.0.1/24, "fd00:20::1/64"] }
                  wan: { addresses: [203.0.113.2/24, "fd00:99::2/64"] }
                snat: [ { from: 10.10.0.0/24, out: wan } ]
                forwards:
                  - { listen: 203.0.113.2, protocol: tcp, port: 80, to: "10.10.0.11:7000" }
                  - { listen: 203.0.113.2, protocol: tcp, port: \(isChanged ? 443 : 444), to: "10.20.0.10:7000" }
            vms:
            \(try vm("alice", "switch: blue, groups: [echo], " + routed(10, 10)))
            \(try vm("bob", "switch: blue, groups: [echo], " + routed(10, 11)))
            \(try vm("carol", "switch: red, " + routed(20, 10), "switch: lone, " + addresses(77, 10)))
            \(try vm("dave", "switch: red, " + routed(20, 11), "switch: lone, " + addresses(77, 11)))

            """
    }

    /// Ways of ours, by the resource that has to carry them.
    static let ours: [String: [Neighbour.Way]] = [
        "switch/blue": [way("alice", "10.10.0.11"), way("alice", "[fd00:10::11]")],
        "switch/red": [way("carol", "10.20.0.11"), way("carol", "[fd00:20::11]")],
        "switch/lone": [way("carol", "10.77.0.11"), way("carol", "[fd00:77::11]")],
        "router/gw": [
            way("alice", "10.20.0.10"), way("alice", "[fd00:20::10]"), way("alice", "203.0.113.9"),
            Neighbour.Way("outside", "203.0.113.2:80"),
        ],
    ]

    private static func way(_ from: String, _ to: String) -> Neighbour.Way { Neighbour.Way(from, to + ":7000") }

    // MARK: Who reaches whom

    /// Those of the ways that carry nothing, each tried until it does or the time is up.
    func closed(_ ways: [Neighbour.Way], within seconds: Int = 10) async throws -> [Neighbour.Way] {
        try await withThrowingTaskGroup(of: (Neighbour.Way, Bool).self) { group in
            for way in ways {
                group.addTask {
                    let reached = try await eventually(within: seconds) { try await isOpen(way) }
                    return (way, reached)
                }
            }
            var closed: [Neighbour.Way] = []
            for try await (way, isOpen) in group where !isOpen { closed.append(way) }
            return closed
        }
    }

    private func isOpen(_ way: Neighbour.Way) async throws -> Bool {
        let family = way.to.hasPrefix("[") ? "TCP6" : "TCP4"
        let ask = "echo hello | socat -t 2 - \(family):\(way.to),connect-timeout=2"
        return try await space(way.from).attempt("sh", "-c", ask).output == "hello\n"
    }

    /// What status says of resources of ours that do not work, by their names.
    func troubles() async throws -> [String: String] {
        let status = try await node.agent("status", "--output", "json").output
        let entry = #/"detail" : "((?:[^"\\]|\\.)*)",\s*"id" : "([^"]+)",[^}]*"state" : "degraded"/#
        return Dictionary(status.matches(of: entry).map { (String($0.2), String($0.1)) }) { first, _ in first }
            .mapValues { $0.replacing("\\\"", with: "\"").replacing("\\/", with: "/") }
    }

    /// Types what status names as remedies.
    func mend(_ details: some Sequence<String>) async throws {
        var commands = Set(details.flatMap { $0.matches(of: /`([^`]+)`/).map { String($0.1) } }).sorted()
        for (from, to) in neighbour.translations {
            let pattern = try Regex(from)
            commands = commands.map { command in
                command.replacing(pattern) { match in
                    to.replacing("$1", with: match.output.count > 1 ? String(match.output[1].substring ?? "") : "")
                }
            }
        }
        for command in commands {
            let tool = command.replacing(#/(ip6?tables) /#) { "\($0.1)-nft " }
            try await node.space.run("sh", "-ec", tool)
        }
    }
}
