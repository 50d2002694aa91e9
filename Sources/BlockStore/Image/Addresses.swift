/// A byte address on the disk that the guest sees.
struct GuestOffset: Hashable, Comparable, Sendable {
    var bytes: UInt64

    static func < (a: GuestOffset, b: GuestOffset) -> Bool { a.bytes < b.bytes }
}

/// A byte address in an image file.
struct HostOffset: Hashable, Comparable, Sendable {
    var bytes: UInt64

    static func < (a: HostOffset, b: HostOffset) -> Bool { a.bytes < b.bytes }
}

/// The number of a cluster of the guest's disk.
struct GuestCluster: Hashable, Comparable, Sendable {
    var index: UInt64

    static func < (a: GuestCluster, b: GuestCluster) -> Bool { a.index < b.index }
}

/// The number of a cluster of an image file.
struct HostCluster: Hashable, Comparable, Sendable {
    var index: UInt64

    static func < (a: HostCluster, b: HostCluster) -> Bool { a.index < b.index }
}

/// The number of a slice: a fixed part of an L2 table, the unit in which mappings are cached and written.
struct SliceIndex: Hashable, Sendable {
    var index: Int
}

/// The sizes that follow from an image's cluster size, and the conversions between address spaces.
///
/// An L2 table fills one cluster with 8-byte entries. A slice is the whole table, or 512 entries (4 KiB) of it.
struct Geometry: Equatable, Sendable {
    /// The cluster sizes that qcow2 allows: 512 B to 2 MiB.
    static let allowedClusterBits: ClosedRange<Int> = 9...21

    let clusterBits: Int
    /// Entries of an L2 table, as a power of two.
    let tableBits: Int
    /// Entries of a slice, as a power of two.
    let sliceBits: Int

    init(clusterBits: Int) {
        precondition(Geometry.allowedClusterBits.contains(clusterBits), "cluster size out of range")
        self.clusterBits = clusterBits
        tableBits = clusterBits - 3
        sliceBits = min(tableBits, 9)
    }

    var clusterBytes: Int { 1 << clusterBits }
    var clusterMask: UInt64 { (1 << UInt64(clusterBits)) - 1 }
    var sliceEntries: Int { 1 << sliceBits }
    var sliceBytes: Int { 8 << sliceBits }
    var slicesPerTable: Int { 1 << (tableBits - sliceBits) }

    func cluster(_ offset: GuestOffset) -> GuestCluster { GuestCluster(index: offset.bytes >> UInt64(clusterBits)) }
    func cluster(_ offset: HostOffset) -> HostCluster { HostCluster(index: offset.bytes >> UInt64(clusterBits)) }
    func start(_ cluster: GuestCluster) -> GuestOffset { GuestOffset(bytes: cluster.index << UInt64(clusterBits)) }
    func start(_ cluster: HostCluster) -> HostOffset { HostOffset(bytes: cluster.index << UInt64(clusterBits)) }

    /// Clusters needed for `bytes`, the last one perhaps in part.
    func clusters(for bytes: UInt64) -> UInt64 {
        (bytes >> UInt64(clusterBits)) + (bytes & clusterMask == 0 ? 0 : 1)
    }

    func slice(_ cluster: GuestCluster) -> SliceIndex { SliceIndex(index: Int(cluster.index >> UInt64(sliceBits))) }
    /// The place of a cluster's entry in its slice.
    func place(_ cluster: GuestCluster) -> Int { Int(cluster.index & ((1 << UInt64(sliceBits)) - 1)) }
    /// The place in the L1 table of the L2 table that holds the slice.
    func table(_ slice: SliceIndex) -> Int { slice.index >> (tableBits - sliceBits) }
    /// Where in its L2 table the slice begins, in bytes.
    func offsetInTable(_ slice: SliceIndex) -> UInt64 {
        UInt64(slice.index & (slicesPerTable - 1)) << UInt64(sliceBits + 3)
    }

    /// L1 entries that a disk of `bytes` needs.
    func tables(for bytes: UInt64) -> UInt64 {
        let clusters = clusters(for: bytes)
        return (clusters >> UInt64(tableBits)) + (clusters & ((1 << UInt64(tableBits)) - 1) == 0 ? 0 : 1)
    }
}
