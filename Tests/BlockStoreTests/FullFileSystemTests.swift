import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// A file system that is full: errors reach who must hear them, the image stays sound, and goes on when there is room.
@Suite(.ownThreads, .enabled(if: SmallFileSystem.canMount))
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
            #expect(await session.run(.flush, 0, 0, nil).error == nil)
            let isLogged = session.log.says("error: volume/test: ", "\(path)", "No space left on device")
            #expect(isLogged, "\(session.log.lines)")
            guard case .refused = await session.disk.condition() else {
                Issue.record("nobody hears that the file system is full")
                return
            }
            // Room comes back, and with it the writes.
            try await session.discard(0, 1 << 20)
            try await session.flush()
            var error = Optional(Errno.noSpace)
            for _ in 0..<100 where error != nil {
                error = await session.run(.write, 0, 1 << 18, [UInt8](repeating: 9, count: 1 << 18)).error
                if error != nil { try await Task.sleep(for: .milliseconds(20)) }
            }
            #expect(error == nil)
            #expect(await session.disk.condition() == .well)
        }
        try Witness.check(path)
        #expect(try File.status(of: ballast) == nil)
    }

    @Test
    func `a flush has room for the tables of every write that was answered`() async throws {
        let small = try SmallFileSystem(bytes: 2 << 20)
        let path = small.path.appending("disk.qcow2")
        let ballast = small.path.appending("ballast")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 4 << 30))
        let session = try await DiskSession(small.path, "disk.qcow2", commitDelay: .seconds(3600))
        try await session.write(0, [UInt8](repeating: 7, count: 4096))
        // Now everything else is taken: the L2 table has not been written yet.
        try small.fill(ballast)
        try await session.flush()
        // Neither a table of its own nor a larger disk finds room, and that is nobody else's trouble.
        for place in [1 << 20, 1 << 30, 2 << 30, 3 << 30] {
            let outcome = await session.run(.write, UInt64(place), 65536, [UInt8](repeating: 8, count: 65536))
            #expect(outcome.error == .noSpace)
        }
        await #expect(throws: ImageError.system(operation: .allocate, .noSpace)) {
            try await session.disk.grow(to: 16 << 40)
        }
        try await session.write(0, [UInt8](repeating: 9, count: 4096))
        try await session.flush()
        try File.remove(ballast)
        try await session.write(3 << 30, [UInt8](repeating: 8, count: 65536))
        try await session.disk.grow(to: 16 << 40)
        try await session.close()
        try Witness.check(path)
        try Witness.io(path, "read -P 9 0 4096", "read -P 0 4096 1M", "read -P 0 1G 64k", "read -P 8 3G 64k")
    }

    @Test
    func `what a write that failed has taken is given back`() async throws {
        let small = try SmallFileSystem(bytes: 4 << 20)
        let path = small.path.appending("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 1 << 30))
        try await DiskSession.with(small.path, "disk.qcow2") { session in
            try await session.write(0, [UInt8](repeating: 1, count: 1 << 20))
            try await session.flush()
            let before = try #require(try File.status(of: path)).allocated
            let outcome = await session.run(.write, 2 << 20, 4 << 20, [UInt8](repeating: 2, count: 4 << 20))
            #expect(outcome.error == .noSpace)
            var after = UInt64.max
            for _ in 0..<100 where after > before + (128 << 10) {
                try await Task.sleep(for: .milliseconds(20))
                after = try #require(try File.status(of: path)).allocated
            }
            #expect(after <= before + (128 << 10), "\(before) bytes before, \(after) after")
        }
        try Witness.check(path)
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
