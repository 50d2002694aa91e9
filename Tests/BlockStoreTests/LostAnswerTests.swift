import IOLoop
import ISCSI
import Reconcile
import SystemPackage
import Testing

@testable import BlockStore

/// Ways in which an answer could have been lost, a connection stopped or the server ended: one test for each.
@Suite struct LostAnswerTests {
    private static let keys = ["ImmediateData=Yes", "InitialR2T=Yes", "FirstBurstLength=65536"]

    private static func read(_ lba: UInt32, _ blocks: UInt16) -> [UInt8] {
        [0x28, 0] + (0..<4).map { UInt8(truncatingIfNeeded: lba >> (24 - 8 * $0)) }
            + [0, UInt8(truncatingIfNeeded: blocks >> 8), UInt8(truncatingIfNeeded: blocks), 0]
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
            initiator.send(
                initiator.command(Self.read(0, 16384), flags: 0xc1, tag: 80, cmdSN: cmdSN, expected: 8 << 20))
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

    // MARK: Large writes

    @Test func aLargeWriteWithAFewBytesOfImmediateDataGoesToTheDiskInWholeBlocks() async throws {
        try await TargetKindTests().withNode { node in
            let created = try await node.apply(node.targets("    luns: { 0: one }\n"))
            #expect(created?.state == .converged)
            let initiator = RawInitiator(port: node.port)
            try #require(initiator.login(TargetKindTests.name, keys: Self.keys)?.header[36] == 0)
            var cmdSN: UInt32 = 1
            try #require(initiator.settle(&cmdSN))
            // More than a buffer holds; every burst of 262,144 bytes would go across its end.
            let total = 3 << 20
            let data = (0..<total).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 7) }
            let block: [UInt8] = [0x2a] + Self.read(0, UInt16(total / 512)).dropFirst()
            initiator.send(
                initiator.command(
                    block, flags: 0xa1, tag: 60, cmdSN: cmdSN, expected: UInt32(total), data: Array(data[..<196])))
            while let answer = initiator.answer() {
                guard answer.opcode == 0x31 else {
                    #expect(answer.opcode == 0x21 && answer.header[3] == 0, "\(answer)")
                    break
                }
                let offset = Int(answer.number(40))
                let end = offset + Int(answer.number(44))
                for (number, start) in stride(from: offset, to: end, by: 65536).enumerated() {
                    let piece = Array(data[start..<min(start + 65536, end)])
                    initiator.send(
                        initiator.pdu(
                            0x05, flags: start + 65536 >= end ? 0x80 : 0, tag: 60,
                            [20: answer.number(20), 36: UInt32(number), 40: UInt32(start)], data: piece))
                }
            }
            initiator.send(
                initiator.command(
                    Self.read(0, UInt16(total / 512)), flags: 0xc1, tag: 61, cmdSN: cmdSN + 1, expected: UInt32(total)))
            var back: [UInt8] = []
            while back.count < total, let answer = initiator.answer(), answer.opcode == 0x25 { back += answer.data }
            #expect(back == data)
        }
    }
}
