import Glibc
import IOLoop
import ISCSI
import Reconcile
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// Ways in which an answer could have been lost, a connection stopped or the server ended: one test for each.
@Suite(.ownThreads) struct LostAnswerTests {
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
            // More than the kernel takes at once; while that is being sent, a read together with a PDU that costs
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

    @Test func aWriteIsAbortedWhileTheSendOfItsR2TIsUnderWay() async throws {
        try await withServer { server in
            let initiator = RawInitiator(port: server.port, bufferBytes: 8192)
            #expect(initiator.login(ServedFixture.target)?.header[36] == 0)
            var cmdSN: UInt32 = 1
            #expect(initiator.settle(&cmdSN))
            await server.shrinkSendBuffers(to: 8192)
            let mebibyte = initiator.command(Self.read(0, 2048), flags: 0xc1, tag: 80, cmdSN: cmdSN, expected: 1 << 20)
            initiator.send(mebibyte)
            try await Task.sleep(for: .milliseconds(100))
            // The R2T goes out at the head of a send that ends only when the second read has been fetched.
            initiator.send(
                initiator.command(Self.write, flags: 0xa1, tag: 81, cmdSN: cmdSN + 1, expected: 65536)
                    + initiator.command(
                        Self.read(0, 2048), flags: 0xc1, tag: 82, cmdSN: cmdSN + 2, expected: 1 << 20))
            let request = Self.answers(initiator, upTo: 0x31).last
            #expect(request?.opcode == 0x31)
            initiator.send(
                initiator.pdu(
                    0x05, flags: 0, tag: 81, [20: request?.number(20) ?? 0], data: [UInt8](repeating: 1, count: 4096)))
            try await Task.sleep(for: .milliseconds(100))
            // ABORT TASK.
            initiator.send(initiator.pdu(0x42, flags: 0x81, tag: 83, [20: 81, 24: cmdSN + 3]))
            try await Task.sleep(for: .milliseconds(100))
            let answers = Self.answers(initiator, upTo: 0x22)
            #expect(answers.last?.opcode == 0x22 && answers.last?.header[2] == 0)
            var next = cmdSN + 3
            initiator.send(initiator.pdu(0x40, tag: 85, [20: .max, 24: next]))
            #expect(Self.answers(initiator, upTo: 0x20).last?.opcode == 0x20)
            let again = RawInitiator(port: server.port)
            #expect(again.login(ServedFixture.target, isid: 0x8000_0002)?.header[36] == 0)
            next = 1
            #expect(again.settle(&next))
        }
    }

    // MARK: Units that go, resets of others

    private static let keys = ["ImmediateData=Yes", "InitialR2T=Yes", "FirstBurstLength=65536"]

    /// Logs in and hears the attentions.
    private static func come(
        _ server: ServedFixture, _ number: UInt32 = 1, keys: [String] = LostAnswerTests.keys
    ) throws -> (initiator: RawInitiator, cmdSN: UInt32) {
        let initiator = RawInitiator(port: server.port)
        try #require(initiator.login(ServedFixture.target, isid: 0x8000_0000 + number, keys: keys)?.header[36] == 0)
        var cmdSN: UInt32 = 1
        try #require(initiator.settle(&cmdSN))
        return (initiator, cmdSN)
    }

