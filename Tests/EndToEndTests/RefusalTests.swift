import TestSupport
import Testing

/// What must be refused, and what a refusal must leave alone.
@Suite(.enabled(if: TestNamespace.isPossible))
struct RefusalTests {
    private static let good = """
        switches: { blue: {} }
        vms:
          vm1: { nics: [ { switch: blue, address: 10.10.0.10/24 } ] }

        """

    @Test func anInvalidManifestChangesNothingAndNamesEveryMistake() async throws {
        try await AgentNode.with(Self.good) { node in
            try await node.apply()
            #expect(try await node.space.settle())
            let before = try await node.picture()
            try node.write(
                """
                switches: { blue: { mtuu: 1400 }, green: {} }
                vms:
                  vm1: { nics: [ { switch: bleu, address: 10.10.0.300 } ] }

                """)
            for verb in ["validate", "plan", "apply"] {
                let result = try await node.agent(verb)
                #expect(result.code == 1, "\(verb): \(result)")
                for part in ["node.yaml:1:", "node.yaml:3:", "mtuu", "bleu", "10.10.0.300", "^"] {
                    #expect(result.error.contains(part), "\(verb) says \(part): \(result.error)")
                }
            }
            let after = try await node.picture()
            #expect(after == before, "\(Golden.sideBySide(before, after))")
        }
    }

    @Test func aDaemonKeepsTheLastGoodManifestAndSaysWhy() async throws {
        try await AgentNode.with(Self.good) { node in
            try await node.withDaemon { _ in
                try node.write("switches: [ this is no map ]\n")
                #expect(
                    try await eventually(within: 15) {
                        let status = try await node.agent("status")
                        return status.code == 1 && status.output.contains("node.yaml:1:")
                    })
                #expect(try await node.space.run("ip", "-brief", "link").contains("vm1-net0"))
                try node.write(Self.good + "  vm2: { nics: [ { switch: blue, address: 10.10.0.11/24 } ] }\n")
                #expect(
                    try await eventually(within: 15) {
                        try await node.space.run("ip", "-brief", "link").contains("vm2-net0")
                    })
                #expect(try await node.agent("status").code == 0)
            }
        }
    }

    @Test func twoAppliesAtOnceBothEndAndTheNodeConverges() async throws {
        var manifest = "switches: { blue: {} }\nvms:\n"
        for number in 1...60 {
            manifest += "  vm\(number): { nics: [ { switch: blue, address: 10.10.0.\(number) } ] }\n"
        }
        try await AgentNode.with(manifest) { node in
            async let one = node.agent("apply")
            async let other = node.agent("apply")
            for result in try await [one, other] {
                let isRefused = result.code == 1 && result.error.contains("changing this node")
                #expect(result.code == 0 || isRefused, "\(result)")
            }
            #expect(try await node.isConverged())
        }
    }

    @Test func aSecondDaemonOnTheSameStateIsRefused() async throws {
        try await AgentNode.with(Self.good) { node in
            try await node.withDaemon { _ in
                let second = try await node.agent("run", seconds: 20)
                #expect(second.code == 1 && second.error.contains("another daemon"), "\(second)")
                #expect(try await node.agent("status").code == 0)
            }
        }
    }

    @Test func whatCannotBeIsReportedOnItsResourceAndTheRestConverges() async throws {
        let manifest =
            Self.good + "  vm9: { nics: [ { switch: blue, address: 10.10.0.19/24, namespace: no-such-namespace } ] }\n"
        try await AgentNode.with(manifest) { node in
            let apply = try await node.agent("apply")
            #expect(apply.code == 1, "\(apply)")
            #expect(apply.error.contains("vm9") && apply.error.contains("no-such-namespace"), "\(apply)")
            #expect(try await node.space.run("ip", "-d", "link", "show", "vm1-net0").contains("master blue"))
            let status = try await node.agent("status")
            #expect(status.code == 1)
            let troubled = status.output.split(separator: "\n").filter { $0.contains("vm9/net0") }
            #expect(!troubled.isEmpty && troubled.allSatisfy { !$0.contains("converged") }, "\(status)")
        }
    }

    @Test func aForeignLinkOfTheSameNameIsAConflictAndStays() async throws {
        try await AgentNode.with("switches: { blue: {}, green: {} }\n") { node in
            try await node.space.run("ip", "link", "add", "blue", "type", "bridge")
            let before = try await node.space.run("ip", "-o", "link", "show", "blue")
            let apply = try await node.agent("apply")
            #expect(apply.code == 1 && apply.error.contains("blue"), "\(apply)")
            #expect(try await node.space.run("ip", "-o", "link", "show", "blue") == before)
            #expect(try await node.space.run("ip", "-brief", "link").contains("green"))
        }
    }
}
