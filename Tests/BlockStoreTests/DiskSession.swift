import IOLoop
import Logging
import Synchronization
import Syscall
import SystemPackage
import Testing

@testable import BlockStore

/// An open disk and its loop, for one test.
final class DiskSession: Sendable {
    let loop: StorageLoop
    let disk: OpenDisk
    /// What the disk has told the log.
    let log = LogBook()

    init(
        _ root: FilePath, _ name: String, format: VolumeFormat = .qcow2, commitDelay: Duration = .seconds(1),
        mappingBudget: Int = ImageOpen.defaultBudget
    ) async throws {
        loop = try StorageLoop()
        do {
            disk = try await OpenDisk.open(
                root: root, name: name, format: format, on: loop, commitDelay: commitDelay,
                mappingBudget: mappingBudget, health: DiskHealth(name: "volume/test", log: log.logger))
        } catch {
            await loop.stop()
            throw error
        }
    }

    func close() async throws {
        do {
            try await disk.close()
        } catch {
            await loop.stop()
            throw error
        }
        await loop.stop()
    }

    /// Opens, runs and closes.
    static func with(
        _ root: FilePath, _ name: String, format: VolumeFormat = .qcow2, _ body: (DiskSession) async throws -> Void
    ) async throws {
        let session = try await DiskSession(root, name, format: format)
        try await body(session)
        try await session.close()
    }

    func write(_ offset: UInt64, _ bytes: [UInt8], isDurable: Bool = false) async throws {
        let error = await run(.write, offset, bytes.count, bytes, isDurable: isDurable).error
        if let error { throw error }
    }

    func read(_ offset: UInt64, _ length: Int) async throws -> [UInt8] {
        let outcome = await run(.read, offset, length, nil)
        if let error = outcome.error { throw error }
        return outcome.bytes
    }

    func zero(_ offset: UInt64, _ length: Int) async throws {
        if let error = await run(.writeZeroes, offset, length, nil).error { throw error }
    }

    func discard(_ offset: UInt64, _ length: Int) async throws {
        if let error = await run(.discard, offset, length, nil).error { throw error }
    }

    func flush() async throws {
        if let error = await run(.flush, 0, 0, nil).error { throw error }
    }

    func run(
        _ kind: DiskRequest.Operation, _ offset: UInt64, _ length: Int, _ bytes: [UInt8]?, isDurable: Bool = false
    ) async -> DiskRequests.Outcome {
        await DiskRequests(disk: disk).run(kind, offset, length, bytes, isDurable: isDurable)
    }
}

/// Requests to an open disk, one at a time.
struct DiskRequests: Sendable {
    let disk: OpenDisk

    struct Outcome: Sendable {
        var error: Errno?
        var bytes: [UInt8]
    }

    func run(
        _ kind: DiskRequest.Operation, _ offset: UInt64, _ length: Int, _ bytes: [UInt8]?, isDurable: Bool = false
    ) async -> Outcome {
        await withCheckedContinuation { waiter in
            let start = { @Sendable (disk: Disk) in
                TestRequest(on: disk, kind, offset, length, bytes, isDurable) { waiter.resume(returning: $0) }.start()
            }
            Task { [disk] in await disk.run(start) }
        }
    }
}

/// Lines of a log, for a test that reads them.
final class LogBook: Sendable {
    private let written = Mutex<[String]>([])

    var lines: [String] { written.withLock { $0 } }
    var logger: Logger { Logger(label: "test") { _ in Page(book: self) } }

    /// Whether a line holds all of these words.
    func says(_ words: String...) -> Bool {
        lines.contains { line in words.allSatisfy(line.contains) }
    }

    private struct Page: LogHandler {
        let book: LogBook
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            book.written.withLock { $0.append("\(event.level): \(event.message)") }
        }
    }
}

/// One request with its own buffer.
private final class TestRequest: DiskClient {
    private let disk: Disk
    private let request: DiskRequest
    private let end: (DiskRequests.Outcome) -> Void
    private let buffer: UnsafeMutableRawBufferPointer

    init(
        on disk: Disk, _ kind: DiskRequest.Operation, _ offset: UInt64, _ length: Int, _ bytes: [UInt8]?,
        _ isDurable: Bool, _ end: @escaping (DiskRequests.Outcome) -> Void
    ) {
        self.disk = disk
        buffer = .allocate(byteCount: max(length, 1), alignment: 512)
        buffer.initializeMemory(as: UInt8.self, repeating: 0xee)
        if let bytes { buffer.copyBytes(from: bytes) }
        request = DiskRequest(
            operation: kind, offset: offset, length: length, buffer: buffer.baseAddress, durable: isDurable, tag: 7)
        self.end = end
        super.init(on: disk.loop)
    }

    deinit { buffer.deallocate() }

    func start() { disk.submit(request, for: self) }

    override func diskCompleted(tag: UInt32, error: Errno?) {
        precondition(tag == 7)
        let bytes = request.operation == .read ? Array(buffer.prefix(request.length)) : []
        end(DiskRequests.Outcome(error: error, bytes: bytes))
        retire()
    }
}

/// What a disk should hold, byte for byte.
struct Shadow {
    var bytes: [UInt8]

    init(size: Int) { bytes = [UInt8](repeating: 0, count: size) }

    mutating func write(_ offset: Int, _ data: [UInt8]) {
        bytes.replaceSubrange(offset..<offset + data.count, with: data)
    }

    mutating func zero(_ offset: Int, _ length: Int) {
        write(offset, [UInt8](repeating: 0, count: length))
    }

    /// Compares with an image through `qemu-img compare`.
    func compare(
        with path: FilePath, format: String = "qcow2", in scratch: Scratch,
        at location: SourceLocation = #_sourceLocation
    ) throws {
        let raw = scratch.file("shadow.raw")
        try write(to: raw)
        let outcome = try Witness.run("qemu-img", ["compare", "-f", "raw", "-F", format, raw.string, path.string])
        #expect(outcome.status == 0, "\(outcome.output)", sourceLocation: location)
    }

    func write(to path: FilePath) throws {
        try? File.remove(path)
        let file = try File.open(path, .createNew(permissions: 0o600))
        try File.write(file, bytes, at: 0)
    }
}
