import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// Images that QEMU made, in all the shapes that we open.
@Suite(.ownThreads, .enabled(if: Witness.isHere))
struct ForeignImageTests {
    @Test(arguments: zip([9, 9, 10, 12, 14, 16, 18, 21, 21], [1, 64, 8, 2, 4, 32, 64, 1, 16]))
    func `images of QEMU's are written by us, and ours by QEMU, in turns`(
        clusterBits: Int, refcountBits: Int
    ) async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        let size = 3 << 20
        let options = "cluster_size=\(1 << clusterBits),refcount_bits=\(refcountBits)"
        try Witness.must("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, path.string, "\(size)")
        var shadow = Shadow(size: size)
        var random = SeededGenerator(seed: UInt64(clusterBits * refcountBits))
        for turn in 0..<2 {
            let offset = turn * 777 * 512
            try Witness.io(
                path, "write -P \(turn + 1) \(offset) 300k", "write -z \(offset + 65536) 70k", "discard 2M 128k")
            shadow.write(offset, [UInt8](repeating: UInt8(turn + 1), count: 300 << 10))
            shadow.zero(offset + 65536, 70 << 10)
            // What QEMU does to parts of clusters is its own affair: both know the array before the next turn.
            let known = try Witness.must(
                "qemu-img", "convert", "-f", "qcow2", "-O", "raw", path.string, scratch.file("now.raw").string)
            #expect(known.isEmpty)
            shadow.bytes = try ImageFile(scratch.file("now.raw"), .observe).read(size, at: HostOffset(bytes: 0))
            try await DiskSession.with(scratch.path, "disk.qcow2") { session in
                try await RandomWork.run(session, &shadow, &random, rounds: 4)
            }
            try Witness.check(path)
            try shadow.compare(with: path, in: scratch)
        }
    }

