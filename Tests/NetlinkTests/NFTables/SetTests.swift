import Netlink
import Testing
import TestSupport

/// What ranges come to, without a kernel.
struct RangeTests {
    private func set(_ key: [NFSet.Field], _ ranges: NFRange...) -> NFSet {
        var set = NFSet("s", key: key, form: .ranges)
        set.insert(ranges)
        return set
    }

    private func network(_ text: String) throws -> NFSpan { .network(try #require(IPPrefix(text))) }

    @Test func `overlapping and adjacent ranges are one, whatever order they come in`() throws {
        let ranges: [NFRange] = [
            NFRange(.ports(10...20)), NFRange(.ports(21...30)), NFRange(.ports(15...25)), NFRange(.ports(40...40)),
            NFRange(.ports(65000...65535)), NFRange(.ports(0...3)),
        ]
        let wanted: Set = [
            NFRange(.ports(0...3)), NFRange(.ports(10...30)), NFRange(.ports(40...40)), NFRange(.ports(65000...65535)),
        ]
        for _ in 0..<20 {
            var set = NFSet("s", key: [.port], form: .ranges)
            for range in ranges.shuffled() { set.insert([range]) }
            #expect(Set(set.ranges.keys) == wanted)
        }
    }

    @Test func `networks within networks are the outer one, of both protocols`() throws {
        #expect(
            set([.ipv4Address], NFRange(try network("10.1.2.0/24")), NFRange(try network("10.0.0.0/8")))
                == set([.ipv4Address], NFRange(try network("10.0.0.0/8"))))
        #expect(
            set([.ipv6Address], NFRange(try network("::/1")), NFRange(try network("8000::/1")))
                == set([.ipv6Address], NFRange(try network("::/0"))))
    }

    @Test func `overlapping concatenations cover the same keys without overlapping, whatever their order`() throws {
        // Small numbers, so that every key can be tried.
        func box(_ a: ClosedRange<UInt8>, _ b: ClosedRange<UInt16>) -> NFRange { NFRange(.bytes(a), .ports(b)) }
        for _ in 0..<200 {
            let boxes = (0..<6).map { _ in
                let (a, b) = (UInt8.random(in: 0...9), UInt16.random(in: 0...9))
                return box(a...UInt8.random(in: a...9), b...UInt16.random(in: b...9))
            }
            var one = NFSet("s", key: [.internetProtocol, .port], form: .ranges)
            one.insert(boxes)
            var other = NFSet("s", key: [.internetProtocol, .port], form: .ranges)
            for box in boxes.shuffled() { other.insert([box]) }
            #expect(one == other)
            for a in UInt8(0)...9 {
                for b in UInt16(0)...9 {
                    let covering = one.ranges.keys.filter { Self.covers($0, a, b) }.count
                    #expect(covering == (boxes.contains { Self.covers($0, a, b) } ? 1 : 0))
                }
            }
        }
    }

    private static func covers(_ range: NFRange, _ a: UInt8, _ b: UInt16) -> Bool {
        let (first, last) = (range.first.bytes, range.last.bytes)
        func port(_ bytes: [UInt8]) -> UInt16 { UInt16(bytes[4]) << 8 | UInt16(bytes[5]) }
        return (first[0]...last[0]).contains(a) && (port(first)...port(last)).contains(b)
    }
}

