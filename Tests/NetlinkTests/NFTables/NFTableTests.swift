import Netlink
import Syscall
import Testing
import TestSupport

/// A small table that uses every part of the model.
private func sample(ports: Int) -> NFTable {
    var members = NFSet("members", key: [.interfaceName, .etherAddress, .ipv4Address])
    var verdicts = NFSet("verdicts", key: [.interfaceName], target: .verdict)
    var forwards = NFSet(
        "forwards", key: [.ipv4Address, .internetProtocol, .port], target: .value([.ipv4Address, .port]))
    for number in 0..<ports {
        guard let name = InterfaceName("p\(number)") else { continue }
        let address = IPAddress.v4(IPv4Address(rawValue: 0x0a00_0001 + UInt32(number)))
        members.insert(NFKey(.interface(name), .mac(.derived(from: "\(number)")), .address(address)))
        verdicts.elements[NFKey(.interface(name))] = .verdict(number % 2 == 0 ? .jump("even") : .drop)
        forwards.elements[NFKey(.address(address), .byte(6), .port(80))] = .value(NFKey(.address(address), .port(8080)))
    }
    return NFTable(
        family: .inet, name: "sample", comment: "a sample", sets: [members, verdicts, forwards],
        chains: [
            NFChain(
                "entry", hook: NFChain.Hook(.filter, .forward, priority: -10, accepts: false),
                rules: [
                    NFRule(
                        [
                            .conntrack(.state, into: 0), .mask(0, [6, 0, 0, 0]), .compare(0, .notEqual, [0, 0, 0, 0]),
                            .counter, .verdict(.accept),
                        ], comment: "known flows"),
                    NFRule([.meta(.inputInterface, into: 0), .verdictMap(0, set: "verdicts")]),
                    NFRule([
                        .meta(.inputInterface, into: 0), .payload(.link, offset: 6, length: 6, into: 4),
                        .payload(.network, offset: 12, length: 4, into: 6),
                        .lookup(0, set: "members", isInverted: true), .verdict(.drop),
                    ]),
                    NFRule([.verdict(.return)]),
                ]),
            NFChain("even", rules: [NFRule([.verdict(.goto("odd"))])]),
            NFChain("odd"),
            NFChain(
                "inward", hook: NFChain.Hook(.nat, .prerouting, priority: -100),
                rules: [
                    NFRule([
                        .meta(.layer3Protocol, into: 0), .compare(0, .equal, [2]),
                        .meta(.layer4Protocol, into: 0), .compare(0, .equal, [6]),
                        .payload(.network, offset: 16, length: 4, into: 0), .meta(.layer4Protocol, into: 1),
                        .payload(.transport, offset: 2, length: 2, into: 2), .map(0, set: "forwards", into: 0),
                        .nat(.destination, isIPv6: false, address: 0, port: 1),
                    ])
                ]),
            NFChain(
                "outward", hook: NFChain.Hook(.nat, .postrouting, priority: 100),
                rules: [
                    NFRule([
                        .meta(.outputInterface, into: 0), .compare(0, .equal, NFKey(.interface(lo)).bytes), .masquerade,
                    ])
                ]),
        ])
}

private let lo = InterfaceName("lo") ?? .derived(from: "lo")

