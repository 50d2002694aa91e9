import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// Disks on a loop, with QEMU's tools as witnesses after every run.
@Suite(.ownThreads, .enabled(if: Witness.isHere))
struct DiskTests {
    static let mib = 1 << 20

    @Test
    func `what is written is read back, by us and by QEMU`() async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 64 << 20))
        try await DiskSession.with(scratch.path, "disk.qcow2") { session in
            try await session.write(4096, [UInt8](repeating: 0xa5, count: 4096))
            #expect(try await session.read(0, 4096) == [UInt8](repeating: 0, count: 4096))
            #expect(try await session.read(4096, 4096) == [UInt8](repeating: 0xa5, count: 4096))
            #expect(try await session.read(8192, 512) == [UInt8](repeating: 0, count: 512))
            try await session.flush()
        }
        try Witness.check(path)
        try Witness.io(path, "read -P 0 0 4096", "read -P 0xa5 4096 4096", "read -P 0 8192 1M")
    }

    @Test(arguments: [9, 12, 16, 21], [UInt64(1), 2])
    func `random requests leave what a plain array holds`(clusterBits: Int, seed: UInt64) async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        let size = 8 * Self.mib + 1536
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: UInt64(size), clusterBits: clusterBits))
        var shadow = Shadow(size: size)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2 {
            try await DiskSession.with(scratch.path, "disk.qcow2") { session in
                try await RandomWork.run(session, &shadow, &random, rounds: 30)
            }
            try Witness.check(path)
            try shadow.compare(with: path, in: scratch)
        }
    }

    @Test(arguments: [false, true])
    func `a cache of mappings far too small only makes more commits`(hasBacking: Bool) async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        let size = 16 * Self.mib
        var plan = ImageCreate.Plan(size: UInt64(size), clusterBits: 9)
        var shadow = Shadow(size: size)
        if hasBacking {
            let base = scratch.file("base.qcow2")
            try ImageCreate.qcow2(base, plan)
            try Witness.io(base, "write -P 99 1M 12M")
            shadow.write(Self.mib, [UInt8](repeating: 99, count: 12 * Self.mib))
            plan.backing = ("base.qcow2", "qcow2")
        }
        try ImageCreate.qcow2(path, plan)
        var random = SeededGenerator(seed: 11)
        // 64 slices of 32 KiB each: an eighth of the disk.
        for _ in 0..<2 {
            let session = try await DiskSession(scratch.path, "disk.qcow2", mappingBudget: 0)
            try await RandomWork.run(session, &shadow, &random, rounds: 12)
            try await session.close()
            try Witness.check(path)
            try shadow.compare(with: path, in: scratch)
        }
    }

    @Test(arguments: [VolumeFormat.raw])
    func `random requests on a raw file`(format: VolumeFormat) async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.raw")
        try ImageCreate.raw(path, size: UInt64(4 * Self.mib), owner: nil)
        var shadow = Shadow(size: 4 * Self.mib)
        var random = SeededGenerator(seed: 3)
        try await DiskSession.with(scratch.path, "disk.raw", format: .raw) { session in
            try await RandomWork.run(session, &shadow, &random, rounds: 30, keepsPartialDiscards: false)
        }
        try shadow.compare(with: path, format: "raw", in: scratch)
    }

    @Test
    func `requests outside of the disk or off its sectors are refused`() async throws {
        let scratch = try Scratch()
        try ImageCreate.qcow2(scratch.file("disk.qcow2"), ImageCreate.Plan(size: 1 << 20))
        try await DiskSession.with(scratch.path, "disk.qcow2") { session in
            for (offset, length) in [(1 << 20, 512), (UInt64.max - 511, 512), (0, 1 << 21), (1, 512), (0, 100)] {
                let outcome = await session.run(.read, offset, length, nil)
                #expect(outcome.error == .invalidArgument)
            }
            #expect(await session.run(.read, 1 << 20, 0, nil).error == nil)
        }
    }

    @Test
    func `many writers of one unallocated cluster all get their bytes in`() async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 64 << 20))
        var shadow = Shadow(size: 64 << 20)
        for sector in 0..<128 { shadow.write(sector * 512, [UInt8](repeating: UInt8(sector + 1), count: 512)) }
        try await DiskSession.with(scratch.path, "disk.qcow2") { session in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for sector in 0..<128 {
                    group.addTask {
                        try await session.write(UInt64(sector * 512), [UInt8](repeating: UInt8(sector + 1), count: 512))
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await session.read(0, 65536) == Array(shadow.bytes.prefix(65536)))
        }
        try Witness.check(path)
        try shadow.compare(with: path, in: scratch)
        let allocated = try ImageCheck.run(ImageFile(path, .observe)).allocated
        #expect(allocated == 1)
    }

    @Test
    func `a discarded cluster is used again, and the file does not grow`() async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 64 << 20))
        let data = [UInt8](repeating: 0x33, count: 4 * Self.mib)
        try await DiskSession.with(scratch.path, "disk.qcow2") { session in
            for round in 0..<8 {
                let offset = UInt64(round % 4) * UInt64(4 * Self.mib)
                try await session.write(offset, data)
                try await session.flush()
                try await session.discard(offset, data.count)
                try await session.flush()
                // The clusters come back when the next commit counts them as free.
                try await session.flush()
                #expect(try await session.read(offset, 65536) == [UInt8](repeating: 0, count: 65536))
            }
        }
        try Witness.check(path)
        let check = try ImageCheck.run(ImageFile(path, .observe))
        #expect(check.allocated == 0)
        let length = try ImageFile(path, .observe).length()
        #expect(length < UInt64(2 * Self.mib))
    }

    @Test
    func `growing keeps what is there and opens new room, while in use`() async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        // 512-byte clusters: the L1 table outgrows its clusters soon.
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 1 << 20, clusterBits: 9))
        var shadow = Shadow(size: 16 << 20)
        try await DiskSession.with(scratch.path, "disk.qcow2") { session in
            for step in 1...4 {
                let size = UInt64(step) * UInt64(4 * Self.mib)
                let data = [UInt8](repeating: UInt8(step), count: 8192)
                try await session.write(UInt64(step * 4096), data)
                shadow.write(step * 4096, data)
                try await session.disk.grow(to: size)
                try await session.write(size - 8192, data)
                shadow.write(Int(size) - 8192, data)
            }
            await #expect(throws: ImageError.self) { try await session.disk.grow(to: 1 << 20) }
        }
        try Witness.check(path)
        try shadow.compare(with: path, in: scratch)
    }

    @Test
    func `a small-cluster image outgrows its refcount table`() async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 48 << 20, clusterBits: 9))
        let before = try ImageFile(path, .observe).header().refcountTableClusters
        var shadow = Shadow(size: 48 << 20)
        try await DiskSession.with(scratch.path, "disk.qcow2") { session in
            for step in 0..<44 {
                let data = [UInt8](repeating: UInt8(step + 1), count: Self.mib)
                try await session.write(UInt64(step * Self.mib), data)
                shadow.write(step * Self.mib, data)
                if step % 8 == 7 { try await session.flush() }
            }
        }
        #expect(try ImageFile(path, .observe).header().refcountTableClusters > before)
        try Witness.check(path)
        try shadow.compare(with: path, in: scratch)
    }
}
