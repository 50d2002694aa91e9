import Netlink
import TestSupport
import Testing
@testable import VSwitch

/// That the same addresses on two switches are two flows: /proc/net/nf_conntrack and the answers are the witnesses.
struct ZoneTests {
    @Test func `each switch has a zone of its own, whichever others there are`() {
        let names = (0..<2_000).map { "switch\($0)" }
        let all = SwitchZones(names)
        let zones = names.map { all[$0] }
        #expect(Set(zones).count == names.count)
        #expect(zones.allSatisfy { SwitchZones.all.contains($0) })
        #expect(names.map { SwitchZones(names.reversed())[$0] } == zones)
        // Few of so many have met a name before them, and moved on.
        #expect(names.filter { SwitchZones([$0])[$0] != all[$0] }.count < 100)
        #expect(all["elsewhere"] == 0)
    }

    @Test func `bridges with a conntrack of their own put packets into zones before it`() throws {
        var policy = Policy()
        policy.groups = ["web": GroupSpec(name: "web")]
        policy.state = .conntrack
        let blue = SwitchSpec(name: "blue")
        policy.zones = ["blue": (5_000, blue.mac)]
        policy.trunks = [(try #require(InterfaceName("eth1")), "blue"), (try #require(InterfaceName("eth2")), "red")]
        let nics = ["a": ["web"], "b": []].sorted { $0.key < $1.key }.map {
            NICSpec(machine: $0.key, name: "net0", switchName: "blue", groups: $0.value)
        }
        let table = GuardTable.compile(nics, policy)
        let ports = try ["a-net0", "b-net0", "eth1"].map { try #require(InterfaceName($0)) }
        let zone = NFData.value(NFKey(.zone(5_000)))
        #expect(
            table.sets["zones"]?.elements
                == Dictionary(
                    uniqueKeysWithValues: ports.map { (NFKey(.interface($0)), zone) }))
        #expect(
            Set((table.sets["stations"]?.elements ?? [:]).keys)
                == Set(
                    ports.map { NFKey(.interface($0), .mac(blue.mac)) }))
        #expect(table.chains["zones"]?.hook == NFChain.Hook(.filter, .prerouting, priority: -250))
        // Elsewhere the table of IP does it.
        policy.state = .mark
        #expect(GuardTable.compile(nics, policy).chains["zones"] == nil)
    }

    /// Two tenants with the same addresses; on blue 53 is allowed, on green nothing is.
    private static let twins = """
        switches: { blue: {}, green: {} }
        groups:
          open: { ingress: { protocol: udp, ports: 53 } }
          shut: {}
        vms:
          w: { nics: [ { switch: blue, address: [10.0.0.1/24, "fd00::1/64"], groups: open, namespace: @w } ] }
          v: { nics: [ { switch: blue, address: [10.0.0.3/24, "fd00::3/64"], namespace: @v } ] }
          x: { nics: [ { switch: green, address: [10.0.0.1/24, "fd00::1/64"], groups: shut, namespace: @x } ] }
          y: { nics: [ { switch: green, address: [10.0.0.3/24, "fd00::3/64"], namespace: @y } ] }
        """

    @Test(.enabled(if: TestNamespace.isPossible))
    func `what one switch has allowed is nothing to another`() async throws {
        try await Town.with(["w", "v", "x", "y"]) { town in
            town.expect(try await town.apply(Self.twins))
            town.expect(try await town.apply(Self.twins))
            func ask(_ from: String, _ isAnswered: Bool) -> [Town.Question] {
                ["10.0.0.1", "fd00::1"].map {
                    Town.Question(from: from, how: "udp", to: $0, port: 53, source: 4444, isAnswered: isAnswered)
                }
            }
            town.expect(try await town.surprises(ask("v", true)))
            town.expect(try await town.surprises(ask("y", false)))
            town.expect(try await town.surprises(ask("v", true) + ask("y", false)))
            let zone = SwitchZones(["blue", "green"])["blue"]
            let flows = try await town.flows().filter { $0.contains("sport=4444") }
            #expect(flows.count == 2 && flows.allSatisfy { $0.contains(" zone=\(zone) ") }, "\(flows)")
        }
    }

    /// One tenant asks a stranger through a router that translates, another a neighbour: both from and to the same
    /// addresses and ports.
    private static let routed = """
        switches: { blue: {}, green: {}, wan: {} }
        groups:
          ask: { egress: { protocol: udp } }
        routers:
          gw:
            interfaces:
              blue: { addresses: [10.0.0.254/24, "fd00::fe/64"] }
              wan: { addresses: [203.0.113.1/24, "fd20::1/64"] }
            snat: [ { from: 10.0.0.0/24, out: wan }, { from: "fd00::/64", out: wan } ]
        vms:
          v: { nics: [ { switch: blue, address: [10.0.0.3, "fd00::3"], groups: ask, namespace: @v ,
            gateway: [10.0.0.254, "fd00::fe"] } ] }
          o: { nics: [ { switch: wan, address: [203.0.113.9, "fd20::9"], namespace: @o } ] }
          y: { nics: [ { switch: green, address: [10.0.0.3/24, "fd00::3/64"], groups: ask, namespace: @y ,
            gateway: [203.0.113.9, "fd20::9"] } ] }
          z: { nics: [ { switch: green, address: [203.0.113.9/24, "fd20::9/64"], namespace: @z ,
            gateway: [10.0.0.3, "fd00::3"] } ] }
        """

    @Test(.enabled(if: TestNamespace.isPossible))
    func `what a router translates is nothing to another switch`() async throws {
        try await Town.with(["v", "o", "y", "z"]) { town in
            town.expect(try await town.apply(Self.routed))
            let questions = ["v", "y"].flatMap { from in
                ["203.0.113.9", "fd20::9"].map { to in
                    Town.Question(from: from, how: "udp", to: to, port: 53, source: 4444, isAnswered: true)
                }
            }
            town.expect(try await town.surprises(questions))
            town.expect(try await town.surprises(questions.reversed()))
            let flows = try await town.flows().filter { $0.contains("sport=4444 dport=53") }
            let zones = SwitchZones(["blue", "green", "wan"])
            let translated = flows.filter { $0.contains(" zone-orig=\(zones["blue"]) ") }
            let bridged = flows.filter { $0.contains(" zone=\(zones["green"]) ") }
            #expect(flows.count == 4 && translated.count == 2 && bridged.count == 2, "\(flows)")
            #expect(translated.contains { $0.contains("dst=203.0.113.1 ") }, "\(flows)")
            #expect(bridged.contains { $0.contains("dst=10.0.0.3 ") }, "\(flows)")
        }
    }
}

extension Town {
    /// That nothing is left of what should not be.
    func expect(_ rest: [String], at location: SourceLocation = #_sourceLocation) {
        #expect(rest == [], sourceLocation: location)
    }

    /// The lines of /proc/net/nf_conntrack.
    func flows() async throws -> [String] {
        try await node.run("cat", "/proc/thread-self/net/nf_conntrack").split(separator: "\n").map(String.init)
    }
}
