import IOLoop
import ISCSI
import SystemPackage
import Testing

@testable import BlockStore

/// Ways in which an answer could have been lost, a connection stopped or the server ended: one test for each.
@Suite struct LostAnswerTests {
    private static func read(_ lba: UInt32, _ blocks: UInt16) -> [UInt8] {
        [0x28, 0] + (0..<4).map { UInt8(truncatingIfNeeded: lba >> (24 - 8 * $0)) }
            + [0, UInt8(blocks >> 8), UInt8(blocks & 0xff), 0]
    }

    /// The answers of an initiator up to the end of the connection, or to one with opcode `last`.
    private static func answers(_ initiator: RawInitiator, upTo last: UInt8? = nil) -> [RawInitiator.Answer] {
        var answers: [RawInitiator.Answer] = []
        while let answer = initiator.answer() {
            answers.append(answer)
            if answer.opcode == last { break }
        }
        return answers
    }

    @Test func anAnswerBehindTheLastWordOfASessionEndsOnce() async throws {
        try await withServer { server in
            let initiator = RawInitiator(port: server.port, bufferBytes: 8192)
            #expect(initiator.login(ServedFixture.target)?.header[36] == 0)
            var cmdSN: UInt32 = 1
            #expect(initiator.settle(&cmdSN))
            // More than the kernel takes at once, and while that is being sent a read together with a PDU that costs
            // the session: its last word comes before the read's data in the queue, and both go in one send.
            initiator.send(initiator.command(Self.read(0, 16384), flags: 0xc1, tag: 80, cmdSN: cmdSN, expected: 8 << 20))
            try await Task.sleep(for: .milliseconds(100))
            initiator.send(
                initiator.command(Self.read(0, 1), flags: 0xc1, tag: 81, cmdSN: cmdSN + 1, expected: 512)
                    + initiator.pdu(0x1f, tag: 82))
            try await Task.sleep(for: .milliseconds(100))
            let last = Self.answers(initiator).last
            #expect(last?.opcode == 0x3f || last?.opcode == 0x25)
            let again = RawInitiator(port: server.port)
            #expect(again.login(ServedFixture.target)?.header[36] == 0)
        }
    }
}
