import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// Volumes whose tables lie: what a guest writes never gets into a table, and the image is marked as corrupt.
@Suite(.ownThreads, .enabled(if: Witness.isHere))
struct OverlapTests {
    /// A volume with data behind two L2 tables, and where its tables are.
    struct Victim {
        let scratch: Scratch
        let path: FilePath
        let header: ImageHeader
        /// The L2 tables of the first, the second and the third 512 MiB; the second is not there.
        let l2: [UInt64]
        let block: UInt64

        init() throws {
            scratch = try Scratch()
            path = scratch.file("disk.qcow2")
            try ImageCreate.qcow2(path, ImageCreate.Plan(size: 2 << 30))
            try Witness.io(path, "write -P 1 0 64k", "write -P 2 1G 64k", "write -P 3 100M 64k", "write -P 4 200M 64k")
            let file = try RawTables(path)
            let header = try ImageFile(path, .observe).header()
            var places: [UInt64] = []
            for offset in [0, 8, 16] as [UInt64] {
                places.append(try file.word(header.l1Offset.bytes + offset) & MappingEntry.offsetMask)
            }
            l2 = places
            block = try file.word(header.refcountTableOffset.bytes)
            self.header = header
        }

        func tables() throws -> RawTables { try RawTables(path) }
        var secondTable: UInt64 { header.l1Offset.bytes + 8 }
        var secondBlock: UInt64 { header.refcountTableOffset.bytes + 8 }
        var ownTable: UInt64 { l2[0] }
        var refcountTable: UInt64 { header.refcountTableOffset.bytes }
        var one: UInt64 { 1 }
        /// The entry of a guest cluster in the first L2 table.
        func entry(_ cluster: UInt64) -> UInt64 { l2[0] + cluster * 8 }
    }

    /// The words of an image's tables, written behind the back of whoever has it open.
    struct RawTables: ~Copyable {
        private let file: Descriptor

        init(_ path: FilePath) throws { file = try File.open(path, .readWrite) }

        func word(_ offset: UInt64) throws -> UInt64 {
            BigEndianReader(bytes: try File.read(file, count: 8, at: offset)).uint64(0) ?? 0
        }

        func put(_ value: UInt64, at offset: UInt64) throws {
            var bytes: [UInt8] = []
            bytes.append(bigEndian: value)
            try File.write(file, bytes, at: offset)
        }

        /// Sets a refcount of 16 bits.
        func count(_ value: UInt16, of cluster: UInt64, in block: UInt64, first: UInt64 = 0) throws {
            try File.write(file, [UInt8(value >> 8), UInt8(value & 255)], at: block + (cluster - first) * 2)
        }

        func bytes(_ count: Int, at offset: UInt64) throws -> [UInt8] {
            try File.read(file, count: count, at: offset)
        }
    }

    enum Table: String, CaseIterable {
        case l1, refcountTable, refcountBlock, ownL2, otherL2
    }

