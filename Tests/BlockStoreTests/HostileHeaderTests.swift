import TestSupport
import SystemPackage
import Testing

@testable import BlockStore

/// Images whose header lies: each is refused with the field's name, in bounded memory.
@Suite
struct HostileHeaderTests {
    struct Mutation: CustomTestStringConvertible, Sendable {
        var name: String
        var offset: Int
        var bytes: [UInt8]
        /// A piece of the sentence that the refusal prints.
        var says: String

        var testDescription: String { name }

        init(_ name: String, _ offset: Int, _ bytes: [UInt8], _ says: String) {
            self.name = name
            self.offset = offset
            self.bytes = bytes
            self.says = says
        }
    }

    private static func word(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: value)
        return bytes
    }

    private static func half(_ value: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: value)
        return bytes
    }

    static let mutations: [Mutation] = [
        Mutation("magic", 0, [0, 0, 0, 0], "not a qcow2 image"),
        Mutation("version 1", 4, half(1), "bad version"),
        Mutation("version 4", 4, half(4), "bad version"),
        Mutation("name beyond the cluster", 8, word(1 << 40) + half(5), "backing_file_offset"),
        Mutation("name at a negative offset", 8, word(.max) + half(5), "backing_file_offset"),
        Mutation("name within the header", 8, word(16) + half(5), "backing_file_offset"),
        Mutation("name too long", 8, word(200) + half(1024), "backing_file_size"),
        Mutation("name of no length", 8, word(200) + half(0), "backing_file_size"),
        Mutation("name of NULs", 8, word(200) + half(5), "backing_file_offset"),
        Mutation("clusters of 256 bytes", 20, half(8), "cluster_bits"),
        Mutation("clusters of 4 MiB", 20, half(22), "cluster_bits"),
        Mutation("cluster bits of all ones", 20, half(.max), "cluster_bits"),
        Mutation("size beyond 2^56", 24, word(.max), "bad size"),
        Mutation("size beyond the L1 table", 24, word(1 << 45), "l1_size"),
        Mutation("AES", 32, half(1), "encryption"),
        Mutation("LUKS", 32, half(2), "LUKS"),
        Mutation("L1 table of 32 GiB", 36, half(.max), "l1_size"),
        Mutation("L1 table larger than the file", 36, half(4_000_000), "l1_table_offset"),
        Mutation("no L1 table", 36, half(0), "l1_size"),
        Mutation("L1 table at 0", 40, word(0), "l1_table_offset"),
        Mutation("L1 table off a cluster", 40, word(65_537), "l1_table_offset"),
        Mutation("L1 table beyond the file", 40, word(1 << 40), "l1_table_offset"),
        Mutation("L1 table at the end of addresses", 40, word(0xffff_ffff_ffff_0000), "l1_table_offset"),
        Mutation("refcount table at 0", 48, word(0), "refcount_table_offset"),
        Mutation("refcount table off a cluster", 48, word(65_000), "refcount_table_offset"),
        Mutation("refcount table beyond the file", 48, word(1 << 50), "refcount_table_offset"),
        Mutation("no refcount table", 56, half(0), "refcount_table_clusters"),
        Mutation("refcount table of 256 TiB", 56, half(.max), "refcount_table_clusters"),
        Mutation("refcount table larger than the file", 56, half(128), "refcount_table_offset"),
        Mutation("too many snapshots", 60, half(70_000), "nb_snapshots"),
        Mutation("snapshots beyond the file", 60, half(1) + word(1 << 40), "snapshots_offset"),
        Mutation("external data file", 72, word(1 << 2), "external data file"),
        Mutation("extended L2", 72, word(1 << 4), "extended L2"),
        Mutation("an unknown feature", 72, word(1 << 40), "feature bit 40"),
        Mutation("refcounts of 128 bits", 96, half(7), "refcount_order"),
        Mutation("short header", 100, half(96), "header_length"),
        Mutation("long header", 100, half(1 << 20), "header_length"),
        Mutation("odd header length", 100, half(106), "header_length"),
        Mutation("zstd without its bit", 104, [1], "compression_type"),
        Mutation("unknown compression", 104, [9], "compression_type"),
        Mutation("extension longer than the header", 112, half(0x1234) + half(.max), "header extension"),
        // From here on the tables lie; only a writer looks at all of them.
        Mutation("L1 entry off a cluster", 3 << 16, word(0x8000_0000_0001_0200), "L1 table"),
        Mutation("L1 entry with reserved bits", 3 << 16, word(0xc000_0000_0001_0000), "L1 table"),
        Mutation("L1 entry beyond the file", 3 << 16, word(0x8000_0100_0000_0000), "L1 table"),
        Mutation("L2 table in the refcount table", 3 << 16, word(0x8000_0000_0001_0000), "L1 table"),
        Mutation("L2 table in the L1 table", 3 << 16, word(0x8000_0000_0003_0000), "L1 table"),
        Mutation("L2 table in the header", 3 << 16, word(0x8000_0000_0000_0000), "L1 table"),
        Mutation("L2 table in a refcount block", 3 << 16, word(0x8000_0000_0002_0000), "refcount table"),
        Mutation("refcount block beyond the file", 1 << 16, word(1 << 40), "refcount table"),
        Mutation("refcount block off a cluster", 1 << 16, word(0x20200), "refcount table"),
        Mutation("refcount block in the L1 table", 1 << 16, word(0x30000), "refcount table"),
        Mutation("no refcount block", 1 << 16, word(0), "not counted"),
        Mutation("the header counted as free", 2 << 16, [0, 0], "counted as free"),
        Mutation("the L1 table counted as free", 2 << 16 | 6, [0, 0], "counted as free"),
        Mutation("dirty", 72, word(1), "lazy refcounts"),
        Mutation("corrupt", 72, word(2), "marked as corrupt"),
        Mutation("version 2", 4, half(2), "version 2"),
    ]

    @Test(arguments: mutations)
    func `a lying image is refused with the field's name`(mutation: Mutation) throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 1 << 30))
        try ImageFile(path, .write).write(mutation.bytes, at: HostOffset(bytes: UInt64(mutation.offset)))
        let error = #expect(throws: ImageError.self) {
            try ImageOpen.open(ImageFile(path, .write), writable: true)
        }
        #expect("\(try #require(error))".contains(mutation.says), "\(String(describing: error))")
    }

    @Test(arguments: [0, 3, 4, 19, 71, 72, 100, 103, 111, 65_536, 131_072, 196_608])
    func `a file that is cut short is refused`(length: Int) throws {
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 1 << 30))
        try ImageFile(path, .write).truncate(to: UInt64(length))
        #expect(throws: ImageError.self) { try ImageOpen.open(ImageFile(path, .write), writable: true) }
    }

    @Test
    func `random bytes in the header never trap`() throws {
        var random = SeededGenerator(seed: 42)
        let scratch = try Scratch()
        let path = scratch.file("disk.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: 1 << 30, backing: ("base.qcow2", "qcow2")))
        let good = try ImageFile(path, .observe).read(ImageHeader.prefixBytes, at: HostOffset(bytes: 0))
        var decoded = 0
        for _ in 0..<20_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 4..<200, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if random.next() % 8 == 0 { bytes = Array(bytes.prefix(Int.random(in: 0..<200, using: &random))) }
            let header = try? ImageHeader(decoding: bytes, fileBytes: 262_144)
            if header != nil { decoded += 1 }
        }
        #expect(decoded > 0)
    }
}
