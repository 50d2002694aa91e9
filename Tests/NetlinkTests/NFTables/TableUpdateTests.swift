import Netlink
import Testing
import TestSupport

/// Changes of parts of a table: what stays keeps its handles and goes on counting.
@Suite("nftables updates", .enabled(if: TestNamespace.isPossible))
struct TableUpdateTests {
    private static let output = NFChain.Hook(.filter, .output, priority: 0)

    /// Policies as the security groups have them: a map of ports to chains, a chain and a set for each policy.
    private static func sample(_ policies: [String: [UInt16]], ports: [String: String]) -> NFTable {
        var dispatch = NFSet("dispatch", key: [.interfaceName], target: .verdict)
        for (port, policy) in ports {
            dispatch.elements[NFKey(.interface(.derived(from: port)))] = .verdict(.jump("pol-\(policy)"))
        }
        var sets = [dispatch]
        var chains = [
            NFChain(
                "entry", hook: output,
                rules: [
                    NFRule([.counter], comment: "all"),
                    NFRule([.meta(.outputInterface, into: 0), .verdictMap(0, set: "dispatch")]),
                ])
        ]
        for (policy, open) in policies {
            var set = NFSet("open-\(policy)", key: [.port], form: .ranges)
            set.insert(open.map { NFRange(.ports($0...$0)) })
            sets.append(set)
            chains.append(
                NFChain(
                    "pol-\(policy)",
                    rules: [
                        NFRule([
                            .meta(.layer4Protocol, into: 0), .compare(0, .equal, [17]),
                            .payload(.transport, offset: 2, length: 2, into: 0),
                            .lookup(0, set: "open-\(policy)", isInverted: false), .verdict(.return),
                        ]),
                        NFRule([.count("deny-\(policy)"), .verdict(.jump("end"))]),
                    ]))
        }
        chains.append(NFChain("end", rules: [NFRule([.counter, .verdict(.drop)])]))
        return NFTable(
            family: .inet, name: "sample", comment: "a sample", sets: sets, chains: chains,
            counters: Set(policies.keys.map { "deny-\($0)" }))
    }

    @Test func `a table that takes what is equal from another one is the same value`() {
        let one = Self.sample(["a": [53], "b": [80, 81]], ports: ["p0": "a", "p1": "b"])
        let others = [
            one, Self.sample(["a": [53]], ports: ["p0": "a"]), Self.sample(["b": [80]], ports: ["p0": "b", "p1": "b"]),
            NFTable(family: .inet, name: "sample"),
        ]
        for other in others {
            #expect(one.sharing(with: other) == one)
            #expect(other.sharing(with: one) == other)
        }
        #expect(one.sharing(with: nil) == one)
    }

