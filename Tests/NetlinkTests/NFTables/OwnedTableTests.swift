import Netlink
import Testing
import TestSupport

/// Who may change a table of ours, and what is remembered of it.
@Suite("owned nftables tables", .enabled(if: TestNamespace.isPossible))
struct OwnedTableTests {
    private static func table(_ name: String = "ours", ports: Int = 1, rules: Int = 1) -> NFTable {
        var members = NFSet("members", key: [.interfaceName])
        for port in 0..<ports { members.insert(NFKey(.interface(.derived(from: "p\(port)")))) }
        let hook = NFChain.Hook(.filter, .output, priority: 0)
        return NFTable(
            family: .inet, name: name, comment: "ours", sets: [members],
            chains: [NFChain("entry", hook: hook, rules: Array(repeating: NFRule([.counter]), count: rules))])
    }

    private static func owned(_ rules: NFLedger, _ name: String = "ours") -> NFOwnedTable {
        NFOwnedTable(in: rules, .inet, name, mark: "ours")
    }

    private static func ruleset(_ namespace: TestNamespace, _ tenure: NFTenure) -> NFLedger {
        NFLedger(in: .namespace(namespace.name), tenure: tenure)
    }

    private static func make(_ owned: NFOwnedTable, _ table: NFTable?) throws {
        try owned.change(from: try owned.look(), to: table)
        let isSeen = try owned.look()?.table == table
        #expect(isSeen)
    }

    /// Waits until nobody owns the table: a child of another test, between fork and exec, may still hold the socket.
    private static func abandoned(_ owned: NFOwnedTable) async throws {
        let isFree = try await eventually(within: 10) { try owned.look()?.protection != .owned }
        #expect(isFree)
    }

    /// What the kernel counts for the one rule: untouched tables go on counting.
    private static func counted(_ namespace: TestNamespace) async throws -> Int {
        let listed = try await namespace.run("nft", "list", "table", "inet", "ours")
        let packets = listed.split(separator: "packets ").dropFirst().first?.prefix { $0.isNumber } ?? ""
        return Int(packets) ?? -1
    }

    @Test func `others can neither flush, change nor delete what is held`() async throws {
        try await TestNamespace.with { namespace in
            let rules = Self.ruleset(namespace, .lasting)
            #expect(try rules.canProtect())
            let owned = Self.owned(rules)
            try Self.make(owned, Self.table())
            let before = try await namespace.run("nft", "-a", "list", "ruleset")
            try await namespace.run("nft", "add", "table", "inet", "foreign")
            try await namespace.run("nft", "flush", "ruleset")
            for words in ["delete table inet ours", "flush chain inet ours entry", "add rule inet ours entry drop"] {
                let result = try await namespace.attempt("nft", words)
                #expect(!result.succeeded && result.error.contains("Operation not permitted"), "\(words): \(result)")
            }
            #expect(try await namespace.run("nft", "-a", "list", "ruleset") == before)
            let sight = try #require(try owned.look())
            #expect(sight.protection == .owned && !sight.lacksProtection && !sight.isHeldElsewhere && sight.isOurs)
            try Self.make(owned, Self.table(ports: 3))
            try Self.make(owned, nil)
        }
    }

    @Test func `a second process is told who is in the way, and takes over when the first is gone`() async throws {
        try await TestNamespace.with { namespace in
            var first: NFLedger? = Self.ruleset(namespace, .lasting)
            if let first { try Self.make(Self.owned(first), Self.table()) }
            try await namespace.run("ping", "-c", "2", "-i", "0.05", "127.0.0.1")
            let second = Self.owned(Self.ruleset(namespace, .lasting))
            let held = try #require(try second.look())
            #expect(held.isHeldElsewhere && held.protection == .owned && !held.lacksProtection)
            do throws(NFError) {
                try second.change(from: held, to: Self.table(ports: 2))
                Issue.record("a table of another process was changed")
            } catch {
                guard case .held = error else { throw error }
                #expect("\(error)".contains("table inet ours: another process holds the table"), "\(error)")
            }
            // As kill -9 does: the kernel closes the socket.
            first = nil
            try await Self.abandoned(second)
            let orphan = try #require(try second.look())
            #expect(orphan.lacksProtection && !orphan.isHeldElsewhere && orphan.protection != .owned)
            // Nothing but the holder changes.
            try second.change(from: orphan, to: orphan.table)
            #expect(try second.look()?.protection == .owned)
            #expect(try await Self.counted(namespace) == 4)
            #expect(try await !namespace.attempt("nft", "delete", "table", "inet", "ours").succeeded)
            _ = first
        }
    }

