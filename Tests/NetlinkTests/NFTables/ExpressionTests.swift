import Netlink
import Testing
import TestSupport

/// Every expression into the kernel and back, with the nft command as the witness of what it means.
@Suite("nftables expressions", .enabled(if: TestNamespace.isPossible))
struct ExpressionTests {
    private static let chainHook = NFChain.Hook(.filter, .forward, priority: 0)

    /// An expression, and what the nft command calls it.
    struct Sample: CustomTestStringConvertible {
        let text: String
        let expressions: [NFExpression]
        var testDescription: String { text }

        init(_ text: String, _ expressions: NFExpression...) {
            self.text = text
            self.expressions = expressions
        }
    }

    static let inet: [Sample] = [
        Sample("limit rate 5/second", .limit(NFLimit(5, .packets, per: .second))),
        Sample("limit rate 10/minute burst 20 packets", .limit(NFLimit(10, .packets, per: .minute, burst: 20))),
        Sample("limit rate over 3/hour", .limit(NFLimit(3, .packets, per: .hour, isOver: true))),
        Sample(
            "limit rate 2 mbytes/second burst 64 kbytes",
            .limit(NFLimit(2 << 20, .bytes, per: .second, burst: 64 << 10))),
        Sample("log prefix \"sd:deny:\" group 9", .log(.group(9, prefix: "sd:deny:"))),
        Sample(
            "log prefix \"sd:\" group 7 snaplen 96", .log(.group(7, prefix: "sd:", snapLength: 96))),
        Sample("log group 3", .log(.group(3, prefix: ""))),
        Sample("log prefix \"sd \" level info", .log(.kernel(.info, prefix: "sd "))),
        Sample(
            "meta l4proto tcp tcp dport != 80-90", .meta(.layer4Protocol, into: 0), .compare(0, .equal, [6]),
            .payload(.transport, offset: 2, length: 2, into: 0),
            .range(0, from: [0, 80], through: [0, 90], isInverted: true)),
        Sample(
            "meta l4proto tcp tcp dport 80-90", .meta(.layer4Protocol, into: 0), .compare(0, .equal, [6]),
            .payload(.transport, offset: 2, length: 2, into: 0), .range(0, from: [0, 80], through: [0, 90])),
        Sample("meta mark set 0x00000007", .immediate(0, host(7)), .setMeta(.mark, from: 0)),
        Sample("meta priority set 1:2", .immediate(0, host(0x10002)), .setMeta(.priority, from: 0)),
        Sample(
            "meta mark set meta mark & 0xf8ffffff", .meta(.mark, into: 0), .mask(0, host(0xf8ff_ffff)),
            .setMeta(.mark, from: 0)),
        Sample(
            "meta mark set meta mark | 0x01000000", .meta(.mark, into: 0),
            .setBits(0, host(0x0100_0000), of: host(0x0100_0000)), .setMeta(.mark, from: 0)),
        Sample(
            "meta mark set meta mark ^ 0x000000ff", .meta(.mark, into: 0), .flip(0, host(0xff)),
            .setMeta(.mark, from: 0)),
        Sample("ct mark set meta mark", .meta(.mark, into: 0), .setConntrack(.mark, from: 0)),
        Sample("meta mark set ct mark", .conntrack(.mark, into: 0), .setMeta(.mark, from: 0)),
        Sample(
            "ct zone 9", .conntrack(.zone, into: 0), .compare(0, .equal, NFKey(.zone(9)).bytes)),
        Sample(
            "ct original zone 9", .conntrack(.zone, .original, into: 0),
            .compare(0, .equal, NFKey(.zone(9)).bytes)),
        Sample("ct direction reply", .conntrack(.direction, into: 0), .compare(0, .equal, [1])),
        Sample("counter name \"denied\"", .count("denied")),
        Sample("counter name iifname map @perport", .meta(.inputInterface, into: 0), .countMapped(0, set: "perport")),
        Sample(
            "reject with icmp host-prohibited", .meta(.layer3Protocol, into: 0), .compare(0, .equal, [2]),
            .reject(.icmp(code: 10))),
        Sample("reject with icmpx admin-prohibited", .reject(.unreachable(.prohibited))),
        Sample("reject", .reject(.unreachable(.port))),
        Sample(
            "reject with tcp reset", .meta(.layer4Protocol, into: 0), .compare(0, .equal, [6]), .reject(.tcpReset)),
        Sample(
            "add @seen { iifname . ether saddr }", .meta(.inputInterface, into: 0),
            .payload(.link, offset: 6, length: 6, into: 4), .change(NFDynamicChange(.add, 0, in: "seen"))),
        Sample(
            "update @seen { iifname . ether saddr timeout 1m30s }", .meta(.inputInterface, into: 0),
            .payload(.link, offset: 6, length: 6, into: 4),
            .change(NFDynamicChange(.update, 0, in: "seen", timeout: 90))),
        Sample(
            "update @paced { iifname limit rate 5/second }", .meta(.inputInterface, into: 0),
            .change(NFDynamicChange(.update, 0, in: "paced", each: .limit(NFLimit(5, .packets, per: .second))))),
        Sample(
            "update @told { iifname counter }", .meta(.inputInterface, into: 0),
            .change(NFDynamicChange(.update, 0, in: "told", each: .count))),
        Sample(
            "ip dscp set af41", .meta(.layer3Protocol, into: 0), .compare(0, .equal, [2]),
            .payload(.network, offset: 0, length: 2, into: 0), .setBits(0, [0, 0x88], of: [0, 0xfc]),
            .setPayload(.network, offset: 0, length: 2, from: 0, checksum: 10)),
        Sample(
            "ip6 dscp set af41", .meta(.layer3Protocol, into: 0), .compare(0, .equal, [10]),
            .payload(.network, offset: 0, length: 2, into: 0), .setBits(0, [0x08, 0x80], of: [0x0f, 0xc0]),
            .setPayload(.network, offset: 0, length: 2, from: 0)),
    ]

