import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

@Suite(.ownThreads, .enabled(if: Witness.isHere))
struct ImageCreateTests {
    static let gib: UInt64 = 1 << 30

    @Test(arguments: [0, 512, 1_049_088, gib, 20 * gib, 64 << 40])
    func `a new image of any size passes QEMU's check and tells its size`(size: UInt64) throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: size))
        try Witness.check(path)
        let info = try Witness.must("qemu-img", "info", "--output=json", path.string)
        #expect(info.contains("\"virtual-size\": \(size),"))
        let image = try ImageOpen.open(ImageFile(path, .write), writable: true)
        #expect(image.size == size)
        #expect(!image.isDirty)
    }

    @Test(arguments: 9...21)
    func `a new image of any cluster size passes QEMU's check`(clusterBits: Int) throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 1 << 30, clusterBits: clusterBits))
        try Witness.check(path)
        _ = try ImageOpen.open(ImageFile(path, .write), writable: true)
    }

    @Test
    func `owner and backing file stand in the header, and QEMU keeps what it does not know`() throws {
        let scratch = try Scratch()
        let base = scratch.file("base.qcow2")
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(base, ImageCreate.Plan(size: 1 << 20))
        try ImageCreate.qcow2(
            path, ImageCreate.Plan(size: 2 << 20, backing: ("base.qcow2", "qcow2"), owner: "volume/disk"))
        try Witness.check(path)
        let info = try Witness.must("qemu-img", "info", "--output=json", path.string)
        #expect(info.contains("\"backing-filename-format\": \"qcow2\""))
        try Witness.must("qemu-img", "amend", "-o", "lazy_refcounts=on", path.string)
        let header = try ImageFile(path, .observe).header()
        #expect(header.owner == "volume/disk")
        #expect(header.backingFile == "base.qcow2")
        #expect(header.backingFormat == "qcow2")
    }

    @Test
    func `a taken name is left alone`() throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 1 << 20))
        #expect(throws: ImageError.system(operation: .rename, .fileExists)) {
            try ImageCreate.qcow2(path, ImageCreate.Plan(size: 2 << 20))
        }
        #expect(try ImageFile(path, .observe).header().size == 1 << 20)
    }

    @Test(arguments: [1, 511, 513])
    func `a size that is no multiple of 512 is refused`(size: UInt64) throws {
        let scratch = try Scratch()
        #expect(throws: ImageError.self) {
            try ImageCreate.qcow2(scratch.file("disk"), ImageCreate.Plan(size: size))
        }
    }

    @Test
    func `a second writer, and QEMU, find the image in use`() throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 1 << 20))
        let writer = try ImageFile(path, .write)
        #expect(throws: ImageError.locked) { try ImageFile(path, .write) }
        #expect(throws: ImageError.locked) { try ImageFile(path, .read) }
        let outcome = try Witness.run("qemu-io", ["-f", "qcow2", "-c", "write 0 512", path.string])
        #expect(outcome.status != 0 && outcome.output.contains("lock"))
        #expect(try writer.header().size == 1 << 20)
    }

    @Test
    func `a closed image is free, whoever still refers to the open file`() throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 1 << 20))
        let lingering = try {
            let writer = try ImageFile(path, .write)
            return withExtendedLifetime(writer) { Lingering(path.string) }
        }()
        #expect(lingering.count == 1)
        _ = try ImageFile(path, .write)
        withExtendedLifetime(lingering) {}
    }

    @Test(arguments: VolumeFormat.allCases)
    func `a closed disk is free, whoever still refers to the open file`(format: VolumeFormat) async throws {
        let scratch = try Scratch()
        let path = scratch.file("disk")
        switch format {
        case .qcow2: try ImageCreate.qcow2(path, ImageCreate.Plan(size: 1 << 20))
        case .raw: try File.truncate(File.open(path, .createNew(permissions: 0o600)), to: 1 << 20)
        }
        let session = try await DiskSession(scratch.path, "disk", format: format)
        try await session.write(0, [UInt8](repeating: 1, count: 4096))
        let lingering = Lingering(path.string)
        #expect(lingering.count > 0)
        try await session.close()
        let again = try await DiskSession(scratch.path, "disk", format: format)
        #expect(try await again.read(0, 512) == [UInt8](repeating: 1, count: 512))
        try await again.close()
        withExtendedLifetime(lingering) {}
    }
}