    @Test func `taking over comes with the change, or not at all`() async throws {
        try await TestNamespace.with { namespace in
            if true { try Self.make(Self.owned(Self.ruleset(namespace, .passing)), Self.table()) }
            let rules = Self.ruleset(namespace, .lasting)
            let owned = Self.owned(rules)
            try await Self.abandoned(owned)
            var bad = Self.table()
            bad.chains["entry"]?.rules.append(NFRule([.verdict(.jump("nowhere"))]))
            let seen = try owned.look()
            #expect(throws: NFError.self) { try owned.change(from: seen, to: bad) }
            #expect(try owned.look()?.lacksProtection == true)
            try owned.change(from: seen, to: Self.table(ports: 5))
            let sight = try #require(try owned.look())
            #expect(sight.protection == .owned && sight.table == Self.table(ports: 5))
        }
    }

    @Test func `a command leaves tables that a daemon can take over, and misses no holder`() async throws {
        try await TestNamespace.with { namespace in
            if true {
                let command = Self.owned(Self.ruleset(namespace, .passing))
                try Self.make(command, Self.table())
                #expect(try command.look()?.protection == .owned)
            }
            let next = Self.owned(Self.ruleset(namespace, .passing))
            try await Self.abandoned(next)
            let sight = try #require(try next.look())
            #expect(!sight.lacksProtection && sight.protection != .owned)
            try Self.make(next, Self.table(ports: 2))
            #expect(try Self.owned(Self.ruleset(namespace, .lasting)).look()?.lacksProtection == true)
        }
    }

    @Test(arguments: [NFTenure.lasting, .passing])
    func `a table made without protection is made again with it, in one transaction`(tenure: NFTenure) async throws {
        try await TestNamespace.with { namespace in
            let plain = Self.owned(Self.ruleset(namespace, .none))
            try Self.make(plain, Self.table())
            #expect(try plain.look()?.protection == NFProtection.none(reason: "none is asked for"))
            #expect(try plain.look()?.lacksProtection == false)
            let owned = Self.owned(Self.ruleset(namespace, tenure))
            let seen = try #require(try owned.look())
            #expect(seen.lacksProtection && seen.protection != .owned)
            var watcher = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            let generation = try watcher.nftablesGeneration()
            try Self.make(owned, seen.table)
            #expect(try watcher.nftablesGeneration() == generation + 1)
            #expect(try owned.look()?.protection == .owned)
        }
    }

    @Test func `who releases its tables lets admins delete them, without touching a rule`() async throws {
        try await TestNamespace.with { namespace in
            let rules = Self.ruleset(namespace, .lasting)
            let owned = Self.owned(rules)
            try Self.make(owned, Self.table())
            try await namespace.run("ping", "-c", "2", "-i", "0.05", "127.0.0.1")
            rules.release()
            try await Self.abandoned(owned)
            let sight = try #require(try owned.look())
            #expect(!sight.lacksProtection && sight.protection != .owned && sight.table == Self.table())
            #expect(try await Self.counted(namespace) == 4)
            try Self.make(owned, Self.table(ports: 2))
            rules.hold()
            #expect(try owned.look()?.lacksProtection == true)
            try Self.make(owned, Self.table(ports: 2))
            #expect(try await !namespace.attempt("nft", "delete", "table", "inet", "ours").succeeded)
            rules.release()
            try await Self.abandoned(owned)
            try await namespace.run("nft", "delete", "table", "inet", "ours")
            #expect(try owned.look() == nil)
        }
    }

