import Netlink
import Testing
@testable import VSwitch

/// Which flows of conntrack the rules forbid, and whose rules a change concerns.
struct FlowJudgeTests {
    private static let groups = [
        "web": GroupSpec(
            name: "web", ingress: [GroupRule(.ports(.tcp, [PortRange(80, 80)]), peers: [.group("client")])],
            egress: [GroupRule(.any)]),
        "client": GroupSpec(
            name: "client", egress: [GroupRule(.ports(.tcp, [PortRange(80, 80)]), peers: [.set("servers")])]),
    ]

    private static func sets(_ texts: String...) -> [String: AddressSetSpec] {
        ["servers": AddressSetSpec(name: "servers", members: texts.compactMap(IPPrefix.init(_:)))]
    }

    /// w on blue and green with the same address; c on blue.
    private static func nics() throws -> [NICSpec] {
        func nic(_ machine: String, _ network: String, _ address: String, _ groups: [String]) throws -> NICSpec {
            NICSpec(
                machine: machine, name: "net0", switchName: network,
                addresses: [NICSpec.Address(try #require(IPAddress(address)))], groups: groups)
        }
        return [
            try nic("w", "blue", "10.0.0.1", ["web"]), try nic("c", "blue", "10.0.0.3", ["client"]),
            try nic("x", "green", "10.0.0.1", ["client"]), try nic("o", "blue", "10.0.0.9", []),
        ]
    }

    private static func judge(_ state: StateSource = .mark, only judged: Set<String>? = nil) throws -> FlowJudge {
        FlowJudge(
            model: PolicyModel(try nics(), groups: groups, sets: sets("10.0.0.1/32"), judged: judged),
            places: [
                5_000: FlowJudge.Place(name: "blue", joined: ["blue", "wan"]),
                5_001: FlowJudge.Place(name: "green", joined: []),
                5_002: FlowJudge.Place(name: "wan", joined: ["blue", "wan"]),
            ], state: state)
    }

    private static func tuple(
        _ source: String, _ from: UInt16, _ destination: String, _ to: UInt16, zone: UInt16? = nil
    )
        throws -> ConntrackTuple
    {
        ConntrackTuple(
            source: try #require(IPAddress(source)), destination: try #require(IPAddress(destination)), transport: 6,
            ends: .ports(source: from, destination: to), zone: zone)
    }

    /// A flow within a zone, as neighbours have it.
    private static func flow(
        _ source: String, _ destination: String, _ port: UInt16, zone: UInt16, isPickedUp: Bool = false
    ) throws -> ConntrackEntry {
        ConntrackEntry(
            original: try tuple(source, 4_000, destination, port), reply: try tuple(destination, port, source, 4_000),
            zone: zone, isPickedUp: isPickedUp)
    }

    @Test(arguments: [
        ("10.0.0.3", "10.0.0.1", 80, 5_000, false), ("10.0.0.3", "10.0.0.1", 81, 5_000, true),
        ("10.0.0.9", "10.0.0.1", 80, 5_000, true), ("10.0.0.9", "10.0.0.8", 80, 5_000, false),
        // On green somebody else has the address, who allows nothing; elsewhere nobody of ours.
        ("10.0.0.3", "10.0.0.1", 80, 5_001, true), ("10.0.0.9", "10.0.0.1", 80, 5_003, false),
        ("10.0.0.9", "10.0.0.1", 80, 0, false),
    ])
    func `neighbours are judged on their own switch`(
        source: String, destination: String, port: Int, zone: Int, isForbidden: Bool
    ) throws {
        let flow = try Self.flow(source, destination, UInt16(port), zone: UInt16(zone))
        #expect(try Self.judge().forbids(flow) == isForbidden)
    }

    @Test func `each end sees what is translated as its chains do`() throws {
        // From wan to a listener of the router, which leads to w: w allows clients alone, by the source that it sees.
        func forwarded(seenAs source: String) throws -> ConntrackEntry {
            ConntrackEntry(
                original: try Self.tuple("203.0.113.9", 4_000, "203.0.113.1", 8_080, zone: 5_002),
                reply: try Self.tuple("10.0.0.1", 80, source, 4_000),
                status: [.destinationTranslated, .sourceTranslated])
        }
        #expect(try Self.judge().forbids(forwarded(seenAs: "203.0.113.9")))
        #expect(try Self.judge().forbids(forwarded(seenAs: "10.0.0.3")) == false)
        // From c to the same listener: w is asked by c, whoever it sees. br_netfilter shows c's rules where it leads.
        let turned = ConntrackEntry(
            original: try Self.tuple("10.0.0.3", 4_000, "203.0.113.1", 8_080, zone: 5_000),
            reply: try Self.tuple("10.0.0.1", 80, "10.0.0.254", 4_000),
            status: [.destinationTranslated, .sourceTranslated])
        #expect(try Self.judge(.mark).forbids(turned) == false)
        // Conntrack of the bridge shows them the listener.
        #expect(try Self.judge(.conntrack, only: ["c/net0"]).forbids(turned))
        #expect(try Self.judge(.conntrack, only: ["w/net0"]).forbids(turned) == false)
    }

    @Test func `NICs that nothing has happened to are not asked`() throws {
        let flow = try Self.flow("10.0.0.9", "10.0.0.1", 80, zone: 5_000)
        #expect(try Self.judge(only: ["c/net0"]).forbids(flow) == false)
        #expect(try Self.judge(only: ["w/net0"]).forbids(flow))
    }

    @Test func `who was met in the middle needs to be allowed both ways`() throws {
        // w may send whatever it wants, but nobody may have asked it.
        #expect(try Self.judge().forbids(Self.flow("10.0.0.1", "10.0.0.9", 4_000, zone: 5_000)) == false)
        #expect(try Self.judge().forbids(Self.flow("10.0.0.1", "10.0.0.9", 4_000, zone: 5_000, isPickedUp: true)))
    }

    @Test func `who had no groups so far may have been met with an answer`() throws {
        func datagram(_ source: String, _ from: UInt16, _ destination: String, _ to: UInt16) throws -> ConntrackTuple {
            ConntrackTuple(
                source: try #require(IPAddress(source)), destination: try #require(IPAddress(destination)),
                transport: 17, ends: .ports(source: from, destination: to))
        }
        let flow = ConntrackEntry(
            original: try datagram("10.0.0.1", 53, "10.0.0.9", 4_000),
            reply: try datagram("10.0.0.9", 4_000, "10.0.0.1", 53), zone: 5_000)
        var judge = try Self.judge()
        #expect(judge.forbids(flow) == false)
        judge.newcomers = PolicyModel(
            try Self.nics(), groups: Self.groups, sets: Self.sets(), judged: ["w/net0"])
        #expect(judge.forbids(flow))
        // The beginning of a TCP connection was seen, or it would say so.
        #expect(judge.forbids(try Self.flow("10.0.0.1", "10.0.0.9", 4_000, zone: 5_000)) == false)
    }

    private static func table(
        _ nics: [NICSpec], _ sets: [String: AddressSetSpec] = sets("10.0.0.1/32"),
        _ change: (inout Policy) -> Void = { _ in }
    ) -> NFTable {
        var policy = Policy()
        policy.groups = groups
        policy.sets = sets
        change(&policy)
        return GuardTable.compile(nics, policy)
    }

    private static func concerned(_ nics: [NICSpec], from seen: NFTable?, to wanted: NFTable) -> [String] {
        PolicyNarrowing.among(nics, from: seen, to: wanted).map(\.machine).sorted()
    }

    @Test func `a change concerns whose rules may allow less`() throws {
        let nics = try Self.nics()
        let table = Self.table(nics)
        #expect(Self.concerned(nics, from: table, to: table) == [])
        #expect(Self.concerned(nics, from: nil, to: table) == ["c", "w", "x"])
        // A set grows, or a group allows more: nobody has to fear.
        #expect(Self.concerned(nics, from: table, to: Self.table(nics, Self.sets("10.0.0.1/32", "10.0.0.7/32"))) == [])
        let more = Self.table(nics) { $0.groups["web"]?.ingress.insert(GroupRule(.whole(.udp)), at: 0) }
        #expect(Self.concerned(nics, from: table, to: more) == [])
        #expect(Self.concerned(nics, from: more, to: table) == ["w"])
        #expect(
            Self.concerned(nics, from: Self.table(nics, Self.sets("10.0.0.1/32", "10.0.0.7/32")), to: table) == [
                "c", "x",
            ])
        // A member leaves a group that web lets in.
        var left = nics
        left[1].groups = ["web"]
        #expect(Self.concerned(left, from: table, to: Self.table(left)) == ["c", "w"])
        // A NIC gets an address that another may have had.
        var moved = nics
        moved[1].addresses.append(NICSpec.Address(try #require(IPAddress("10.0.0.44"))))
        #expect(Self.concerned(moved, from: table, to: Self.table(moved)) == ["c"])
        // One that has none is nobody's business, and an open one has no rules.
        #expect(Self.concerned(nics, from: table, to: Self.table(Array(nics.dropLast()))) == [])
    }
}
