/// One entry of an L2 table: where a guest cluster is (qcow2 specification, "Cluster mapping").
struct MappingEntry: Equatable, Sendable {
    var raw: UInt64

    /// Bit 63: the refcount is exactly one, so the cluster may be written in place.
    static let copied: UInt64 = 1 << 63
    /// Bit 62: a compressed cluster; all other bits then belong to its descriptor.
    static let compressed: UInt64 = 1 << 62
    /// Bit 0: reads as zero; means something only where bit 62 is clear.
    static let zero: UInt64 = 1
    /// Bit 1, reserved in the file: in memory, the cluster is being allocated.
    static let busy: UInt64 = 1 << 1
    /// Bits 9...55.
    static let offsetMask: UInt64 = 0x00ff_ffff_ffff_fe00
    /// Bits 1...8 and 56...61.
    static let reservedMask: UInt64 = 0x3f00_0000_0000_01fe

    static let unallocated = MappingEntry(raw: 0)
    /// Reads as zero, has no cluster of its own.
    static let plainZero = MappingEntry(raw: zero)

    static func data(_ offset: HostOffset) -> MappingEntry { MappingEntry(raw: offset.bytes | copied) }

    /// What an entry says, in the only order in which its bits may be tested.
    enum Meaning: Equatable {
        case compressed
        case zero
        case data(HostOffset)
        case unallocated
    }

    var meaning: Meaning {
        if raw & MappingEntry.compressed != 0 { return .compressed }
        if raw & MappingEntry.zero != 0 { return .zero }
        let offset = raw & MappingEntry.offsetMask
        return offset == 0 ? .unallocated : .data(HostOffset(bytes: offset))
    }

    /// The cluster that the entry holds, even under a zero flag; nil if it holds none or is compressed.
    var host: HostOffset? {
        guard raw & MappingEntry.compressed == 0 else { return nil }
        let offset = raw & MappingEntry.offsetMask
        return offset == 0 ? nil : HostOffset(bytes: offset)
    }

    var isCopied: Bool { raw & MappingEntry.copied != 0 }
    var isBusy: Bool { raw & (MappingEntry.compressed | MappingEntry.busy) == MappingEntry.busy }

    /// What is wrong with an entry that comes from a file; nil if it may be used.
    /// - Parameters:
    ///   - version: the image's; only version 3 has the zero flag.
    ///   - end: the first byte that no cluster may start at.
    func fault(geometry: Geometry, version: UInt32, end: HostOffset) -> MappingFault? {
        if raw & MappingEntry.compressed != 0 { return nil }
        if raw & MappingEntry.reservedMask != 0 { return .reservedBits }
        if version < 3, raw & MappingEntry.zero != 0 { return .reservedBits }
        let offset = raw & MappingEntry.offsetMask
        if offset == 0 { return raw & MappingEntry.copied == 0 ? nil : .reservedBits }
        if offset & geometry.clusterMask != 0 { return .misaligned }
        return offset < end.bytes ? nil : .outsideFile
    }
}

/// A compressed cluster's descriptor: where its bytes are, and at most how many.
struct CompressedExtent: Equatable, Sendable {
    var offset: UInt64
    var length: Int

    /// The low 62 - (clusterBits - 8) bits are the offset, those above count further 512-byte sectors.
    init(_ entry: MappingEntry, geometry: Geometry) {
        let offsetBits = UInt64(62 - (geometry.clusterBits - 8))
        let payload = entry.raw & ~(MappingEntry.copied | MappingEntry.compressed)
        offset = payload & ((1 << offsetBits) - 1)
        let sectors = (payload >> offsetBits) + 1
        length = Int(sectors) * 512 - Int(offset & 511)
    }
}