    private static func waitForTasks(_ server: ServedFixture, _ count: Int) async throws {
        for _ in 0..<500 {
            let found = await server.onLoop { $0.connections.values.reduce(0) { $0 + $1.tasks.count } }
            if found == count { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("there are not \(count) tasks")
    }

    private static let write: [UInt8] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 128, 0]

    /// CHECK CONDITION, ILLEGAL REQUEST, logical unit not supported.
    private static func isUnsupported(_ answer: RawInitiator.Answer?) -> Bool {
        guard let answer, answer.opcode == 0x21, answer.header[3] == 2 else { return false }
        return answer.data[4] == 5 && answer.data[14] == 0x25
    }

    @Test func aWriteWhoseUnitGoesInTheMiddleOfItsDataIsAnswered() async throws {
        try await withServer { server in
            let (initiator, cmdSN) = try Self.come(server)
            initiator.sendHalfAWrite(tag: 60, cmdSN: cmdSN)
            try await Self.waitForTasks(server, 1)
            await server.onLoop { _ = $0.detach(0, of: ServedFixture.target) }
            initiator.send([UInt8](repeating: 0x5a, count: 65536 - 10_000))
            #expect(Self.isUnsupported(initiator.answer()))
            // The session goes on.
            initiator.send(initiator.pdu(0x40, tag: 61, [20: .max, 24: cmdSN + 1]))
            #expect(initiator.answer()?.opcode == 0x20)
        }
    }

    @Test func commandsThatWaitForABufferOfAUnitThatGoesAreAnswered() async throws {
        var configuration = LoopConfiguration()
        configuration.buffers = [.init(bytes: 1 << 20, slots: 1)]
        try await withServer(configuration: configuration) { server in
            let (hog, hogSN) = try Self.come(server, 1)
            hog.send(hog.command(Self.write, flags: 0xa1, tag: 60, cmdSN: hogSN, expected: 65536))
            #expect(hog.answer()?.opcode == 0x31)
            let (reader, readerSN) = try Self.come(server, 2)
            reader.send(reader.command(Self.read(0, 1), flags: 0xc1, tag: 61, cmdSN: readerSN, expected: 512))
            let (writer, writerSN) = try Self.come(server, 3)
            let data = [UInt8](repeating: 1, count: 65536)
            writer.send(
                writer.command(Self.write, flags: 0xa1, tag: 62, cmdSN: writerSN, expected: 65536, data: data))
            try await Self.waitForTasks(server, 3)
            await server.onLoop { _ = $0.detach(0, of: ServedFixture.target) }
            #expect(Self.isUnsupported(reader.answer()))
            #expect(Self.isUnsupported(writer.answer()))
            #expect(Self.isUnsupported(hog.answer()))
            try await Self.waitForTasks(server, 0)
        }
    }

    @Test func aResetByAnotherIsAnsweredAndItsVictimsHearOfIt() async throws {
        try await withServer { server in
            let (waiting, waitingSN) = try Self.come(server, 1)
            waiting.send(waiting.command(Self.write, flags: 0xa1, tag: 60, cmdSN: waitingSN, expected: 65536))
            #expect(waiting.answer()?.opcode == 0x31)
            let (silent, silentSN) = try Self.come(server, 2)
            silent.sendHalfAWrite(tag: 61, cmdSN: silentSN)
            try await Self.waitForTasks(server, 2)
            let (third, thirdSN) = try Self.come(server, 3)
            // LOGICAL UNIT RESET.
            third.send(third.pdu(0x42, flags: 0x85, tag: 62, [20: .max, 24: thirdSN]))
            let done = third.answer()
            #expect(done?.opcode == 0x22 && done?.header[2] == 0)
            let told = waiting.answer()
            #expect(told?.opcode == 0x21 && told?.header[3] == 0x40)
            silent.send([UInt8](repeating: 0x5a, count: 65536 - 10_000))
            let late = silent.answer()
            #expect(late?.opcode == 0x21 && late?.header[3] == 0x40)
        }
    }

    @Test func aResetWaitsForTheDiskOfOthers() async throws {
        try await withServer(isHeld: true) { server in
            let (victim, victimSN) = try Self.come(server, 1)
            let data = [UInt8](repeating: 1, count: 65536)
            victim.send(
                victim.command(Self.write, flags: 0xa1, tag: 60, cmdSN: victimSN, expected: 65536, data: data))
            let (other, otherSN) = try Self.come(server, 2)
            for _ in 0..<500 where await server.heldRequests() == 0 { try await Task.sleep(for: .milliseconds(10)) }
            other.send(other.pdu(0x42, flags: 0x85, tag: 62, [20: .max, 24: otherSN]))
            // Answered in its turn: the ping behind it is, the reset is not.
            other.send(other.pdu(0x40, tag: 63, [20: .max, 24: otherSN + 1]))
            #expect(other.answer()?.opcode == 0x20)
            #expect(await server.heldRequests(answer: true) == 1)
            #expect(other.answer()?.opcode == 0x22)
            #expect(victim.answer()?.header[3] == 0x40)
        }
    }

    @Test func aPreemptionIsAnsweredWhenTheDiskHasComeToRest() async throws {
        try await withServer(isHeld: true) { server in
            func reserve(_ action: UInt8, _ tag: UInt32, _ cmdSN: UInt32, _ initiator: RawInitiator, _ keys: [UInt8]) {
                let block: [UInt8] = [0x5f, action, action == 0 ? 0 : 1, 0, 0, 0, 0, 0, 24, 0]
                let list = keys + [UInt8](repeating: 0, count: 24 - keys.count)
                initiator.send(
                    initiator.command(block, flags: 0xa1, tag: tag, cmdSN: cmdSN, expected: 24, data: list))
            }
            let zero = [UInt8](repeating: 0, count: 8)
            let first = [UInt8](repeating: 0xa1, count: 8)
            let second = [UInt8](repeating: 0xb2, count: 8)
            let (victim, victimSN) = try Self.come(server, 1)
            reserve(0, 50, victimSN, victim, zero + first)
            #expect(victim.answer()?.header[3] == 0)
            let (other, otherSN) = try Self.come(server, 2)
            reserve(0, 51, otherSN, other, zero + second)
            #expect(other.answer()?.header[3] == 0)
            let data = [UInt8](repeating: 1, count: 65536)
            victim.send(
                victim.command(Self.write, flags: 0xa1, tag: 60, cmdSN: victimSN + 1, expected: 65536, data: data))
            for _ in 0..<500 where await server.heldRequests() == 0 { try await Task.sleep(for: .milliseconds(10)) }
            // PREEMPT AND ABORT of the first key.
            reserve(5, 61, otherSN + 1, other, second + first)
            other.send(other.pdu(0x40, tag: 62, [20: .max, 24: otherSN + 2]))
            #expect(other.answer()?.opcode == 0x20, "the ping alone")
            #expect(await server.heldRequests(answer: true) == 1)
            let done = other.answer()
            #expect(done?.opcode == 0x21 && done?.header[3] == 0)
            #expect(victim.answer()?.header[3] == 0x40)
        }
    }

    // MARK: Windows and sessions

    @Test func aWindowThatIsUsedUpInSilenceIsOpenedAgain() async throws {
        try await withServer { server in
            let (initiator, cmdSN) = try Self.come(server)
            // Pings that want no answer and are not immediate: nothing would ever tell of their places in the window.
            for step in 0..<128 as Range<UInt32> {
                initiator.send(initiator.pdu(0x00, tag: .max, [20: .max, 24: cmdSN + step]))
            }
            let news = initiator.answer()
            #expect(news?.opcode == 0x20 && news?.number(16) == .max && news?.number(20) == .max)
            #expect(news?.number(28) == cmdSN + 128 && news?.number(32) == cmdSN + 255)
            var next = cmdSN + 128
            #expect(initiator.settle(&next))
        }
    }

    @Test func ofTwoThatComeBackAtOnceOneStays() async throws {
        try await withServer { server in
            let (old, _) = try Self.come(server)
            let both = (0..<2).map { _ in RawInitiator(port: server.port) }
            for _ in 0..<500 where await server.onLoop({ $0.connections.count }) < 3 {
                try await Task.sleep(for: .milliseconds(10))
            }
            // Both are there when the loop looks again.
            let busy = Task { await server.loop.run { _ in _ = usleep(200_000) } }
            usleep(50_000)
            for initiator in both { initiator.sendLogin(ServedFixture.target) }
            await busy.value
            let answers = both.map { $0.answer()?.header[36] }
            #expect(answers.contains(0))
            #expect(old.isShownOut())
            let sessions = await server.onLoop { ($0.sessions.count, $0.connections.count) }
            #expect(sessions.0 == 1)
            let alive = both.filter { initiator in
                var cmdSN: UInt32 = 1
                return initiator.settle(&cmdSN)
            }
            #expect(alive.count == 1)
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