    @Test func `each kind of change is the smallest, and what it does not name keeps counting`() async throws {
        let one = Self.sample(["a": [53], "b": [80, 81]], ports: ["p0": "a", "p1": "b"])
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            try Rounds.commit(nil, one, on: &socket)
            try await namespace.run("ping", "-c", "2", "-i", "0.05", "127.0.0.1")
            var old = one
            for (wanted, summary) in Self.steps {
                let change = NFTableChange(from: old, to: wanted)
                guard case .update(let update) = change else {
                    Issue.record("\(summary): \(change)")
                    return
                }
                #expect(update.summary.map { "\($0.subject) \($0.change)" } == summary)
                try Rounds.commit(old, wanted, on: &socket)
                old = wanted
            }
            // The entry was touched by none of them.
            let listed = try await namespace.run("nft", "list", "chain", "inet", "sample", "entry")
            #expect(listed.contains("counter packets 4 bytes"), "\(listed)")
        }
    }

    private static var steps: [(NFTable, [String])] {
        let same = ["p0": "a", "p1": "b"]
        var renamed = sample(["a": [53], "b": [80]], ports: ["p0": "a", "p1": "a"])
        renamed.chains["pol-b"]?.rules.remove(at: 0)
        var alone = sample(["a": [53]], ports: ["p0": "a", "p1": "a"])
        alone.chains["end"]?.rules = [NFRule([.verdict(.drop)])]
        return [
            (sample(["a": [53], "b": [80]], ports: same), ["open-b +1 -1"]),
            (sample(["a": [53], "b": [80]], ports: ["p0": "a", "p1": "a"]), ["dispatch +1 -1"]),
            (renamed, ["chain pol-b rules"]),
            (
                sample(["a": [53], "c": [22]], ports: ["p0": "c", "p1": "a"]),
                [
                    "dispatch +1 -1", "set open-c new", "set open-b gone", "chain pol-c new", "chain pol-b gone",
                    "counters +1 -1",
                ]
            ),
            (
                alone,
                ["dispatch +1 -1", "set open-c gone", "chain pol-c gone", "chain end rules", "counters +0 -1"]
            ),
        ]
    }

    @Test func `random tables lead to each other`() async throws {
        func random() -> NFTable {
            let names = ["a", "b", "c", "d", "e"].filter { _ in Bool.random() }
            let policies = Dictionary(
                uniqueKeysWithValues: names.map { name in
                    (name, (0..<Int.random(in: 0..<4)).map { _ in UInt16.random(in: 1...20) })
                })
            var ports: [String: String] = [:]
            for port in 0..<6 { ports["p\(port)"] = names.randomElement() }
            var table = Self.sample(policies, ports: ports)
            for name in names where Bool.random() { table.chains["pol-\(name)"]?.rules.shuffle() }
            if Bool.random() {
                let priority = Int32.random(in: 0...1)
                let hook = NFChain.Hook(.filter, .output, priority: priority, accepts: Bool.random())
                table.chains["entry"] = NFChain("entry", hook: hook, rules: table.chains["entry"]?.rules ?? [])
            }
            return table
        }
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            var old: NFTable?
            for _ in 0..<60 {
                let new = random()
                #expect(NFTableChange(from: old, to: new) != .replace)
                try Rounds.commit(old, new, on: &socket)
                old = new
            }
        }
    }

    @Test func `hooks and policies change, and another form of a set makes the table anew`() async throws {
        let one = Self.sample(["a": [53]], ports: ["p0": "a"])
        var moved = one
        moved.chains["entry"] = NFChain(
            "entry", hook: NFChain.Hook(.filter, .output, priority: 5), rules: one.chains["entry"]?.rules ?? [])
        var strict = one
        strict.chains["entry"] = NFChain(
            "entry", hook: NFChain.Hook(.filter, .output, priority: 0, accepts: false),
            rules: one.chains["entry"]?.rules ?? [])
        var other = one
        other.sets["open-a"] = NFSet("open-a", key: [.port])
        let (a, b, c) = (one, moved, strict)
        #expect(Self.summary(a, b) == ["chain entry hook"])
        #expect(Self.summary(a, c) == ["chain entry policy"])
        #expect(NFTableChange(from: one, to: other) == .replace)
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            var old: NFTable?
            for table in [one, moved, one, strict, one, other, one] {
                try Rounds.commit(old, table, on: &socket)
                old = table
            }
        }
    }

    private static func summary(_ old: NFTable, _ new: NFTable) -> [String] {
        guard case .update(let update) = NFTableChange(from: old, to: new) else { return [] }
        return update.summary.map { "\($0.subject) \($0.change)" }
    }

    @Test func `no packet sees a chain half made`() async throws {
        // Every packet meets one of the two counters, whatever is refilled meanwhile.
        @Sendable
        func table(_ turn: Int) -> NFTable {
            let (first, second) = turn % 2 == 0 ? ("even", "odd") : ("odd", "even")
            return NFTable(
                family: .inet, name: "sample",
                chains: [
                    NFChain(
                        "entry", hook: Self.output,
                        rules: [NFRule([.count("all"), .verdict(.jump("turn"))]), NFRule([.count("missed")])]),
                    NFChain(
                        "turn",
                        rules: (0..<20).map { _ in NFRule([.counter]) }
                            + [NFRule([.count(first), .verdict(.accept)]), NFRule([.count(second)])]),
                ], counters: ["all", "even", "odd", "missed"])
        }
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            try Rounds.commit(nil, table(0), on: &socket)
            let pings = namespace.inside(["ping", "-f", "-q", "127.0.0.1"])
            _ = try await TemporaryDirectory.with { directory in
                try await RunningCommand.with(pings, log: directory.file("pings")) { _ in
                    var own = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
                    for turn in 1...200 {
                        let (old, new) = (table(turn - 1), table(turn))
                        try NFTableChange(from: old, to: new)
                            .commit(from: old, to: new, generation: try own.nftablesGeneration(), on: &own)
                        try await Task.sleep(for: .milliseconds(5))
                    }
                }
            }
            let counts = try socket.nftablesCounters(.inet, "sample").mapValues(\.packets)
            #expect(counts["missed"] == 0)
            #expect(counts["all"] ?? 0 > 1000)
            #expect(counts["all"] == (counts["even"] ?? 0) + (counts["odd"] ?? 0), "\(counts)")
            #expect(counts["even"] ?? 0 > 0 && counts["odd"] ?? 0 > 0, "\(counts)")
        }
    }
}
