import Logging
import Netlink
import Syscall
import TestSupport
import Testing

@testable import sdagent

/// Small changes of the manifest of a running agent go the short way, and leave the node as the whole way would.
@Suite("Amended rules", .enabled(if: TestNamespace.isPossible), .timeLimit(.minutes(3)))
struct AmendedRulesTests {
    private static let text = """
        switches: { blue: {} }
        addressSets: { office: [192.0.2.0/24] }
        groups:
          web:
            ingress:
              - { protocol: tcp, ports: [80], from: { set: office } }
              - { protocol: any, from: { group: ops } }
          ops: { egress: [ { protocol: any } ] }
        vms:
          a: { nics: [ { switch: blue, address: [10.0.0.2, 'fd00::2'], groups: [web, ops] } ] }
          b: { nics: [ { switch: blue, address: [10.0.0.3], groups: [web, ops] } ] }
          c: { nics: [ { switch: blue, address: [10.0.0.4], groups: [ops] } ] }

        """

    /// What is replaced, and what is found in the ruleset then.
    private static let edits = [
        ("ports: [80]", "ports: [80, 8443]", "dport 8443"), ("[192.0.2.0/24]", "[198.51.100.7]", "198.51.100.7"),
        ("10.0.0.2", "10.0.0.77", ". 10.0.0.77"), ("'fd00::2'", "'fd00::77'", ". fd00::77"),
        ("protocol: tcp", "protocol: udp", "udp dport 80"),
    ]

    private struct Node {
        let agent: Agent
        let place: Workplace
        let space: TestNamespace

        func apply(_ text: String) async throws -> ApplyDocument {
            try await agent.apply(
                ManifestRequest(files: [.init(file: place.manifest, directory: place.folder, text: text)]))
        }

        /// How often it has looked at the whole node.
        func looks() async throws -> Int {
            let line = await agent.metrics.split(separator: "\n").first {
                $0.hasPrefix("sdagent_reconciliations_total ")
            }
            return try #require(line?.split(separator: " ").last.flatMap { Int($0) })
        }

        /// Until the kernel has no more to tell of links that have just come: then three changes go without a look.
        func settle(_ text: String) async throws {
            var calm = 0
            while calm < 3 {
                let before = try await looks()
                for text in [text.replacing("10.0.0.4", with: "10.0.0.5"), text] {
                    #expect(try await apply(text).exitCode == 0)
                }
                calm = try await looks() == before ? calm + 1 : 0
                try await Task.sleep(for: .milliseconds(100))
            }
        }

        func rules() async throws -> String { try await space.run("nft", "-s", "list", "ruleset") }

        /// The whole text read, and the whole node looked at: there is nothing left to do.
        func expectSettled(_ words: String) async throws {
            await agent.settle()
            let found = try #require(try await agent.reconcile())
            #expect(found.changes == [] && found.exitCode == 0, "\(words): \(found.changes)")
        }
    }

    private func withNode(_ body: (Node) async throws -> Void) async throws {
        try await TestNamespace.with { space in
            let place = try Workplace()
            try place.write(Self.text)
            try place.state.prepare()
            let kinds = Kinds.node(place.state, in: .namespace(space.name), tenure: .lasting)
            var logger = Logger(label: "amended") { _ in SwiftLogNoOpLogHandler() }
            logger.logLevel = .critical
            let agent = Agent(
                kinds: kinds, paths: ManifestPaths(paths: [place.manifest]), state: place.state, logger: logger)
            let node = Node(agent: agent, place: place, space: space)
            #expect(await agent.reload())
            #expect(try await agent.reconcile()?.exitCode == 0)
            try await node.settle(Self.text)
            try await body(node)
        }
    }

    @Test("A rule, a member, an address: committed without a look, and as a look would have it")
    func isTheSame() async throws {
        try await withNode { node in
            let before = try await node.rules()
            for (old, new, mark) in Self.edits {
                for isBack in [false, true] {
                    let looks = try await node.looks()
                    let done = try await node.apply(
                        isBack ? Self.text : Self.text.replacing(old, with: new, maxReplacements: 1))
                    #expect(try await node.looks() == looks, "\(new) took a look")
                    #expect(done.exitCode == 0 && done.changes.contains { $0.id == "guard/bridge" }, "\(new)")
                    let rules = try await node.rules()
                    #expect(rules.contains(mark) == !isBack, "\(new): \(rules)")
                    #expect(!rules.contains("unjudged"), "\(new)")
                    try await node.expectSettled(new)
                }
                #expect(try await node.rules() == before, "\(old) again")
            }
        }
    }

    @Test("Files that are followed go the same way")
    func followsFiles() async throws {
        try await withNode { node in
            let looks = try await node.looks()
            try node.place.write(Self.text.replacing("ports: [80]", with: "ports: [81]"))
            #expect(await node.agent.reload())
            #expect(try await node.looks() == looks)
            #expect(try await node.rules().contains("dport 81"))
            try await node.expectSettled("a file")
        }
    }

    @Test(
        "Where others have touched the node since, the whole of it is looked at",
        arguments: [
            "nft add table ip other", "ip link delete a-net0", "ip link set b-net0 down",
        ])
    func othersHaveTouched(deed: String) async throws {
        try await withNode { node in
            try await node.space.run("sh", "-ec", deed)
            let done = try await node.apply(Self.text.replacing("ports: [80]", with: "ports: [82]"))
            #expect(done.exitCode == 0)
            #expect(try await node.rules().contains("dport 82"))
            #expect(try await node.space.run("ip", "link", "show", "up").contains("a-net0"))
            try await node.expectSettled(deed)
        }
    }

    @Test("A mistake is told of as ever, and nothing is changed")
    func mistakesAreTold() async throws {
        try await withNode { node in
            let before = try await node.rules()
            let text = Self.text.replacing("10.0.0.2", with: "10.0.0.3", maxReplacements: 1)
            await #expect(throws: ManifestMistakes.self) { try await node.apply(text) }
            #expect(try await node.rules() == before)
            #expect(try await node.apply(Self.text).changes == [])
        }
    }
}
