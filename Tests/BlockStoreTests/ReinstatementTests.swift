import TestSupport
import Testing

@testable import BlockStore

/// Session reinstatement (RFC 7143 section 6.3.5): an initiator's name and ISID stand for one session.
@Suite(.ownThreads) struct ReinstatementTests {
    @Test func ofTwoLoginsThatTakeOverOneSessionAtOnceOneStays() async throws {
        try await withServer(isHeld: true) { server in
            let old = RawInitiator(port: server.port)
            #expect(old.login(ServedFixture.target)?.header[36] == 0)
            var cmdSN: UInt32 = 1
            #expect(old.settle(&cmdSN))
            // While the disk keeps a READ the old connection cannot come to rest, and both logins wait for that.
            old.send(old.command([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], flags: 0xc1, tag: 9, cmdSN: cmdSN, expected: 512))
            for _ in 0..<500 where await server.heldRequests() == 0 { try await Task.sleep(for: .milliseconds(10)) }
            let rivals = (0..<2).map { _ in RawInitiator(port: server.port) }
            for rival in rivals { rival.sendLogin(ServedFixture.target) }
            for _ in 0..<500 where await waiting(server) < 2 { try await Task.sleep(for: .milliseconds(10)) }
            #expect(await waiting(server) == 2)
            #expect(await server.heldRequests(answer: true) == 1)

            // The one that is let in last has the session; the other has been shown out as an old one.
            for rival in rivals { _ = rival.answer() }
            #expect(await server.onLoop { $0.sessions.all.count } == 1)
            let alive = rivals.filter { rival in
                var cmdSN: UInt32 = 1
                return rival.settle(&cmdSN)
            }
            #expect(alive.count == 1)
        }
    }

    /// How many logins wait for the end of a connection.
    private func waiting(_ server: ServedFixture) async -> Int {
        await server.onLoop { registry in registry.connections.values.map(\.endings.count).max() ?? 0 }
    }
}
