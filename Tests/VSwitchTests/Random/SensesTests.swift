import TestSupport
import Testing
@testable import VSwitch

/// That the random test sees what is wrong: one rule more or less than was asked for, and whatever a node has left.
@Suite("Senses of the random test", .enabled(if: TestNamespace.isPossible))
struct SensesTests {
    /// b lets its neighbour a in on 80, and c, from behind the router, nowhere.
    private static let sketch: Sketch = {
        var sketch = Sketch()
        sketch.switches = ["blue": Sketch.Switch(subnet: 1), "green": Sketch.Switch(subnet: 2)]
        sketch.groups["web"] = Sketch.Group(
            ingress: [Sketch.Rule(traffic: .ports("tcp", [80...80]), peers: [.group("client")])])
        sketch.groups["client"] = Sketch.Group(egress: [Sketch.Rule(traffic: .any, peers: [])])
        let interface = Sketch.Interface(number: 254, families: Family.allCases)
        sketch.routers["gw"] = Sketch.Router(interfaces: ["blue": interface, "green": interface])
        for (index, name) in ["a", "b", "c"].enumerated() {
            sketch.nics[name] = Sketch.NIC(
                switchName: name == "c" ? "green" : "blue", number: index + 1, families: Family.allCases,
                groups: [["client"], ["web"], []][index])
        }
        return sketch
    }()

    private static let names = ["a", "b", "c"]
    private static let text = sketch.yaml(guests: Set(names))

    private static func with(_ body: @Sendable (Place) async throws -> Void) async throws {
        try await Place.with(names) { place in
            try await place.answering {
                #expect(try await place.town.apply(text) == [])
                try await body(place)
            }
        }
    }

    /// Some questions, and what `sketch` says to them.
    private static func asked(_ sketch: Sketch) -> [(question: Expectation.Question, isAnswered: Bool)] {
        let expectation = Expectation(sketch: sketch)
        return Family.allCases.flatMap { family in
            [("a", "b", 1), ("c", "b", 1), ("c", "a", 1), ("a", "c", 2)].compactMap { from, to, subnet in
                let number = (names.firstIndex(of: to) ?? 0) + 1
                let host = Network.host(family, subnet: subnet, number: number)
                let question = Expectation.Question(from: from, how: "tcp", to: host, port: 80)
                return expectation.answers(question).map { (question, $0) }
            }
        }
    }

    @Test func `a rule that is not there is missed, and one too many is noticed`() async throws {
        try await Self.with { place in
            #expect(try await place.surprises(Self.asked(Self.sketch)) == [])
            var more = Self.sketch
            more.groups["web"]?.ingress.append(
                Sketch.Rule(traffic: .whole("tcp"), peers: [.network(.subnet(.v4, 2)), .network(.subnet(.v6, 2))]))
            var missed = try await place.surprises(Self.asked(more), within: 3)
            #expect(
                missed
                    == ["10.1.0.2", "fd01:0:0:0:0:0:0:2"].map {
                        "c tcp \($0) 80 is not answered, though it may be asked"
                    })
            var less = Self.sketch
            less.groups["web"]?.ingress = []
            missed = try await place.surprises(Self.asked(less))
            #expect(
                missed == ["10.1.0.2", "fd01:0:0:0:0:0:0:2"].map { "a tcp \($0) 80 is answered, though forbidden" })
        }
    }

    @Test func `a rule that was left is seen by packets and in the kernel`() async throws {
        try await Self.with { place in
            try await Place.with(Self.names) { fresh in
                #expect(try await fresh.town.apply(Self.text) == [])
                #expect(try await place.differences(from: fresh, guests: Self.names) == [])
                var more = Self.sketch
                more.groups["web"]?.ingress.append(
                    Sketch.Rule(traffic: .whole("tcp"), peers: [.network(.subnet(.v4, 2))]))
                #expect(try await place.town.apply(more.yaml(guests: Set(Self.names))) == [])
                let found = try await place.surprises(Self.asked(Self.sketch))
                #expect(found == ["c tcp 10.1.0.2 80 is answered, though forbidden"])
                let differences = try await place.differences(from: fresh, guests: Self.names, within: 0)
                let isSeen = differences.allSatisfy { $0.hasPrefix("- node rule") && $0.contains("10.2.0.0") }
                // On the bridge, and where it is routed.
                #expect(isSeen && differences.count == 2, "\(differences)")
            }
        }
    }

    @Test(arguments: [
        ["ip", "route", "add", "table", "77", "blackhole", "192.0.2.0/24"],
        ["ip", "rule", "add", "from", "192.0.2.1", "table", "77"], ["ip", "link", "set", "blue", "mtu", "1400"],
        ["ip", "address", "add", "192.0.2.1/32", "dev", "lo"], ["ip", "link", "set", "a-net0", "alias", "mine"],
        ["bridge", "link", "set", "dev", "a-net0", "isolated", "on"],
        ["bridge", "fdb", "add", "02:00:00:00:00:07", "dev", "a-net0", "master", "static"],
        ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/a-net0/forwarding"],
        ["nft", "add table inet other"],
    ]) func `what a node has left is seen in the kernel`(words: [String]) async throws {
        try await Place.with(Self.names) { place in
            try await Place.with(Self.names) { fresh in
                for each in [place, fresh] { #expect(try await each.town.apply(Self.text) == []) }
                #expect(try await place.differences(from: fresh, guests: Self.names) == [])
                try await output(of: place.town.node.inside(words))
                #expect(try await !place.differences(from: fresh, guests: Self.names, within: 0).isEmpty)
            }
        }
    }
}