    @Test func `protection that is not asked for is taken away, in one transaction`() async throws {
        try await TestNamespace.with { namespace in
            if true { try Self.make(Self.owned(Self.ruleset(namespace, .lasting)), Self.table()) }
            let plain = Self.owned(Self.ruleset(namespace, .none))
            try await Self.abandoned(plain)
            let seen = try #require(try plain.look())
            #expect(seen.lacksProtection)
            try Self.make(plain, seen.table)
            #expect(try await !namespace.run("nft", "list", "ruleset").contains("flags"))
        }
    }

    @Test func `a rehearsal answers as a commit would, and changes nothing`() async throws {
        try await TestNamespace.with { namespace in
            var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            let generation = try socket.nftablesGeneration()
            var good = NFTransaction(generation: generation)
            good.create(Self.table())
            #expect(try good.rehearse(on: &socket) == nil)
            var bad = NFTransaction(generation: nil)
            bad.delete(Self.table())
            #expect("\(String(describing: try bad.rehearse(on: &socket)))".contains("table inet ours"))
            #expect(try socket.nftablesGeneration() == generation)
            #expect(try await namespace.run("nft", "list", "tables") == "")
        }
    }

    // MARK: What is remembered

    @Test func `what is remembered is what a fresh look shows, whoever changes what`() async throws {
        try await TestNamespace.with { namespace in
            let rules = Self.ruleset(namespace, .none)
            let tables = [Self.owned(rules, "one"), Self.owned(rules, "two")]
            var witness = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            for _ in 0..<60 {
                let owned = tables[Int.random(in: 0...1)]
                switch Int.random(in: 0...5) {
                case 0: try await namespace.run("nft", "flush", "ruleset")
                case 1:
                    _ = try await namespace.attempt("nft", "add element inet \(owned.name) members { \"x\" }")
                case 2: _ = try await namespace.attempt("nft", "add rule inet \(owned.name) entry drop")
                case 3: try owned.change(from: try owned.look(), to: nil)
                default:
                    let wanted = Self.table(owned.name, ports: .random(in: 0...5), rules: .random(in: 0...2))
                    try Self.make(owned, wanted)
                }
                for owned in tables {
                    #expect(try owned.look()?.table == witness.nftablesTable(.inet, owned.name).table)
                }
            }
        }
    }

    @Test func `a look costs nothing of the table's size where nobody has committed, our other table aside`()
        async throws
    {
        try await TestNamespace.with { namespace in
            let rules = Self.ruleset(namespace, .lasting)
            let (large, other) = (Self.owned(rules), Self.owned(rules, "other"))
            try Self.make(large, Self.table(ports: 20_000))
            try Self.make(other, Self.table("other"))
            _ = try large.look()
            try Self.make(other, Self.table("other", ports: 2))
            try await namespace.run("nft", "add", "table", "inet", "foreign")
            let whole = try ThreadClock.measure { _ = try large.look() }
            // Ours, not foreign: what is remembered of the large one holds.
            try other.change(from: try other.look(), to: Self.table("other", ports: 3))
            let again = try ThreadClock.measure { _ = try large.look() }
            #expect(again * 10 < whole, "\(again) after \(whole)")
            let members = try #require(try large.look()?.table.sets["members"])
            #expect(members.elements.count == 20_000)
        }
    }

    @Test func `chains of devices are looked at each time: a device that goes is nobody's commit`() async throws {
        try await TestNamespace.with { namespace in
            try await namespace.run("ip", "link", "add", "sdt-a", "type", "veth", "peer", "name", "sdt-b")
            let devices = ["sdt-a", "sdt-b"].map { InterfaceName.derived(from: $0) }
            let hook = NFChain.Hook(.filter, .ingress, priority: 0, devices: devices)
            let table = NFTable(family: .netdev, name: "ours", comment: "ours", chains: [NFChain("in", hook: hook)])
            let owned = NFOwnedTable(in: Self.ruleset(namespace, .lasting), .netdev, "ours", mark: "ours")
            try Self.make(owned, table)
            try await namespace.run("ip", "link", "delete", "sdt-a")
            var witness = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
            #expect(try owned.look()?.table == witness.nftablesTable(.netdev, "ours").table)
        }
    }
}
