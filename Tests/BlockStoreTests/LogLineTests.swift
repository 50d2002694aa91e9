import IOLoop
import ISCSI
import Logging
import Synchronization
import SystemPackage
import Testing

@testable import BlockStore

/// Every line of the log about an initiator or a disk says which: the target, the initiator and its address, the number
/// and the volume.
@Suite struct LogLineTests {
    /// Keeps what is logged.
    final class Pages: Sendable {
        private let lines = Mutex<[String]>([])

        var logger: Logger { Logger(label: "pages") { _ in Pen(pages: self) } }

        func add(_ line: String) { lines.withLock { $0.append(line) } }

        /// The first line with these words, which come within five seconds.
        func wait(for words: String) async throws -> String {
            for _ in 0..<500 {
                if let line = lines.withLock({ $0.first { $0.contains(words) } }) { return line }
                try await Task.sleep(for: .milliseconds(10))
            }
            return "no line with '\(words)'"
        }
    }

    /// Writes on pages.
    private struct Pen: LogHandler {
        let pages: Pages
        var logLevel = Logger.Level.info
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { pages.add("\(event.level): \(event.message)") }
    }

    private static let initiator = "\(ServedFixture.target): iqn.2026-11.org.example:raw at 127.0.0.1:"

    @Test func failuresOfADiskNameEverything() async throws {
        let pages = Pages()
        try await withServer(isHeld: true, log: pages.logger) { server in
            let raw = RawInitiator(port: server.port)
            #expect(raw.login(ServedFixture.target)?.header[36] == 0)
            var cmdSN: UInt32 = 1
            #expect(raw.settle(&cmdSN))
            let block: [UInt8] = [0x28, 0, 0, 0, 0, 64, 0, 0, 8, 0]
            raw.send(raw.command(block, flags: 0xc1, tag: 50, cmdSN: cmdSN, expected: 4096))
            for _ in 0..<500 where await server.heldRequests() == 0 { try await Task.sleep(for: .milliseconds(10)) }
            await server.heldRequests(answer: true, error: .ioError)
            #expect(raw.answer()?.header[3] == 2)
            let line = try await pages.wait(for: "failed")
            #expect(line.hasPrefix("error: " + Self.initiator), "\(line)")
            #expect(line.contains(": LUN 0 (volume0): read of 8 blocks at 64 failed: "), "\(line)")
        }
    }

    @Test func comingAndGoingNameTheInitiatorAndTheTarget() async throws {
        let pages = Pages()
        try await withServer(log: pages.logger) { server in
            let raw = RawInitiator(port: server.port)
            #expect(raw.login(ServedFixture.target)?.header[36] == 0)
            let login = try await pages.wait(for: "logged in")
            #expect(login.hasPrefix("info: " + Self.initiator), "\(login)")
            let again = RawInitiator(port: server.port)
            #expect(again.login(ServedFixture.target)?.header[36] == 0)
            let returning = try await pages.wait(for: "comes back")
            #expect(returning.hasPrefix("info: " + Self.initiator), "\(returning)")
            again.send(again.pdu(0x1f, tag: 9))
            #expect(again.answer()?.opcode == 0x3f)
            let end = try await pages.wait(for: "connection closed")
            #expect(end.hasPrefix("notice: " + Self.initiator), "\(end)")
        }
    }

    @Test func refusalsSayWhoAskedForWhatAndWhy() async throws {
        let pages = Pages()
        let access = TargetAccess(initiators: ["iqn.2007-10.com.github:*"])
        try await withServer(access: access, log: pages.logger) { server in
            let raw = RawInitiator(port: server.port)
            #expect(raw.login(ServedFixture.target)?.header[36] == 2)
            let refused = try await pages.wait(for: "login refused")
            #expect(refused.hasPrefix("notice: " + Self.initiator), "\(refused)")
            #expect(refused.hasSuffix("login refused: it may not log in here"), "\(refused)")
            let lost = RawInitiator(port: server.port)
            #expect(lost.login("iqn.2026-11.org.example:none")?.header[36] == 2)
            let line = try await pages.wait(for: "no such target")
            let claim = "notice: iqn.2026-11.org.example:none: iqn.2026-11.org.example:raw at 127.0.0.1:"
            #expect(line.hasPrefix(claim), "\(line)")
        }
    }

    @Test func whoIsShownOutForSilenceIsNamed() async throws {
        var configuration = LoopConfiguration()
        configuration.buffers = [.init(bytes: 1 << 20, slots: 1)]
        var limits = ServeLimits()
        limits.stall = .milliseconds(200)
        let pages = Pages()
        try await withServer(limits: limits, configuration: configuration, log: pages.logger) { server in
            let silent = RawInitiator(port: server.port)
            #expect(silent.login(ServedFixture.target, keys: ["InitialR2T=Yes"])?.header[36] == 0)
            var cmdSN: UInt32 = 1
            #expect(silent.settle(&cmdSN))
            let block: [UInt8] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 8, 0]
            silent.send(silent.command(block, flags: 0xa1, tag: 50, cmdSN: cmdSN, expected: 4096))
            #expect(silent.answer()?.opcode == 0x31)
            let waiting = RawInitiator(port: server.port)
            #expect(waiting.login(ServedFixture.target, isid: 0x8000_0002)?.header[36] == 0)
            cmdSN = 1
            #expect(waiting.settle(&cmdSN))
            waiting.send(
                waiting.command(
                    [0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0], flags: 0xc1, tag: 50, cmdSN: cmdSN, expected: 4096))
            #expect(waiting.answer()?.opcode == 0x25)
            let line = try await pages.wait(for: "others wait")
            #expect(line.hasPrefix("notice: " + Self.initiator) && line.contains("1024 KiB"), "\(line)")
        }
    }
}
