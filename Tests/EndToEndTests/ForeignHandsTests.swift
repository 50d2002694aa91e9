import Glibc
import TestSupport
import Testing

/// What other programs do to the ruleset of a node: with a daemon on a kernel whose tables can be owned (Linux 6.9),
/// nothing of it reaches ours, nor any packet.
@Suite(.serialized, .enabled(if: TestNamespace.isPossible), .timeLimit(.minutes(5)))
struct ForeignHandsTests {
    /// What is tried, each as its program does it. `@` stands for a directory of the test's.
    static let deeds = [
        "nft flush ruleset",
        "nft delete table bridge sdagent",
        "nft delete table inet sdagent",
        "nft flush table inet sdagent-state",
        "nft flush chain bridge sdagent guard",
        "nft add rule bridge sdagent guard accept",
        "nft delete element bridge sdagent ports '{ vm }'",
        // The nftables service: its configuration begins with a flush.
        "printf 'flush ruleset\\ntable inet filter { chain c { type filter hook input priority 0; }; }\\n' | nft -f -",
        // firewalld: its own table, made anew in one transaction.
        "printf 'table inet firewalld\\ndelete table inet firewalld\\ntable inet firewalld { chain c { } }\\n' "
            + "| nft -f -",
        // What iptables-nft does for `iptables -F` and `iptables -X`.
        "nft add table ip filter; nft add chain ip filter FORWARD '{ type filter hook forward priority 0; }'; "
            + "nft flush table ip filter; nft delete table ip filter",
        "for f in ip ip6 inet arp bridge netdev; do nft flush ruleset $f; done",
    ]

    @Test func nothingOfItReachesOursNorAnyPacket() async throws {
        try await Crossing.judged { crossing in
            let node = crossing.node
            return try await node.withDaemon { _ in
                let before = try await Self.tables(node)
                let round = try await crossing.undisturbed {
                    for deed in Self.deeds {
                        _ = try await node.space.attempt("sh", "-c", deed)
                        #expect(try await Self.tables(node) == before, "after \(deed)")
                    }
                }
                #expect(try await node.isConverged())
                let status = try await node.agent("status")
                #expect(status.code == 0 && status.output.contains("\nRules: owned by the daemon"), "\(status)")
                let said = try text(ofFile: node.log)
                #expect(!said.contains("drift repaired"), "\(said)")
                return round
            }.value
        }
    }

    /// Our tables, each object with its handle: what is made again has another. Without what packets put into sets.
    private static func tables(_ node: AgentNode) async throws -> String {
        let all = ["bridge sdagent", "inet sdagent", "inet sdagent-state"].map { "nft -a -s list table \($0)" }
        let listed = try await node.space.run("sh", "-ec", all.joined(separator: "; "))
        return listed.replacing(#/(flags dynamic[^}]*?)\s*elements = \{[^}]*\}/#) { $0.1 }
    }

    /// What a listing says, whatever the order of its lines: without handles and owners.
    private static func words(_ node: AgentNode) async throws -> Set<String> {
        let lines = try await tables(node).replacing(#/ # .*/#, with: "").split(separator: "\n")
        return Set(lines.map { $0.filter { !", \t{}".contains($0) } }.filter { !$0.hasPrefix("flags") })
    }

    /// Without a daemon nobody holds the tables: a flush opens the node, and the first daemon closes it again.
    @Test func withoutADaemonStatusSaysSoAndADaemonRestoresWhatWasFlushed() async throws {
        try await Crossing.judged { crossing in
            let node = crossing.node
            try await node.apply()
            let status = try await node.agent("status")
            #expect(status.code == 0 && status.output.contains("\nRules: unprotected: no daemon runs"), "\(status)")
            let json = try await node.agent("status", "--output", "json")
            #expect(json.output.contains("\"protection\" : \"unprotected\""), "\(json)")
            let before = try await Self.words(node)
            try await node.space.run("nft", "flush", "ruleset")
            #expect(try await node.agent("status").code == 1)
            return try await node.withDaemon { _ in
                #expect(try await Self.words(node).symmetricDifference(before) == [])
                let json = try await node.agent("status", "--output", "json")
                #expect(json.output.contains("\"protection\" : \"owned\""), "\(json)")
                return try await crossing.undisturbed { try await ContinuousClock().sleep(for: .seconds(1)) }
            }.value
        }
    }
}
