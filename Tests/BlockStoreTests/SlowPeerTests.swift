import IOLoop
import ISCSI
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// Initiators that hold what others need: nobody takes everything, nobody waits for ever, nobody is deaf for long.
@Suite(.ownThreads) struct SlowPeerTests {
    private static let keys = ["ImmediateData=Yes", "InitialR2T=Yes", "FirstBurstLength=65536"]
    private static let write: [UInt8] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 128, 0]

    private static func read(_ blocks: UInt8, _ more: UInt8 = 0) -> [UInt8] {
        [0x28, 0, 0, 0, 0, 0, 0, more, blocks, 0]
    }

    /// One buffer for each of `slots` tasks, and no other.
    private static func pool(_ slots: Int) -> LoopConfiguration {
        var configuration = LoopConfiguration()
        configuration.buffers = [.init(bytes: 1 << 20, slots: slots)]
        return configuration
    }

    /// Logs in and hears the attentions.
    private static func come(
        _ server: ServedFixture, _ number: UInt32, bufferBytes: CInt? = nil
    ) throws -> (initiator: RawInitiator, cmdSN: UInt32) {
        let initiator = RawInitiator(port: server.port, bufferBytes: bufferBytes)
        try #require(initiator.login(ServedFixture.target, isid: 0x8000_0000 + number, keys: keys)?.header[36] == 0)
        var cmdSN: UInt32 = 1
        try #require(initiator.settle(&cmdSN))
        return (initiator, cmdSN)
    }

    /// One that has asked to write 64 KiB and sends nothing of it.
    private static func silentWriter(_ server: ServedFixture, _ number: UInt32) throws -> (RawInitiator, UInt32) {
        let (initiator, cmdSN) = try come(server, number)
        initiator.send(initiator.command(write, flags: 0xa1, tag: 60, cmdSN: cmdSN, expected: 65536))
        let request = initiator.answer()
        try #require(request?.opcode == 0x31)
        return (initiator, request?.number(20) ?? 0)
    }

    /// Sends the data that the R2T has asked for.
    private static func send(_ initiator: RawInitiator, _ transferTag: UInt32) {
        let data = [UInt8](repeating: 7, count: 65536)
        initiator.send(initiator.pdu(0x05, tag: 60, [20: transferTag], data: data))
    }

    @Test func whoFallsSilentIsShownOutWhenOthersWait() async throws {
        var limits = ServeLimits()
        limits.stall = .milliseconds(300)
        try await withServer(limits: limits, configuration: Self.pool(2)) { server in
            let (writer, _) = try Self.silentWriter(server, 1)
            // Asks for 16 MiB and does not fetch them.
            let (reader, readerSN) = try Self.come(server, 2, bufferBytes: 8192)
            reader.send(reader.command(Self.read(0, 128), flags: 0xc1, tag: 61, cmdSN: readerSN, expected: 16 << 20))
            try await Task.sleep(for: .milliseconds(100))
            // Two buffers, both gone. The first to work waits for one, the second for the other.
            for (number, tag) in [(3, 70), (4, 71)] as [(UInt32, UInt32)] {
                let (worker, workerSN) = try Self.come(server, number)
                worker.send(worker.command(Self.read(8), flags: 0xc1, tag: tag, cmdSN: workerSN, expected: 4096))
                let answer = worker.answer()
                #expect(answer?.opcode == 0x25 && answer?.data.count == 4096)
                // Its own buffer has come back: only with another frozen one does the next have to wait.
                if number == 3 { _ = try Self.silentWriter(server, 5) }
            }
            let left = await server.onLoop { $0.connections.count }
            #expect(left < 5)
            _ = (writer, reader)
        }
    }

    @Test func silenceAloneIsNoReason() async throws {
        var limits = ServeLimits()
        limits.stall = .milliseconds(100)
        try await withServer(limits: limits, configuration: Self.pool(4)) { server in
            let (writer, transferTag) = try Self.silentWriter(server, 1)
            let (other, otherSN) = try Self.come(server, 2)
            for step in 0..<10 as Range<UInt32> {
                other.send(other.command(Self.read(8), flags: 0xc1, tag: 70, cmdSN: otherSN + step, expected: 4096))
                #expect(other.answer()?.opcode == 0x25)
                try await Task.sleep(for: .milliseconds(80))
            }
            Self.send(writer, transferTag)
            let done = writer.answer()
            #expect(done?.opcode == 0x21 && done?.header[3] == 0)
        }
    }

    @Test func aConnectionThatWaitsForABufferIsNotDeafForLong() async throws {
        var limits = ServeLimits()
        limits.deafness = .milliseconds(200)
        limits.stall = .seconds(60)
        try await withServer(limits: limits, configuration: Self.pool(1)) { server in
            let (holder, transferTag) = try Self.silentWriter(server, 1)
            let (waiting, cmdSN) = try Self.come(server, 2)
            let data = [UInt8](repeating: 1, count: 65536)
            waiting.send(waiting.command(Self.write, flags: 0xa1, tag: 61, cmdSN: cmdSN, expected: 65536, data: data))
            waiting.send(waiting.pdu(0x40, tag: 62, [20: .max, 24: cmdSN + 1]))
            let answers = [waiting.answer(), waiting.answer()]
            // The write is turned away with TASK SET FULL, and the ping behind it is answered.
            #expect(answers.contains { $0?.opcode == 0x21 && $0?.header[3] == 0x28 })
            #expect(answers.contains { $0?.opcode == 0x20 })
            Self.send(holder, transferTag)
            #expect(holder.answer()?.header[3] == 0)
            // And again, now that there is room.
            waiting.send(
                waiting.command(Self.write, flags: 0xa1, tag: 63, cmdSN: cmdSN + 1, expected: 65536, data: data))
            #expect(waiting.answer()?.header[3] == 0)
        }
    }

    @Test func answersThatWaitForABufferKeepNothingFromBeingAnswered() async throws {
        try await withServer(configuration: Self.pool(1)) { server in
            let (holder, transferTag) = try Self.silentWriter(server, 1)
            let (asking, cmdSN) = try Self.come(server, 2)
            asking.send(
                asking.command([0x12, 0, 0, 0, 36, 0], flags: 0xc1, tag: 61, cmdSN: cmdSN, expected: 36))
            asking.send(
                asking.command(
                    [0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], flags: 0xc1, tag: 62, cmdSN: cmdSN + 1, expected: 256))
            asking.send(asking.pdu(0x40, tag: 63, [20: .max, 24: cmdSN + 2]))
            #expect(asking.answer()?.opcode == 0x20)
            Self.send(holder, transferTag)
            #expect(holder.answer()?.header[3] == 0)
            let inquiry = asking.answer()
            #expect(inquiry?.number(16) == 61 && inquiry?.data.count == 36)
            #expect(inquiry?.data[8..<15] == ArraySlice("SDAGENT".utf8))
            let list = asking.answer()
            #expect(list?.number(16) == 62 && list?.data == [0, 0, 0, 8] + [UInt8](repeating: 0, count: 12))
        }
    }

    @Test func connectionsThatStandIdleTakeNoBufferFromWork() async throws {
        try await withServer(configuration: Self.pool(1)) { server in
            let sessions = try (1...40).map { try Self.come(server, $0) }
            for (initiator, cmdSN) in sessions {
                initiator.send(initiator.command(Self.read(8), flags: 0xc1, tag: 9, cmdSN: cmdSN, expected: 4096))
                #expect(initiator.answer()?.opcode == 0x25)
            }
        }
    }
}