    private static func table(_ family: NFTable.Family, _ rules: [NFRule], hook: NFChain.Hook) -> NFTable {
        NFTable(
            family: family, name: "sample",
            sets: [
                NFSet("perport", key: [.interfaceName], target: .counter),
                NFSet("seen", key: [.interfaceName, .etherAddress], form: .dynamic(size: 100, timeout: 300)),
                NFSet("paced", key: [.interfaceName], form: .dynamic(size: 100, timeout: nil)),
                NFSet("told", key: [.interfaceName], form: .dynamic(size: 100, timeout: nil)),
            ], chains: [NFChain("entry", hook: hook, rules: rules)], counters: ["denied"])
    }

    @Test func `what is written is what is read back, and means what the nft command says`() async throws {
        try await TestNamespace.with { namespace in
            let rules = Self.inet.map { NFRule($0.expressions, comment: $0.text.filter { $0 != "\"" }) }
            let listed = try await Rounds.trip(Self.table(.inet, rules, hook: Self.chainHook), in: namespace)
            for sample in Self.inet {
                let words = sample.text.replacing("meta l4proto tcp ", with: "")
                #expect(listed.contains(words), "\(words) in\n\(listed)")
            }
        }
    }

    @Test func `what the nft command writes reads back as the same value`() async throws {
        // Where the command has its own form for the same meaning, ours is another: two comparisons for a range.
        let own = Self.inet.filter { sample in
            !sample.expressions.contains { if case .range(_, _, _, false) = $0 { true } else { false } }
        }
        let script = """
            table inet sample {
              counter denied { }
              map perport { type ifname : counter; }
              set seen { type ifname . ether_addr; size 100; flags dynamic,timeout; timeout 300s; }
              set paced { type ifname; size 100; flags dynamic; }
              set told { type ifname; size 100; flags dynamic; }
              chain entry {
                type filter hook forward priority 0; policy accept;
            \(own.map { "    " + $0.text }.joined(separator: "\n"))
              }
            }
            """
        try await TestNamespace.with { namespace in
            let seen = try #require(try await Rounds.read(script, .inet, "sample", in: namespace))
            for (sample, rule) in zip(own, seen.chains["entry"]?.rules ?? []) {
                // The command states the protocol that its words imply; we leave that to the caller.
                let tail = rule.expressions.suffix(sample.expressions.count)
                #expect(Array(tail) == sample.expressions, "\(sample.text)")
            }
            #expect(seen.sets == Self.table(.inet, [], hook: Self.chainHook).sets)
            #expect(seen.counters == ["denied"])
        }
    }