@Suite("nftables sets", .enabled(if: TestNamespace.isPossible))
struct SetTests {
    private static func prefix(_ text: String) throws -> NFSpan { .network(try #require(IPPrefix(text))) }
    private static func port(_ text: String) throws -> NFSpan { .one(.interface(try #require(InterfaceName(text)))) }

    /// A table with a set of each form.
    private static func sample() throws -> NFTable {
        var members4 = NFSet("members4", key: [.ipv4Address], form: .ranges)
        members4.insert([
            NFRange(try prefix("10.0.0.0/24")), NFRange(try prefix("10.0.1.0/24")), NFRange(try prefix("0.0.0.0/8")),
            NFRange(try prefix("255.255.255.0/24")), NFRange(try prefix("192.0.2.7/32")),
        ])
        var members6 = NFSet("members6", key: [.ipv6Address], form: .ranges)
        members6.insert([NFRange(try prefix("fd00::/64")), NFRange(try prefix("ff00::/8"))])
        var ports = NFSet("ports", key: [.port], form: .ranges)
        ports.insert([NFRange(.ports(80...90)), NFRange(.ports(443...443))])
        var bound = NFSet("bound", key: [.interfaceName, .ipv4Address], form: .ranges)
        bound.insert([
            NFRange(try port("p0"), try prefix("10.0.0.0/24")), NFRange(try port("p1"), try prefix("10.0.0.0/8")),
            NFRange(try port("p1"), try prefix("10.2.0.0/16")),
        ])
        var open = NFSet("open", key: [.ipv6Address, .internetProtocol, .port], form: .ranges)
        open.insert([
            NFRange(try prefix("fd00::/64"), .one(.byte(6)), .ports(1024...65535)),
            NFRange(try prefix("::/0"), .bytes(0...255), .ports(53...53)),
        ])
        var classes = NFSet("classes", key: [.port], target: .verdict, form: .ranges)
        classes.ranges = [NFRange(.ports(0...1023)): .verdict(.drop), NFRange(.ports(1024...2000)): .verdict(.accept)]
        var counters = NFSet("denied", key: [.interfaceName], target: .counter)
        counters.elements = [
            NFKey(.interface(.derived(from: "p0"))): .counter("p0-in"),
            NFKey(.interface(.derived(from: "p1"))): .counter("p1-in"),
        ]
        var kinds = NFSet("kinds", key: [.icmpType])
        kinds.insert(NFKey(.byte(8)))
        var kinds6 = NFSet("kinds6", key: [.icmpv6Type])
        kinds6.insert(NFKey(.byte(128)))
        var marks = NFSet("marks", key: [.interfaceName], target: .value([.mark]))
        marks.elements[NFKey(.interface(.derived(from: "p0")))] = .value(NFKey(.mark(0x100)))
        var tagged = NFSet("tagged", key: [.interfaceName, .integer])
        tagged.insert(NFKey(.interface(.derived(from: "p0")), .number(42)))
        var states = NFSet("states", key: [.connectionState], target: .verdict)
        states.elements = [NFKey(.mark(2)): .verdict(.accept), NFKey(.mark(1)): .verdict(.drop)]
        let recent = NFSet("recent", key: [.ipv4Address], form: .dynamic(size: 50, timeout: 60))
        return NFTable(
            family: .inet, name: "sample",
            sets: [
                members4, members6, ports, bound, open, classes, counters, kinds, kinds6, marks, tagged, states, recent,
            ], counters: ["p0-in", "p1-in", "unused"])
    }

    @Test func `every form is read back as it was written, and the nft command sees what was meant`() async throws {
        try await TestNamespace.with { namespace in
            let listed = try await Rounds.trip(Self.sample(), in: namespace)
            for words in [
                "elements = { 0.0.0.0/8, 10.0.0.0/23,", "192.0.2.7, 255.255.255.0/24 }",
                "elements = { fd00::/64,", "ff00::/8 }", "elements = { 80-90, 443 }",
                "\"p0\" . 10.0.0.0/24", "\"p1\" . 10.0.0.0/8", "fd00::/64 . tcp . 1024-65535", "fd00::/64 . 7-255 . 53",
                "elements = { 0-1023 : drop, 1024-2000 : accept }", "type ifname : counter", "\"p0\" : \"p0-in\"",
                "counter unused {", "type icmp_type", "elements = { echo-request }",
                "\"p0\" : 0x00000100", "established : accept", "invalid : drop", "flags dynamic,timeout", "timeout 1m",
            ] { #expect(listed.contains(words), "\(words) in\n\(listed)") }
        }
    }

    @Test func `what the nft command writes reads back as the same value`() async throws {
        let script = """
            table inet sample {
              counter p0-in { }
              counter p1-in { }
              counter unused { }
              set members4 { type ipv4_addr; flags interval; elements = {
                0.0.0.0/8, 10.0.0.0/23, 192.0.2.7, 255.255.255.0/24 } }
              set members6 { type ipv6_addr; flags interval; elements = { ff00::/8, fd00::/64 } }
              set ports { type inet_service; flags interval; elements = { 443, 80-90 } }
              set bound { type ifname . ipv4_addr; flags interval; elements = {
                "p0" . 10.0.0.0/24, "p1" . 10.0.0.0/8 } }
              map classes { type inet_service : verdict; flags interval; elements = {
                0-1023 : drop, 1024-2000 : accept } }
              map denied { type ifname : counter; elements = { "p0" : "p0-in", "p1" : "p1-in" } }
              set kinds { type icmp_type; elements = { echo-request } }
              set kinds6 { type icmpv6_type; elements = { echo-request } }
              map marks { type ifname : mark; elements = { "p0" : 0x100 } }
              map states { type ct_state : verdict; elements = { established : accept, invalid : drop } }
              set recent { type ipv4_addr; size 50; flags dynamic,timeout; timeout 1m; elements = { 10.0.0.9 } }
            }
            """
        try await TestNamespace.with { namespace in
            var wanted = try Self.sample()
            wanted.sets["open"] = nil
            wanted.sets["tagged"] = nil
            Rounds.expectEqual(try await Rounds.read(script, .inet, "sample", in: namespace), wanted)
        }
    }

    @Test func `a set of another form than ours is unequal to any of ours`() async throws {
        try await TestNamespace.with { namespace in
            for (index, form) in [
                "type ipv4_addr; size 10;", "type ipv4_addr; timeout 10s;", "type inet_service; flags constant;",
                "typeof ip dscp;", "type ipv4_addr; limit rate 5/second;", "type ifname : quota;",
            ].enumerated() {
                let kind = form.contains(" : ") ? "map" : "set"
                let table = try await Rounds.read(
                    "table inet t\(index) {\n\(kind) s { \(form) }\n}\n", .inet, "t\(index)", in: namespace)
                #expect(table?.sets["s"]?.key == [], "\(form)")
            }
        }
    }

    @Test func `ranges change in place, shrinking, growing and splitting`() async throws {
        func table(_ ranges: [ClosedRange<UInt16>]) -> NFTable {
            var set = NFSet("ports", key: [.port], form: .ranges)
            set.insert(ranges.map { NFRange(.ports($0)) })
            return NFTable(family: .inet, name: "sample", sets: [set])
        }
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            var old: NFTable?
            var steps: [[ClosedRange<UInt16>]] = [
                [10...20], [10...30], [10...12, 14...30], [13...13], [], [0...65535], [0...9, 11...65535],
                [65535...65535],
            ]
            for _ in 0..<30 {
                steps.append(
                    (0..<Int.random(in: 0..<20)).map { _ in
                        let first = UInt16.random(in: 0...400)
                        return first...(first + UInt16.random(in: 0...30))
                    })
            }
            for step in steps {
                let new = table(step)
                let change = NFTableChange(from: old, to: new)
                #expect(change != .replace)
                try Rounds.commit(old, new, on: &socket)
                old = new
            }
        }
    }

    @Test func `concatenated ranges change in place`() async throws {
        func table(_ boxes: [(ClosedRange<UInt8>, ClosedRange<UInt16>)]) -> NFTable {
            var set = NFSet("open", key: [.internetProtocol, .port], form: .ranges)
            set.insert(boxes.map { NFRange(.bytes($0.0), .ports($0.1)) })
            return NFTable(family: .inet, name: "sample", sets: [set])
        }
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            var old: NFTable?
            for _ in 0..<30 {
                let boxes = (0..<Int.random(in: 0..<8)).map { _ in
                    let (a, b) = (UInt8.random(in: 0...20), UInt16.random(in: 0...200))
                    return (a...(a + UInt8.random(in: 0...9)), b...(b + UInt16.random(in: 0...99)))
                }
                try Rounds.commit(old, table(boxes), on: &socket)
                old = table(boxes)
            }
        }
    }

    @Test func `counters of a map and of elements count packets, and are read in one dump`() async throws {
        let name = try #require(InterfaceName("lo"))
        var perPort = NFSet("perport", key: [.interfaceName], target: .counter)
        perPort.elements[NFKey(.interface(name))] = .counter("lo-out")
        let kinds = NFSet("kinds", key: [.icmpType], form: .dynamic(size: 16, timeout: 3_600))
        let table = NFTable(
            family: .inet, name: "sample", sets: [perPort, kinds],
            chains: [
                NFChain(
                    "out", hook: NFChain.Hook(.filter, .output, priority: 0),
                    rules: [
                        NFRule([.meta(.outputInterface, into: 0), .countMapped(0, set: "perport")]),
                        NFRule([
                            .meta(.layer4Protocol, into: 0), .compare(0, .equal, [1]),
                            .payload(.transport, offset: 0, length: 1, into: 0),
                            .change(NFDynamicChange(.update, 0, in: "kinds", each: .count)),
                        ]),
                    ])
            ], counters: ["lo-out", "idle"])
        try await TestNamespace.with { namespace in
            try await Rounds.trip(table, in: namespace)
            try await namespace.run("ping", "-c", "3", "-i", "0.05", "-s", "56", "127.0.0.1")
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            let counters = try socket.nftablesCounters(.inet, "sample")
            #expect(counters["lo-out"] == NFCount(packets: 6, bytes: 6 * 84))
            #expect(counters["idle"] == NFCount(packets: 0, bytes: 0))
            let elements = try socket.nftablesElementCounts(.inet, "sample", "kinds")
            #expect(elements[NFKey(.byte(8))] == NFCount(packets: 3, bytes: 3 * 84))
            #expect(elements[NFKey(.byte(0))] == NFCount(packets: 3, bytes: 3 * 84))
            #expect(elements.count == 2)
            // What packets have put in is no part of the table.
            #expect(try socket.nftablesTable(.inet, "sample").table == table)
            #expect(try socket.nftablesCounters(.inet, "elsewhere") == [:])
        }
    }
}