@Suite("nftables tables", .enabled(if: TestNamespace.isPossible))
struct NFTableTests {
    @Test(arguments: [0, 1, 5_000])
    func `what is committed is what is read back`(ports: Int) async throws {
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            let wanted = sample(ports: ports)
            let before = try socket.nftablesTable(.inet, "sample")
            #expect(before.table == nil)
            try NFTableChange(from: nil, to: wanted)
                .commit(from: nil, to: wanted, generation: before.generation, on: &socket)
            let after = try socket.nftablesTable(.inet, "sample")
            #expect(after.table == wanted)
            #expect(NFTableChange(from: after.table, to: wanted) == .none)
            #expect(after.generation == before.generation + 1)
        }
    }

    @Test func `the nft command sees what was meant`() async throws {
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            let wanted = sample(ports: 2)
            try NFTableChange(from: nil, to: wanted)
                .commit(from: nil, to: wanted, generation: try socket.nftablesGeneration(), on: &socket)
            let listed = try await namespace.run("nft", "list", "ruleset")
            for line in [
                "comment \"a sample\"", "type ifname . ether_addr . ipv4_addr", "type ifname : verdict",
                "type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service",
                "\"p0\" : jump even", "\"p1\" : drop", "10.0.0.1 . tcp . 80 : 10.0.0.1 . 8080",
                "type filter hook forward priority filter - 10; policy drop;",
                "ct state established,related counter packets 0 bytes 0 accept comment \"known flows\"",
                "iifname vmap @verdicts", "iifname . @ll,48,48 . @nh,96,32 != @members drop", "goto odd",
                "dnat ip to ip daddr . meta l4proto . tcp dport map @forwards", "oifname \"lo\" masquerade",
            ] { #expect(listed.contains(line), "\(line) in\n\(listed)") }
        }
    }

    @Test func `the same table written by the nft command reads back as the same value`() async throws {
        let script = """
            table inet sample {
              comment "a sample"
              set members { type ifname . ether_addr . ipv4_addr; }
              map verdicts { type ifname : verdict; }
              map forwards { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
              chain odd { }
              chain even { goto odd; }
              chain entry {
                type filter hook forward priority -10; policy drop;
                ct state established,related counter accept comment "known flows"
                iifname vmap @verdicts
              }
              chain outward { type nat hook postrouting priority 100; oifname "lo" masquerade; }
            }
            add element inet sample members { "p0" . 02:32:99:9b:41:92 . 10.0.0.1 }
            add element inet sample verdicts { "p0" : jump even }
            add element inet sample forwards { 10.0.0.1 . tcp . 80 : 10.0.0.1 . 8080 }
            """
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            try await namespace.run("sh", "-c", "printf '%s' \"$0\" | nft -f -", script)
            var expected = sample(ports: 1)
            expected.chains["inward"] = nil
            if let rules = expected.chains["entry"]?.rules { expected.chains["entry"]?.rules = Array(rules[..<2]) }
            #expect(try socket.nftablesTable(.inet, "sample").table == expected)
        }
    }

    @Test func `elements alone are changed in place, and anything else replaces the table`() async throws {
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            let small = sample(ports: 2)
            var large = sample(ports: 4)
            try NFTableChange(from: nil, to: small)
                .commit(from: nil, to: small, generation: try socket.nftablesGeneration(), on: &socket)
            let handles = try await namespace.run("nft", "-a", "list", "ruleset")
            let change = NFTableChange(from: small, to: large)
            guard case .update(let update) = change else {
                Issue.record("elements only, not \(change)")
                return
            }
            #expect(update.summary.map(\.subject) == ["forwards", "members", "verdicts"])
            try change.commit(from: small, to: large, generation: try socket.nftablesGeneration(), on: &socket)
            #expect(try socket.nftablesTable(.inet, "sample").table == large)
            #expect(try await namespace.run("nft", "-a", "list", "ruleset").contains(Self.handle(in: handles)))

            large.chains["odd"]?.rules = [NFRule([.counter])]
            #expect(NFTableChange(from: small, to: large) != change)
        }
    }

    private static func handle(in listing: String) -> Substring {
        listing.split(separator: "\n").first { $0.contains("chain entry") } ?? ""
    }

    @Test func `a commit of somebody else in between is noticed and nothing is changed`() async throws {
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            let generation = try socket.nftablesGeneration()
            try await namespace.run("nft", "add", "table", "inet", "foreign")
            let wanted = sample(ports: 1)
            #expect(throws: NFError.generationChanged) {
                try NFTableChange(from: nil, to: wanted)
                    .commit(from: nil, to: wanted, generation: generation, on: &socket)
            }
            #expect(try socket.nftablesTable(.inet, "sample").table == nil)
        }
    }

    @Test func `a refused table names the object, and the old rules stay`() async throws {
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            let good = sample(ports: 1)
            try NFTableChange(from: nil, to: good)
                .commit(from: nil, to: good, generation: try socket.nftablesGeneration(), on: &socket)
            var bad = good
            bad.chains["entry"]?.rules.append(
                NFRule(
                    [.meta(.inputInterface, into: 0), .lookup(0, set: "nowhere", isInverted: false)], comment: "lost"))
            do {
                try NFTableChange(from: good, to: bad)
                    .commit(from: good, to: bad, generation: try socket.nftablesGeneration(), on: &socket)
                Issue.record("the kernel took a rule that looks into no set")
            } catch {
                #expect("\(error)".contains("rule 'lost' in chain entry of table inet sample"), "\(error)")
            }
            #expect(try socket.nftablesTable(.inet, "sample").table == good)
        }
    }

    @Test(arguments: [
        "add rule inet sample odd drop", "delete element inet sample verdicts { \"p0\" }",
        "flush chain inet sample outward", "add set inet sample more { type ipv4_addr; }",
        "add chain inet sample entry { policy accept; }", "add rule inet sample odd tcp dport 22 reject",
    ])
    func `every foreign change shows`(change: String) async throws {
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            let wanted = sample(ports: 1)
            try NFTableChange(from: nil, to: wanted)
                .commit(from: nil, to: wanted, generation: try socket.nftablesGeneration(), on: &socket)
            try await namespace.run("nft", change)
            let seen = try socket.nftablesTable(.inet, "sample")
            #expect(NFTableChange(from: seen.table, to: wanted) != .none)
            try NFTableChange(from: seen.table, to: wanted)
                .commit(from: seen.table, to: wanted, generation: seen.generation, on: &socket)
            #expect(try socket.nftablesTable(.inet, "sample").table == wanted)
        }
    }
}