    @Test
    func `a preallocated image is written in place`() async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try Witness.must(
            "qemu-img", "create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", path.string, "16M")
        try await DiskSession.with(scratch.path, "disk.qcow2") { session in
            try await session.write(1 << 20, [UInt8](repeating: 1, count: 8192))
            try await session.zero(2 << 20, 1 << 20)
            try await session.write(2 << 20, [UInt8](repeating: 2, count: 512))
        }
        try Witness.check(path)
        try Witness.io(path, "read -P 1 1M 8k", "read -P 2 2M 512", "read -P 0 2049k 1023k")
    }

    @Test
    func `images that must not be written are refused, with the remedy`() async throws {
        let scratch = try Scratch()
        let cases: [(options: String, words: String)] = [
            ("compat=0.10", "amend"), ("extended_l2=on,cluster_size=65536", "extended L2"),
            ("data_file=data.raw", "external data file"),
        ]
        for (index, item) in cases.enumerated() {
            let path = scratch.file("disk\(index).qcow2")
            let options = item.options.replacing("data.raw", with: scratch.file("data.raw").string)
            try Witness.must("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, path.string, "16M")
            let error = #expect(throws: ImageError.self) {
                try ImageOpen.open(ImageFile(path, .write), writable: true)
            }
            #expect("\(try #require(error))".contains(item.words))
        }
        let path = scratch.file("snapshots.qcow2")
        try Witness.must("qemu-img", "create", "-q", "-f", "qcow2", path.string, "16M")
        try Witness.must("qemu-img", "snapshot", "-c", "first", path.string)
        let error = #expect(throws: ImageError.self) {
            try ImageOpen.open(ImageFile(path, .write), writable: true)
        }
        #expect("\(try #require(error))".contains("internal snapshots"))
    }

    @Test
    func `a mapping that leads astray fails its reads and all writes, and nothing else`() async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 64 << 20))
        try Witness.io(path, "write -P 1 0 64k", "write -P 2 40M 64k")
        // The first L2 table lies behind the L1 table; its first entry now points at the header's refcount block.
        let l2 = try ImageFile(path, .observe).read(8, at: HostOffset(bytes: 3 << 16))
        let table = (BigEndianReader(bytes: l2).uint64(0) ?? 0) & MappingEntry.offsetMask
        let entries: [UInt64] = [1 << 63 | 0x10000, 1 << 63 | 0x1_0000_0000_0000, 1 << 63 | 0x50200, 1 << 56]
        for bad in entries {
            var bytes: [UInt8] = []
            bytes.append(bigEndian: bad)
            // The mark of the round before is taken away.
            try ImageFile(path, .write).write([UInt8](repeating: 0, count: 8), at: HostOffset(bytes: 72))
            try ImageFile(path, .write).write(bytes, at: HostOffset(bytes: table))
            try await DiskSession.with(scratch.path, "disk.qcow2") { session in
                #expect(await session.run(.read, 0, 512, nil).error == .ioError)
                let other = try await session.read(40 << 20, 4096)
                #expect(other == [UInt8](repeating: 2, count: 4096))
                let outcome = await session.run(.write, 50 << 20, 512, [UInt8](repeating: 1, count: 512))
                #expect(outcome.error == .ioError)
            }
        }
    }

    @Test
    func `random bytes in a mapping table never trap`() async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        var random = SeededGenerator(seed: 9)
        for _ in 0..<8 {
            try? File.remove(path)
            try ImageCreate.qcow2(path, ImageCreate.Plan(size: 8 << 20))
            try Witness.io(path, "write 0 4M")
            var junk = [UInt8](repeating: 0, count: 64)
            for place in junk.indices { junk[place] = UInt8.random(in: 0...255, using: &random) }
            let table = random.next() % 2 == 0 ? 3 << 16 : 4 << 16
            try ImageFile(path, .write).write(junk, at: HostOffset(bytes: UInt64(table) + random.next() % 8 * 8))
            guard let session = try? await DiskSession(scratch.path, "disk.qcow2") else { continue }
            for offset in stride(from: 0, to: 8 << 20, by: 262_144) {
                _ = await session.run(.read, UInt64(offset), 4096, nil)
                _ = await session.run(.write, UInt64(offset), 512, [UInt8](repeating: 1, count: 512))
            }
            try await session.close()
        }
    }

    @Test
    func `a discard of more clusters than one turn settles leaves nothing behind`() async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        let size = 6 << 20
        try Witness.must(
            "qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=512", path.string, "\(size)")
        try await DiskSession.with(scratch.path, "disk.qcow2") { session in
            for offset in stride(from: 0, to: size, by: 1 << 20) {
                try await session.write(UInt64(offset), [UInt8](repeating: 5, count: 1 << 20))
            }
            try await session.flush()
            try await session.discard(0, size)
            try await session.flush()
        }
        try Witness.check(path)
        try Witness.io(path, "read -P 0 0 \(size)")
        #expect(try ImageCheck.run(ImageFile(path, .observe)).allocated == 0)
    }

    @Test
    func `an image that was cut short is refused, one with leaked clusters beyond its end is not`() async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try Witness.must("qemu-img", "create", "-q", "-f", "qcow2", path.string, "16M")
        try await DiskSession.with(scratch.path, "disk.qcow2") { session in
            for offset in stride(from: 0, to: 8 << 20, by: 1 << 20) {
                try await session.write(UInt64(offset), [UInt8](repeating: 5, count: 1 << 20))
            }
        }
        let file = try ImageFile(path, .observe)
        let length = try file.length()
        try File.truncate(File.open(path, .readWrite), to: length / 2)
        let error = #expect(throws: ImageError.self) {
            try ImageOpen.open(ImageFile(path, .write), writable: true)
        }
        let words = "\(try #require(error))"
        #expect(words.contains("L2 table") && words.contains("backup") && words.contains("\(length / 2)"), "\(words)")

        // Refcounts of one, of 16 bits each, for eight clusters behind the file's end, in the image's only block.
        let leaky = scratch.file("leaky.qcow2")
        try Witness.must("qemu-img", "create", "-q", "-f", "qcow2", leaky.string, "16M")
        let other = try File.open(leaky, .readWrite)
        let table = try ImageFile(leaky, .observe).header().refcountTableOffset
        let entry = try File.read(other, count: 8, at: table.bytes)
        let block = entry.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let first = (try File.status(other).length + 65535) >> 16
        try File.write(other, (0..<16).map { UInt8($0 & 1) }, at: block + first * 2)
        try await DiskSession.with(scratch.path, "leaky.qcow2") { session in
            try await session.write(0, [UInt8](repeating: 1, count: 4096))
        }
        try Witness.check(leaky, mayLeak: true)
        try Witness.io(leaky, "read -P 1 0 4k")
    }
}
