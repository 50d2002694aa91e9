import Glibc
import Synchronization
import TestSupport
import Testing

/// No packet of a NIC that nothing was asked of is lost, and no connection ends: whatever becomes of the daemon, and
/// whatever else changes on the node.
@Suite(.serialized, .enabled(if: TestNamespace.isPossible), .timeLimit(.minutes(5)))
struct ZeroLossTests {
    /// Runs the body beside flows over a node that a first daemon has made and left.
    private func nothingIsLost(
        _ name: String = #function, _ body: @Sendable (Crossing) async throws -> Void
    ) async throws {
        try await Crossing.judged(name) { crossing in
            try await crossing.node.apply()
            return try await crossing.undisturbed { try await body(crossing) }
        }
    }

    private static func wait(milliseconds: Int) async throws {
        try await ContinuousClock().sleep(for: .milliseconds(milliseconds))
    }

    @Test(arguments: [SIGTERM, SIGKILL])
    func aDaemonThatEndsAndComesBackCostsNoPacket(by signal: Int32) async throws {
        try await nothingIsLost { crossing in
            for _ in 0..<3 {
                try await crossing.node.withDaemon { daemon in
                    let isConverged = try await crossing.node.isConverged()
                    daemon.signal(signal)
                    let hasEnded = try await daemon.isGone(within: 20)
                    #expect(isConverged && hasEnded)
                }
                try await Self.wait(milliseconds: 200)
            }
        }
    }

    @Test func changingHalfOfTheManifestCostsTheOtherHalfNoPacket() async throws {
        try await nothingIsLost { crossing in
            try await crossing.node.withDaemon { _ in
                for half in [Crossing.Half.night, .day, .night] {
                    try crossing.write(half)
                    let result = try await crossing.node.agent("apply")
                    #expect(result.code == 0, "\(result)")
                    try await Self.wait(milliseconds: 300)
                }
                #expect(try await crossing.node.isConverged())
            }
        }
    }

    @Test(arguments: [0, 20, 50, 80])
    func aDaemonKilledInTheMiddleOfAChangeCostsNoPacket(after milliseconds: Int) async throws {
        try await nothingIsLost { crossing in
            let node = crossing.node
            try await node.withDaemon { daemon in
                try crossing.write(.night)
                // It follows its file; when it has read that a second time it is at work.
                let isAtWork = try await eventually(within: 15) {
                    try text(ofFile: node.log).matches(of: /the desired state is/).count == 2
                }
                #expect(isAtWork)
                try await Self.wait(milliseconds: milliseconds)
                daemon.signal(SIGKILL)
                let hasEnded = try await daemon.isGone(within: 20)
                #expect(hasEnded)
            }
            try await Self.wait(milliseconds: 100)
            try await node.withDaemon { _ in
                let isConverged = try await eventually(within: 20) { try await node.isConverged() }
                #expect(isConverged)
            }
        }
    }

    /// The test of the test: what somebody else drops for a moment is missed.
    @Test func aLossIsSeen() async throws {
        let erin = "fd00:30::11"
        try await Crossing.with { crossing in
            try await crossing.node.apply()
            let outcome = try await crossing.flows {
                try await crossing.node.space.run(
                    "nft",
                    "table bridge theirs { chain c { type filter hook forward priority 9; ip6 daddr \(erin) drop; }; }"
                )
                try await Self.wait(milliseconds: 100)
                try await crossing.node.space.run("nft", "delete", "table", "bridge", "theirs")
                try await Self.wait(milliseconds: 500)
            }
            #expect(outcome.reports[0].contains("every packet came back"), "\(outcome)")
            let missed = outcome.reports[1]
            #expect(missed.contains("packets were lost") && missed.contains("\(erin): sent"), "\(outcome)")
        }
    }

    /// A machine that is too busy each time proves nothing, and that is no success.
    @Test func roundsWithoutAVerdictAreToldOfAndEnd() async throws {
        var told: [String] = []
        try await withKnownIssue {
            try await Crossing.judged("busy", tell: { told.append($0) }) { _ in .withoutVerdict("lost 1") }
        } matching: {
            "\($0)".contains("no verdict in \(Crossing.rounds) rounds")
        }
        #expect(told == (1...Crossing.rounds).map { "no verdict: busy, round \($0) of \(Crossing.rounds)\nlost 1" })

        let first = Mutex(true)
        told = []
        try await Crossing.judged("once", tell: { told.append($0) }) { _ in
            first.withLock { isFirst in
                defer { isFirst = false }
                return isFirst ? .withoutVerdict("lost 2") : .judged
            }
        }
        #expect(told.count == 1)
    }

    @Test func anUpgradeCostsNoPacket() async throws {
        try await nothingIsLost { crossing in
            let node = crossing.node
            let new = node.directory.file("sdagent-new")
            try await output(of: ["cp", AgentNode.program, new])
            let old = try await node.withDaemon { daemon in try await node.terminate(daemon) }
            #expect(old.value)
            let log = node.directory.file("new.log")
            let words = node.space.inside([new] + node.words("run").dropFirst())
            try await RunningCommand.with(words, log: log) { daemon in
                let isUp = try await eventually(within: 30) { try await node.agent("status").code == 0 }
                let isConverged = try await node.isConverged()
                let hasEnded = try await node.terminate(daemon)
                #expect(isUp && isConverged && hasEnded)
            }
            let said = try text(ofFile: log)
            #expect(said.contains("starts") && !said.contains("done"), "nothing was there to be changed: \(said)")
        }
    }
}
