import Foundation
import ISCSI
import Reconcile
import Synchronization
import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// Files that are not what the manifest takes them for: no regular file, another's, empty.
@Suite(.ownThreads, .enabled(if: Witness.isHere))
struct ForeignFileTests {
    private func makeFIFO(_ path: FilePath) throws {
        try #require(mkfifo(path.string, 0o600) == 0)
    }

    @Test
    func `a FIFO is opened without a writer, and a regular file keeps waiting for its bytes`() throws {
        let scratch = try Scratch()
        let fifo = scratch.file("fifo")
        try makeFIFO(fifo)
        #expect(try File.status(File.open(fifo, .read)).kind == .other)
        try ImageFile.touch(scratch.file("plain"))
        for mode in [File.Mode.read, .readWrite] {
            let file = try File.open(scratch.file("plain"), mode)
            let flags = fcntl(file.raw, F_GETFL)
            #expect(flags >= 0 && flags & O_NONBLOCK == 0)
        }
    }

    @Test
    func `images are imported from regular files that hold something`() async throws {
        let node = try StorageKindTests.Node()
        try makeFIFO(node.scratch.file("fifo.raw"))
        try ImageFile.touch(node.scratch.file("empty.raw"))
        let status = try await node.apply(
            """
            pools: { fast: }
            images:
              fifo: { pool: fast, source: fifo.raw }
              endless: { pool: fast, source: /dev/zero, format: raw }
              empty: { pool: fast, source: empty.raw }
            """)
        #expect(status["image/fifo"]?.detail.contains("is not a regular file; copy the disk") == true, "\(status)")
        #expect(status["image/endless"]?.detail.contains("is not a regular file; copy the disk") == true)
        #expect(status["image/empty"]?.detail.contains("is empty") == true)
    }

    @Test
    func `a source that is nearly all holes is imported in as many steps as it has tables`() async throws {
        let node = try StorageKindTests.Node()
        let source = node.scratch.file("vast.qcow2").string
        try Witness.must("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=2M", source, "1P")
        try Witness.must("qemu-io", "-f", "qcow2", "-c", "write -q -P 7 900T 64k", source)
        let status = try await node.apply(
            """
            pools: { fast: }
            images:
              vast: { pool: fast, source: vast.qcow2 }
            """)
        #expect(status["image/vast"]?.state == .converged, "\(status)")
        let made = node.scratch.path.appending("state/pools/fast/images/vast.qcow2")
        try Witness.must("qemu-io", "-r", "-f", "qcow2", "-c", "read -q -P 7 900T 64k", made.string)
    }

    @Test(arguments: [
        [], [0..<4096], [40 << 20..<(40 << 20) + 12345], [100..<200, 3 << 20..<5 << 20, (64 << 20) - 7..<64 << 20],
    ])
    func `holes are hashed as what they read as, and not read`(data: [Range<Int>]) throws {
        let scratch = try Scratch()
        let path = scratch.file("source.raw")
        let file = try File.open(path, .createNew(permissions: 0o600))
        try File.truncate(file, to: (64 << 20) + 11)
        for range in data {
            try File.write(file, [UInt8](repeating: 7, count: range.count), at: UInt64(range.lowerBound))
        }
        try File.sync(file)
        let image = try ImageFile(path, .read)
        let hash = try ImageImport.hash(image)
        // What is in memory of the hole behind the first 8 MiB, before anybody else reads it.
        let hole = (8 << 20..<16 << 20)
        let memory = mmap(nil, hole.count, PROT_READ, MAP_SHARED, file.raw, hole.lowerBound)
        try #require(memory != MAP_FAILED)
        var pages = [UInt8](repeating: 0, count: hole.count / 4096)
        try #require(mincore(memory, hole.count, &pages) == 0)
        munmap(memory, hole.count)
        let resident = pages.count { $0 & 1 != 0 }
        #expect(resident == 0, "\(resident) pages of the hole were read")
        let witness = try Witness.must("sha256sum", path.string)
        #expect(witness.hasPrefix(hash), "\(hash)")
    }

    @Test
    func `a source that is written while it is imported makes no image`() async throws {
        let node = try StorageKindTests.Node()
        let source = node.scratch.file("source.raw")
        let file = try File.open(source, .createNew(permissions: 0o600))
        try File.write(file, [UInt8](repeating: 1, count: 32 << 20), at: 0)
        // A thread of its own: those of the tasks may all be busy.
        let writer = Scribbler(source)
        Thread.detachNewThread { writer.run() }
        let text = "pools: { fast: }\nimages: { base: { pool: fast, source: source.raw } }"
        let status = try await node.apply(text)
        writer.stop()
        #expect(status["image/base"]?.detail.contains("has changed while it was read") == true, "\(status)")
        #expect(try await node.apply(text)["image/base"]?.state == .converged)
    }

    @Test
    func `a secret is in a regular file of the agent's own user or of root`() throws {
        let scratch = try Scratch()
        let fifo = scratch.file("fifo")
        try makeFIFO(fifo)
        for path in [fifo.string, "/dev/zero", scratch.path.string] {
            let fault = #expect(throws: SecretFault.self) { try SecretFile.read(user: "vm", path: path) }
            #expect(try #require(fault).description.contains("is not a regular file: write the secret"))
        }
        let path = scratch.file("secret").string
        let made = FileManager.default.createFile(
            atPath: path, contents: Data("a secret of 12".utf8), attributes: [.posixPermissions: 0o600])
        #expect(made)
        #expect(try SecretFile.read(user: "vm", path: path).name == "vm")
        guard geteuid() == 0 else { return }
        try #require(chown(path, 65534, 65534) == 0)
        let fault = #expect(throws: SecretFault.self) { try SecretFile.read(user: "vm", path: path) }
        #expect(try #require(fault).description.contains("belongs to the user 65534"))
    }
}

/// Writes to a file every millisecond.
private final class Scribbler: Sendable {
    private let path: FilePath
    private let isStopped = Atomic(false)
    private let hasEnded = DispatchSemaphore(value: 0)

    init(_ path: FilePath) { self.path = path }

    func run() {
        var turn = 0
        while !isStopped.load(ordering: .relaxed) {
            turn += 1
            do { try File.write(File.open(path, .readWrite), [UInt8(turn & 255)], at: 5) } catch { Issue.record(error) }
            usleep(1000)
        }
        hasEnded.signal()
    }

    func stop() {
        isStopped.store(true, ordering: .relaxed)
        hasEnded.wait()
    }
}