    @Test(arguments: Table.allCases, [false, true])
    func `a mapping that leads into a table is not followed`(table: Table, isPlainZero: Bool) async throws {
        let victim = try Victim()
        let place =
            switch table {
            case .l1: victim.header.l1Offset.bytes
            case .refcountTable: victim.header.refcountTableOffset.bytes
            case .refcountBlock: victim.block
            case .ownL2: victim.l2[0]
            case .otherL2: victim.l2[2]
            }
        try victim.tables().put(1 << 63 | place | (isPlainZero ? 1 : 0), at: victim.entry(1))
        let before = try victim.tables().bytes(65536, at: place)
        let session = try await DiskSession(victim.scratch.path, "disk.qcow2")
        for kind in [DiskRequest.Operation.write, .discard, .writeZeroes, .read] {
            let bytes = [UInt8](repeating: 9, count: 65536)
            #expect(await session.run(kind, 65536, 65536, bytes).error == .ioError)
        }
        // What is behind another table is still read; nothing is written any more.
        let other = try await session.read(1 << 30, 4096)
        #expect(other == [UInt8](repeating: 2, count: 4096))
        #expect(await session.run(.write, 1 << 30, 512, [UInt8](repeating: 9, count: 512)).error == .ioError)
        guard case .stopped(let why) = await session.disk.condition() else {
            Issue.record("the disk seems well")
            return
        }
        #expect(why.contains("L2 table's entry at \(victim.entry(1))") && why.contains("metadata"), "\(why)")
        let isLogged = session.log.says("critical: volume/test: \(victim.path) is damaged", why)
        #expect(isLogged, "\(session.log.lines)")
        try await session.close()
        let isWhole = try before == victim.tables().bytes(65536, at: place)
        #expect(isWhole)
        #expect(try ImageFile(victim.path, .observe).header().isCorrupt)
        let error = await #expect(throws: ImageError.self) {
            _ = try await DiskSession(victim.scratch.path, "disk.qcow2")
        }
        #expect(error == .corrupt)
        let said = try Witness.must("qemu-img", "info", victim.path.string)
        #expect(said.contains("corrupt: true"), "\(said)")
    }

    @Test
    func `what was answered before is committed, and nothing is freed or cut off`() async throws {
        let victim = try Victim()
        try victim.tables().put(1 << 63 | victim.l2[2], at: victim.entry(1))
        let session = try await DiskSession(victim.scratch.path, "disk.qcow2", commitDelay: .seconds(3600))
        try await session.write(600 << 20, [UInt8](repeating: 7, count: 65536))
        let length = try ImageFile(victim.path, .observe).length()
        #expect(await session.run(.write, 65536, 512, [UInt8](repeating: 9, count: 512)).error == .ioError)
        try await session.flush()
        try await session.close()
        #expect(try ImageFile(victim.path, .observe).length() >= length)
        try Witness.must(
            "qemu-io", "-r", "-f", "qcow2", "-c", "read -P 7 600M 64k", "-c", "read -P 2 1G 64k", victim.path.string)
    }

    @Test
    func `a cluster that is mapped and counted as free is not given up`() async throws {
        let victim = try Victim()
        let data = try victim.tables().word(victim.entry(1600)) & MappingEntry.offsetMask
        try victim.tables().count(0, of: data >> 16, in: victim.block)
        let session = try await DiskSession(victim.scratch.path, "disk.qcow2")
        #expect(await session.run(.discard, 100 << 20, 65536, nil).error == .ioError)
        let isLogged = session.log.says("L2 table's entry at \(victim.entry(1600))", "counted as free")
        #expect(isLogged, "\(session.log.lines)")
        let kept = try await session.read(100 << 20, 65536)
        #expect(kept == [UInt8](repeating: 3, count: 65536))
        try await session.close()
        #expect(try ImageFile(victim.path, .observe).header().isCorrupt)
    }

    @Test
    func `a cluster that is mapped twice is not given back to the file system`() async throws {
        let victim = try Victim()
        let entry = try victim.tables().word(victim.entry(1600))
        try victim.tables().put(entry, at: victim.entry(1601))
        let session = try await DiskSession(victim.scratch.path, "disk.qcow2")
        try await session.discard(100 << 20, 131072)
        try await session.flush()
        for _ in 0..<200 where await session.disk.condition() == .well {
            try await Task.sleep(for: .milliseconds(5))
        }
        let isLogged = session.log.says("is mapped twice", "refcount block's entry at")
        #expect(isLogged, "\(session.log.lines)")
        try await session.close()
        let data = try victim.tables().bytes(65536, at: entry & MappingEntry.offsetMask)
        #expect(data == [UInt8](repeating: 3, count: 65536))
        #expect(try ImageFile(victim.path, .observe).header().isCorrupt)
    }

    @Test
    func `a table that a late refcount block counts as free is not handed out`() async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 8 << 20, clusterBits: 9))
        try Witness.io(path, "write -P 1 0 1M")
        let tables = try RawTables(path)
        let header = try ImageFile(path, .observe).header()
        let session = try await DiskSession(scratch.path, "disk.qcow2")
        // The third block counts the clusters 512 to 767, all in use: it was not kept. An L2 table is among them.
        let l2 = try (0..<32).map { try tables.word(header.l1Offset.bytes + $0 * 8) & MappingEntry.offsetMask }
        let victim = try #require(l2.first { (512..<768).contains($0 >> 9) })
        let block = try tables.word(header.refcountTableOffset.bytes + 16)
        try tables.count(0, of: victim >> 9, in: block, first: 512)
        var failed = 0
        for place in 0..<2048 {
            let outcome = await session.run(.discard, UInt64(place) << 9, 512, nil)
            failed += outcome.error == .ioError ? 1 : 0
        }
        #expect(failed > 0)
        for place in 0..<64 {
            let bytes = [UInt8](repeating: 0xab, count: 16384)
            #expect(await session.run(.write, UInt64(4 << 20 + place * 16384), 16384, bytes).error == .ioError)
        }
        let isLogged = session.log.says("refcount block's entry at", "is that of metadata")
        #expect(isLogged, "\(session.log.lines)")
        try await session.close()
        #expect(try tables.word(victim) & MappingEntry.compressed == 0)
        #expect(try ImageFile(path, .observe).header().isCorrupt)
    }

    @Test
    func `L1 and refcount table entries that meet in one cluster are refused`() throws {
        let entries: [(words: String, at: KeyPath<Victim, UInt64>, value: KeyPath<Victim, UInt64>)] = [
            ("share an L2 table", \.secondTable, \.ownTable),
            ("in another table", \.secondTable, \.refcountTable),
            ("one cluster serves two tables", \.secondTable, \.block),
            ("one cluster serves two tables", \.secondBlock, \.block),
            ("one cluster serves two tables", \.secondBlock, \.ownTable),
            ("a cluster within the file", \.secondBlock, \.one),
        ]
        for (words, at, value) in entries {
            let victim = try Victim()
            try victim.tables().put(victim[keyPath: value], at: victim[keyPath: at])
            let error = #expect(throws: ImageError.self) {
                try ImageOpen.open(ImageFile(victim.path, .write), writable: true)
            }
            #expect("\(try #require(error))".contains(words), "\(String(describing: error))")
        }
    }

    /// Entries of all tables are changed at random, and a guest writes, zeroes and discards all over.
    @Test(arguments: [(9, 1), (12, 2), (16, 3)])
    func `no guest's sector is ever found in a table`(clusterBits: Int, seed: Int) async throws {
        var random = SeededGenerator(seed: UInt64(seed))
        var stopped = 0
        for _ in 0..<24 {
            let scratch = try Scratch(in: "/dev/shm")
            let path = scratch.file("disk.qcow2")
            try ImageCreate.qcow2(path, ImageCreate.Plan(size: 4 << 20, clusterBits: clusterBits))
            try await DiskSession.with(scratch.path, "disk.qcow2") { session in
                try await session.write(0, [UInt8](repeating: 1, count: 3 << 19))
                try await session.write(2 << 20, [UInt8](repeating: 1, count: 1 << 20))
            }
            try Self.garble(path, &random)
            guard let session = try? await DiskSession(scratch.path, "disk.qcow2", commitDelay: .milliseconds(2)) else {
                continue
            }
            for _ in 0..<60 {
                let length = Int.random(in: 1...256, using: &random) * 512
                let offset = Int.random(in: 0..<(4 << 20 - length) / 512, using: &random) * 512
                let kinds: [DiskRequest.Operation] = [.write, .write, .write, .discard, .writeZeroes, .flush]
                let bytes = [UInt8](repeating: 0xab, count: length)
                _ = await session.run(kinds[Int(random.next() % 6)], UInt64(offset), length, bytes)
            }
            if case .stopped = await session.disk.condition() { stopped += 1 }
            try await session.close()
            for (what, bytes) in try Self.tables(of: path) {
                let isClean = !stride(from: 0, to: bytes.count, by: 512).contains { start in
                    bytes[start..<min(start + 512, bytes.count)].allSatisfy { $0 == 0xab }
                }
                #expect(isClean, "\(what)")
            }
        }
        #expect(stopped > 4, "only \(stopped) images were found to be damaged")
    }

    /// Makes a few entries of L2 tables and refcount blocks lie: about each other's clusters, mostly.
    private static func garble(_ path: FilePath, _ random: inout SeededGenerator) throws {
        let file = try RawTables(path)
        let header = try ImageFile(path, .observe).header()
        let bits = UInt64(header.geometry.clusterBits)
        let clusters = try ImageFile(path, .observe).length() >> bits
        let l1 = try (0..<UInt64(header.l1Size)).map { try file.word(header.l1Offset.bytes + $0 * 8) }
        let l2 = l1.map { $0 & MappingEntry.offsetMask }.filter { $0 != 0 }
        let block = try file.word(header.refcountTableOffset.bytes)
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let table = l2[Int(random.next() % UInt64(l2.count))]
            let mapped = min(UInt64(header.geometry.clusterBytes / 8), header.size >> bits)
            let place = table + random.next() % mapped * 8
            switch random.next() % 4 {
            case 0: try file.put(1 << 63 | (random.next() % clusters) << bits, at: place)
            case 1: try file.put(1 << 63 | l2[Int(random.next() % UInt64(l2.count))], at: place)
            case 2: try file.put(try file.word(table), at: place)
            default:
                let covered = min(clusters, UInt64(header.geometry.clusterBytes / 2))
                try file.count(0, of: random.next() % covered, in: block)
            }
        }
    }

    private static func tables(of path: FilePath) throws -> [(String, [UInt8])] {
        let file = try RawTables(path)
        let header = try ImageFile(path, .observe).header()
        let cluster = header.geometry.clusterBytes
        let refcountBytes = Int(header.refcountTableClusters) * cluster
        var found = [
            ("header", try file.bytes(cluster, at: 0)),
            ("L1 table", try file.bytes(Int(header.l1Size) * 8, at: header.l1Offset.bytes)),
            ("refcount table", try file.bytes(refcountBytes, at: header.refcountTableOffset.bytes)),
        ]
        for index in 0..<UInt64(header.l1Size) {
            let offset = try file.word(header.l1Offset.bytes + index * 8) & MappingEntry.offsetMask
            if offset != 0 { found.append(("L2 table \(index)", try file.bytes(cluster, at: offset))) }
        }
        for index in 0..<UInt64(refcountBytes / 8) {
            let offset = try file.word(header.refcountTableOffset.bytes + index * 8)
            if offset != 0 { found.append(("refcount block \(index)", try file.bytes(cluster, at: offset))) }
        }
        return found
    }
}
