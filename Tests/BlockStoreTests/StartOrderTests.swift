import IOLoop
import Reconcile
import TestSupport
import Testing

@testable import BlockStore

/// What initiators see that do not wait until the targets of a node are up.
@Suite(.ownThreads, .enabled(if: Witness.isHere))
struct StartOrderTests {
    @Test func aTargetThatIsOnItsWayPutsALoginOff() async throws {
        try await TargetKindTests().withNode { node in
            let created = try await node.apply(node.targets("    luns: { 0: one }\n"))
            #expect(created?.state == .converged)
            let late = "iqn.2026-11.org.example:late"
            await node.server.expect([TargetKindTests.name, late])
            let early = RawInitiator(port: node.port).login(late)
            // Service unavailable: class 3, with which the initiator tries again.
            #expect(early?.header[36] == 3 && early?.header[37] == 1)
            let astray = RawInitiator(port: node.port).login("iqn.2026-11.org.example:nobody")
            #expect(astray?.header[36] == 2 && astray?.header[37] == 3)
            #expect(RawInitiator(port: node.port).login(TargetKindTests.name)?.header[36] == 0)
        }
    }

    @Test func aNodeSaysWhichTargetsAreOnTheirWay() async throws {
        try await TargetKindTests().withNode { node in
            // The secret is not there: the target is not served, but the manifest has it.
            let body = """
                    luns: { 0: one }
                    access: { chap: { user: vm1, secretFile: /nonexistent/secret } }
                  iqn.2026-11.org.example:other:
                    portals: ["127.0.0.1:\(node.port)"]
                    luns: { 0: two }

                """
            _ = try await node.apply(node.targets(body))
            #expect(RawInitiator(port: node.port).login("iqn.2026-11.org.example:other")?.header[36] == 0)
            let early = RawInitiator(port: node.port).login(TargetKindTests.name)
            #expect(early?.header[36] == 3 && early?.header[37] == 1)
        }
    }

    /// Comes again and again until it is in; then asks for the last unit. Returns what it must not hear.
    private static func hasten(_ port: UInt16) async -> [String] {
        let end = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < end {
            let initiator = RawInitiator(port: port)
            guard let login = initiator.login(TargetKindTests.name) else {
                await Task.yield()
                continue
            }
            guard login.header[36] != 2 else { return ["login refused for good: \(login.header[37])"] }
            guard login.header[36] == 0 else { continue }
            var ask = initiator.command([0], flags: 0x81, tag: 9, cmdSN: 1, expected: 0)
            ask[9] = 1
            initiator.send(ask)
            guard let answer = initiator.answer(), answer.opcode == 0x21 else { return ["no answer"] }
            // GOOD, or a unit attention: not ILLEGAL REQUEST, logical unit not supported.
            let isThere = answer.header[3] == 0 || answer.data.count > 14 && answer.data[4] == 6
            return isThere ? [] : ["LUN 1 is not there: \(answer.data)"]
        }
        return ["never let in"]
    }

    @Test func whoIsLetInFindsAllUnits() async throws {
        for _ in 0..<5 {
            try await TargetKindTests().withNode { node in
                let port = node.port
                let hasty = Task.detached { await Self.hasten(port) }
                let created = try await node.apply(node.targets("    luns: { 0: one, 1: two }\n"))
                #expect(created?.state == .converged)
                let faults = await hasty.value
                #expect(faults.isEmpty)
            }
        }
    }
}