    @Test func `the zone of a flow is chosen before conntrack, by a map of interfaces`() async throws {
        var zones = NFSet("zones", key: [.interfaceName], target: .value([.integer]))
        for (name, zone) in [("lo", 7), ("veth0", 300)] as [(String, UInt16)] {
            let name = try #require(InterfaceName(name))
            zones.elements[NFKey(.interface(name))] = .value(NFKey(.zone(zone)))
        }
        let rule = NFRule([
            .meta(.inputInterface, into: 0), .map(0, set: "zones", into: 0), .setConntrack(.zone, .original, from: 0),
        ])
        let raw = NFChain("raw", hook: NFChain.Hook(.filter, .prerouting, priority: -300), rules: [rule])
        try await TestNamespace.with { namespace in
            let listed = try await Rounds.trip(
                NFTable(family: .inet, name: "sample", sets: [zones], chains: [raw]), in: namespace)
            #expect(listed.contains("ct original zone set iifname map @zones"), "\(listed)")
            #expect(listed.contains("\"veth0\" : 300"), "\(listed)")
        }
    }

    @Test func `netdev chains see one device, copy and forward its packets, and refuse some`() async throws {
        try await TestNamespace.with { namespace in
            try await namespace.run("ip", "link", "add", "sdt-a", "type", "veth", "peer", "name", "sdt-b")
            let devices = try ["sdt-a", "sdt-b"].map { try #require(InterfaceName($0)) }
            let link = try await namespace.run("ip", "-o", "link", "show", "sdt-b")
            let number = try #require(Int(link.prefix { $0.isNumber }))
            let tcp: [NFExpression] = [.meta(.layer4Protocol, into: 0), .compare(0, .equal, [6])]
            let table = NFTable(
                family: .netdev, name: "sample",
                chains: [
                    NFChain(
                        "in", hook: NFChain.Hook(.filter, .ingress, priority: 0, devices: [devices[0]]),
                        rules: [
                            NFRule([.immediate(0, host(UInt32(number))), .duplicate(device: 0)]),
                            NFRule(tcp + [.reject(.tcpReset)]),
                            NFRule([
                                .payload(.link, offset: 12, length: 2, into: 0), .compare(0, .equal, [0x81, 0x00]),
                                .payload(.link, offset: 14, length: 2, into: 0), .mask(0, [0x0f, 0xff]),
                                .compare(0, .equal, [0, 42]), .counter, .verdict(.drop),
                            ]),
                            NFRule([.immediate(0, host(UInt32(number))), .forward(device: 0)]),
                        ]),
                    NFChain("out", hook: NFChain.Hook(.filter, .egress, priority: -5, devices: devices.reversed())),
                ])
            let listed = try await Rounds.trip(table, in: namespace)
            for line in [
                "type filter hook ingress device \"sdt-a\" priority filter; policy accept;", "dup to \"sdt-b\"",
                "fwd to \"sdt-b\"", "reject with tcp reset",
                "@ll,96,16 0x8100 @ll,112,16 & 0xfff == 0x2a counter packets 0 bytes 0 drop",
                "type filter hook egress devices = { sdt-a, sdt-b } priority filter - 5; policy accept;",
            ] { #expect(listed.contains(line), "\(line) in\n\(listed)") }
        }
    }

    @Test func `a set that packets fill is bounded, and is not compared`() async throws {
        let seen = NFSet("seen", key: [.interfaceName, .etherAddress], form: .dynamic(size: 1, timeout: nil))
        let key: [NFExpression] = [.meta(.outputInterface, into: 0), .immediate(4, [2, 0, 0, 0, 0, 1])]
        let rule = NFRule(key + [.change(NFDynamicChange(.add, 0, in: "seen")), .count("within")])
        let rest = NFRule([.count("beyond")])
        let other = NFRule([
            .meta(.outputInterface, into: 0), .immediate(4, [2, 0, 0, 0, 0, 2]),
            .change(NFDynamicChange(.add, 0, in: "seen")), .count("second"),
        ])
        let table = NFTable(
            family: .inet, name: "sample", sets: [seen],
            chains: [NFChain("out", hook: NFChain.Hook(.filter, .output, priority: 0), rules: [rule, other, rest])],
            counters: ["within", "beyond", "second"])
        try await TestNamespace.with { namespace in
            try await Rounds.trip(table, in: namespace)
            try await namespace.run("ping", "-c", "3", "-i", "0.05", "127.0.0.1")
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            let counts = try socket.nftablesCounters(.inet, "sample")
            #expect(counts["within"]?.packets ?? 0 >= 3)
            // The set is full with the one key.
            #expect(counts["second"]?.packets == 0)
            #expect(counts["beyond"]?.packets == counts["within"]?.packets)
            #expect(try socket.nftablesTable(.inet, "sample").table == table)
            #expect(
                try await namespace.run("nft", "list", "ruleset").contains("elements = { \"lo\" . 02:00:00:00:00:01 }"))
        }
    }
}
