import Syscall
import SystemPackage
import Testing

@testable import BlockStore

/// A file system that is full: errors reach who must hear them, the image stays sound, and goes on when there is room.
@Suite(.enabled(if: SmallFileSystem.canMount))
struct FullFileSystemTests {
    @Test
    func `a full file system fails writes and flushes, and harms nothing`() async throws {
        let small = try SmallFileSystem(bytes: 4 << 20)
        let ballast = small.path.appending("ballast")
        let path = small.path.appending("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 1 << 30))
        try await DiskSession.with(small.path, "disk.qcow2") { session in
            try await session.write(0, [UInt8](repeating: 1, count: 1 << 20))
            try await session.flush()
            var failed = 0
            for place in 1..<64 {
                let bytes = [UInt8](repeating: UInt8(place), count: 1 << 18)
                let outcome = await session.run(.write, UInt64(place) << 24, bytes.count, bytes)
                if outcome.error == .noSpace { failed += 1 } else { #expect(outcome.error == nil) }
            }
            #expect(failed > 10)
            // What was there is there, and what failed reads as it did before.
            let kept = try await session.read(0, 1 << 20)
            #expect(kept == [UInt8](repeating: 1, count: 1 << 20))
            let last = try await session.read(UInt64(63) << 24, 1 << 18)
            #expect(last == [UInt8](repeating: 0, count: 1 << 18))
            let full = await session.run(.flush, 0, 0, nil).error
            #expect(full == nil || full == .noSpace)
            // Room comes back, and with it the writes.
            try await session.discard(0, 1 << 20)
            let freed = await session.run(.flush, 0, 0, nil).error
            #expect(freed == nil || freed == .noSpace)
        }
        try Witness.check(path)
        #expect(try File.status(of: ballast) == nil)
    }

    @Test(arguments: [false, true])
    func `a flush whose tables find no room says so, and the next one, or the close, succeeds`(
        flushes: Bool
    ) async throws {
        let small = try SmallFileSystem(bytes: 2 << 20)
        let path = small.path.appending("disk.qcow2")
        let ballast = small.path.appending("ballast")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 1 << 30))
        let session = try await DiskSession(small.path, "disk.qcow2", commitDelay: .seconds(3600))
        try await session.write(0, [UInt8](repeating: 7, count: 4096))
        // Now everything else is taken: the L2 table has no block yet.
        try small.fill(ballast)
        #expect(await session.run(.flush, 0, 0, nil).error == .noSpace)
        #expect(await session.run(.flush, 0, 0, nil).error == .noSpace)
        let bytes = try await session.read(0, 4096)
        #expect(bytes == [UInt8](repeating: 7, count: 4096))
        try File.remove(ballast)
        if flushes { try await session.flush() }
        try await session.close()
        try Witness.check(path)
        try Witness.io(path, "read -P 7 0 4096", "read -P 0 4096 1M")
    }
}

/// A tmpfs of a few MiB, mounted for one test.
final class SmallFileSystem {
    let path: FilePath
    private let scratch: Scratch

    static var canMount: Bool { (try? SmallFileSystem(bytes: 1 << 20)) != nil }

    init(bytes: Int) throws {
        scratch = try Scratch()
        path = scratch.file("small")
        try File.makeDirectory(path, permissions: 0o700)
        let outcome = try Witness.run("mount", ["-t", "tmpfs", "-o", "size=\(bytes)", "tmpfs", path.string])
        guard outcome.status == 0 else { throw Errno.notPermitted }
    }

    deinit {
        let outcome = try? Witness.run("umount", ["-l", path.string])
        if outcome?.status != 0 { Issue.record("\(path) is still mounted") }
    }

    /// Writes a file until nothing more fits.
    func fill(_ path: FilePath) throws {
        let file = try File.open(path, .createNew(permissions: 0o600))
        let piece = [UInt8](repeating: 1, count: 4096)
        var offset: UInt64 = 0
        while hasRoom(file, piece, offset) { offset += 4096 }
    }

    private func hasRoom(_ file: borrowing Descriptor, _ piece: [UInt8], _ offset: UInt64) -> Bool {
        (try? File.write(file, piece, at: offset)) != nil
    }
}
