import Netlink
import Testing
import TestSupport

/// A table on its way into the kernel and back.
enum Rounds {
    /// Makes the table in the namespace, expects to read the same value, and returns what the nft command shows of it.
    @discardableResult
    static func trip(
        _ table: NFTable, in namespace: TestNamespace, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> String {
        var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
        try commit(nil, table, on: &socket)
        let seen = try socket.nftablesTable(table.family, table.name).table
        expectEqual(seen, table, sourceLocation)
        return try await namespace.run("nft", "list", "ruleset")
    }

    /// Changes one table into another, and expects to read the other.
    static func commit(
        _ old: NFTable?, _ new: NFTable?, on socket: inout NetlinkSocket,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        try NFTableChange(from: old, to: new)
            .commit(from: old, to: new, generation: try socket.nftablesGeneration(), on: &socket)
        guard let frame = new ?? old else { return }
        expectEqual(try socket.nftablesTable(frame.family, frame.name).table, new, sourceLocation)
    }

    /// What the nft command makes of a script, read by us.
    static func read(
        _ script: String, _ family: NFTable.Family, _ name: String, in namespace: TestNamespace
    ) async throws -> NFTable? {
        try await namespace.run("sh", "-c", "printf '%s' \"$0\" | nft -f -", script)
        var socket = try NetworkLocation.namespace(namespace.name).socket(.netfilter)
        return try socket.nftablesTable(family, name).table
    }

    /// Names the parts that differ: two whole tables are no message.
    static func expectEqual(
        _ found: NFTable?, _ wanted: NFTable?, _ sourceLocation: SourceLocation = #_sourceLocation
    ) {
        guard found != wanted else { return }
        guard let found, let wanted else {
            Issue.record("\(found == nil ? "no table" : "a table")", sourceLocation: sourceLocation)
            return
        }
        for (name, chain) in wanted.chains where found.chains[name] != chain {
            let there = found.chains[name]
            let rules = zip(chain.rules, there?.rules ?? []).filter { $0 != $1 }
            Issue.record(
                "chain \(name): \(rules), \(String(describing: there?.hook))", sourceLocation: sourceLocation)
        }
        for (name, set) in wanted.sets where found.sets[name] != set {
            Issue.record("set \(String(describing: found.sets[name])), not \(set)", sourceLocation: sourceLocation)
        }
        let names = (found.chains.keys.sorted(), found.sets.keys.sorted(), found.counters.sorted())
        Issue.record("\(found.subjectForTests): \(names)", sourceLocation: sourceLocation)
    }
}

extension NFTable {
    fileprivate var subjectForTests: String { "\(family) \(name) '\(comment)'" }
}

/// A number's four bytes in the machine's order, as marks and states lie in registers.
func host(_ number: UInt32) -> [UInt8] { NFKey(.mark(number)).bytes }
