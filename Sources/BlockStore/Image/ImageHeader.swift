/// The qcow2 header as a value, every field checked: versions 2 and 3 are read, version 3 is written.
///
///     0   magic "QFI\xfb"              56  refcount_table_clusters
///     4   version                      60  nb_snapshots
///     8   backing_file_offset          64  snapshots_offset
///     16  backing_file_size            72  incompatible_features   (version 3 from here)
///     20  cluster_bits                 80  compatible_features
///     24  size                         88  autoclear_features
///     32  crypt_method                 96  refcount_order
///     36  l1_size                      100 header_length
///     40  l1_table_offset              104 compression_type        (if header_length > 104)
///     48  refcount_table_offset        header_length: extensions, then the backing file's name
struct ImageHeader: Equatable, Sendable {
    static let magic: UInt32 = 0x5146_49fb
    static let version2Length = 72
    static let version3Length = 104
    static let length = 112
    /// QEMU refuses larger tables too; they bound the memory that a header can claim.
    static let maximumL1Bytes: UInt64 = 32 << 20
    static let maximumRefcountTableBytes: UInt64 = 8 << 20
    static let maximumBackingNameBytes = 1023

    /// Where the incompatible features stand.
    static let incompatibleOffset: UInt64 = 72
    static let dirtyBit: UInt64 = 1 << 0
    static let corruptBit: UInt64 = 1 << 1
    static let compressionBit: UInt64 = 1 << 3

    var version: UInt32 = 3
    var geometry: Geometry
    /// Bytes of the guest's disk.
    var size: UInt64
    var l1Size: UInt32
    var l1Offset: HostOffset
    var refcountTableOffset: HostOffset
    var refcountTableClusters: UInt32
    var snapshotCount: UInt32 = 0
    var snapshotsOffset: UInt64 = 0
    var incompatible: UInt64 = 0
    var compatible: UInt64 = 0
    var autoclear: UInt64 = 0
    /// Width of a refcount in bits, as a power of two.
    var refcountOrder: UInt32 = 4
    /// 0 zlib, 1 zstd.
    var compression: UInt8 = 0
    var backingFile: String?
    var extensions: [HeaderExtension] = []

    init(
        geometry: Geometry, size: UInt64, l1Size: UInt32, l1Offset: HostOffset,
        refcountTableOffset: HostOffset, refcountTableClusters: UInt32
    ) {
        self.geometry = geometry
        self.size = size
        self.l1Size = l1Size
        self.l1Offset = l1Offset
        self.refcountTableOffset = refcountTableOffset
        self.refcountTableClusters = refcountTableClusters
    }

    var isDirty: Bool { incompatible & ImageHeader.dirtyBit != 0 }
    var isCorrupt: Bool { incompatible & ImageHeader.corruptBit != 0 }

    /// The stated format of the backing file; it is never guessed from the file's bytes.
    var backingFormat: String? {
        for item in extensions where item.type == HeaderExtension.backingFormat {
            return String(validating: item.data, as: UTF8.self)
        }
        return nil
    }

    /// The resource that the image belongs to, as `volume/NAME`; nil if it is not ours.
    var owner: String? {
        for item in extensions where item.type == HeaderExtension.owner {
            return String(validating: item.data, as: UTF8.self)
        }
        return nil
    }

    /// The SHA-256 of the file that the image was imported from; nil if it was not.
    var sourceHash: String? {
        for item in extensions where item.type == HeaderExtension.sourceHash {
            return String(validating: item.data, as: UTF8.self)
        }
        return nil
    }

    /// The first `length` bytes as they stand in the file: what changes while an image is open lies within them,
    /// so one write of less than a sector moves a table.
    func encodeFixedPart(backingOffset: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: ImageHeader.length)
        bytes.store(ImageHeader.magic, at: 0)
        bytes.store(version, at: 4)
        bytes.store(backingFile == nil ? 0 : backingOffset, at: 8)
        bytes.store(UInt32(backingFile?.utf8.count ?? 0), at: 16)
        bytes.store(UInt32(geometry.clusterBits), at: 20)
        bytes.store(size, at: 24)
        bytes.store(l1Size, at: 36)
        bytes.store(l1Offset.bytes, at: 40)
        bytes.store(refcountTableOffset.bytes, at: 48)
        bytes.store(refcountTableClusters, at: 56)
        bytes.store(snapshotCount, at: 60)
        bytes.store(snapshotsOffset, at: 64)
        bytes.store(incompatible, at: 72)
        bytes.store(compatible, at: 80)
        bytes.store(autoclear, at: 88)
        bytes.store(refcountOrder, at: 96)
        bytes.store(UInt32(ImageHeader.length), at: 100)
        bytes[104] = compression
        return bytes
    }

    /// The whole header with its extensions and the backing file's name, at most one cluster.
    func encode() throws(ImageError) -> [UInt8] {
        var tail: [UInt8] = []
        for item in extensions {
            tail.append(bigEndian: item.type)
            tail.append(bigEndian: UInt32(item.data.count))
            tail += item.data
            tail += [UInt8](repeating: 0, count: (8 - item.data.count % 8) % 8)
        }
        tail += [UInt8](repeating: 0, count: 8)
        let backingOffset = UInt64(ImageHeader.length + tail.count)
        if let backingFile { tail += Array(backingFile.utf8) }
        let bytes = encodeFixedPart(backingOffset: backingOffset) + tail
        guard bytes.count <= geometry.clusterBytes else {
            throw .invalid(.header, value: UInt64(bytes.count), rule: "the header must fit into one cluster")
        }
        return bytes
    }
}

/// An extension of the header: a type, and bytes that only its makers understand. Unknown ones are kept.
struct HeaderExtension: Equatable, Sendable {
    static let end: UInt32 = 0
    static let backingFormat: UInt32 = 0xe279_2aca
    static let featureNames: UInt32 = 0x6803_f857
    /// Ours ("SDAo"): the resource that the image belongs to, as text.
    static let owner: UInt32 = 0x5344_416f
    /// Ours ("SDAs"): what the source of an imported image hashed to, in hexadecimal.
    static let sourceHash: UInt32 = 0x5344_4173

    var type: UInt32
    var data: [UInt8]

    init(type: UInt32, data: [UInt8]) {
        self.type = type
        self.data = data
    }

    init(type: UInt32, text: String) {
        self.init(type: type, data: Array(text.utf8))
    }
}
