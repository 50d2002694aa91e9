/// An open qcow2 image: its tables in memory, and the answers to "where is this range" and "make it writable".
///
/// It does no I/O. Whoever owns it reads the tables it asks for, moves the data, and carries out its commits. It
/// belongs to one owner on one thread.
final class Image {
    let geometry: Geometry
    private(set) var header: ImageHeader
    let isWritable: Bool
    /// Unallocated clusters show the backing file's bytes.
    let hasBacking: Bool
    /// L2 table offsets with their flags, by table number.
    var l1: [UInt64]
    var cache: SliceCache
    var refcounts: Refcounts
    /// L2 tables that the file does not have yet, by number; what is not in the cache of them is zero.
    var freshTables: Set<Int> = []
    /// Those of them that the running commit writes.
    var committingTables: Set<Int> = []
    var dirtyL1: Range<Int>?
    var l1HasMoved = false
    /// The tables as the file's header names them.
    var durable: TablePlaces
    /// The end of a file that is only read.
    private let readOnlyEnd: HostOffset
    private var mappingDamage: TableDamage?
    /// Tables are made only where there is room for them already: whoever owns the image fills the reserve.
    var keepsReserve = false

    /// - Parameters:
    ///   - l1: the L1 table as in the file, checked by the caller.
    ///   - budget: bytes for cached mappings.
    init(header: ImageHeader, l1: [UInt64], refcounts: Refcounts, isWritable: Bool, budget: Int) {
        geometry = header.geometry
        self.header = header
        self.l1 = l1
        self.refcounts = refcounts
        self.isWritable = isWritable
        hasBacking = header.backingFile != nil
        readOnlyEnd = header.geometry.start(refcounts.end)
        durable = TablePlaces(header)
        let slices = l1.count * header.geometry.slicesPerTable
        cache = SliceCache(geometry: header.geometry, slices: slices, budget: budget)
    }

    /// Bytes of the guest's disk.
    var size: UInt64 { header.size }

    /// The first thing found wrong in a table. From then on writes are refused; what was answered before is still
    /// committed.
    var damage: TableDamage? { mappingDamage ?? refcounts.damage }

    /// Changes are in memory that the file does not have.
    var isDirty: Bool {
        cache.dirtyCount > 0 || dirtyL1 != nil || l1HasMoved || !freshTables.isEmpty || refcounts.isDirty
            || !refcounts.unmapped.isEmpty || durable != TablePlaces(header)
    }

    // MARK: Reading

    /// Where the bytes from `offset` on are: one piece, at most `length` long. Both lie within the disk.
    @inline(__always)
    func lookup(_ offset: UInt64, _ length: Int) -> LayerExtent {
        let cluster = geometry.cluster(GuestOffset(bytes: offset))
        let slice = geometry.slice(cluster)
        guard let slot = cache.slot(slice) else { return lookupUncached(slice, offset, length) }
        return run(slot, geometry.place(cluster), Int(offset & geometry.clusterMask), length)
    }

    private func run(_ slot: SliceCache.Slot, _ place: Int, _ within: Int, _ length: Int) -> LayerExtent {
        let meaning = cache.entry(slot, place).meaning
        var found = geometry.clusterBytes - within
        var next = place + 1
        switch meaning {
        case .compressed:
            return .fault(.compressed)
        case .data(let host):
            while found < length, next < geometry.sliceEntries,
                cache.entry(slot, next).meaning == .data(HostOffset(bytes: host.bytes + UInt64(within + found)))
            {
                found += geometry.clusterBytes
                next += 1
            }
            return .data(HostOffset(bytes: host.bytes + UInt64(within)), min(found, length))
        case .zero, .unallocated:
            while found < length, next < geometry.sliceEntries, cache.entry(slot, next).meaning == meaning {
                found += geometry.clusterBytes
                next += 1
            }
            return meaning == .zero ? .zero(min(found, length)) : .unallocated(min(found, length))
        }
    }

    private func lookupUncached(_ slice: SliceIndex, _ offset: UInt64, _ length: Int) -> LayerExtent {
        let table = geometry.table(slice)
        if l1[table] & MappingEntry.offsetMask == 0 || isFresh(table) {
            let sliceSpan = UInt64(geometry.clusterBytes) << UInt64(geometry.sliceBits)
            let left = sliceSpan - offset % sliceSpan
            return .unallocated(Int(min(left, UInt64(length))))
        }
        return .needs(read(slice))
    }

    /// The file does not have this L2 table yet.
    func isFresh(_ table: Int) -> Bool {
        if freshTables.isEmpty, committingTables.isEmpty { return false }
        return freshTables.contains(table) || committingTables.contains(table)
    }

    func read(_ slice: SliceIndex) -> TableRead {
        let offset = (l1[geometry.table(slice)] & MappingEntry.offsetMask) + geometry.offsetInTable(slice)
        return TableRead(table: .slice(slice), at: HostOffset(bytes: offset), length: geometry.sliceBytes)
    }

    /// The entry for `offset`, whose slice has just been looked up.
    func cachedEntry(_ offset: UInt64) -> MappingEntry {
        let cluster = geometry.cluster(GuestOffset(bytes: offset))
        guard let slot = cache.slot(geometry.slice(cluster)) else { return .unallocated }
        return cache.entry(slot, geometry.place(cluster))
    }

    // MARK: Tables from the file

    /// Takes over a table that was read, if every entry of it can be trusted: an image that is written maps no data to
    /// where its own tables are.
    func install(_ table: TableRead, _ bytes: UnsafeRawBufferPointer) -> InstallResult {
        switch table.table {
        case .refcountBlock(let index):
            refcounts.install(index, bytes: Array(bytes))
            return refcounts.damage.map(InstallResult.damaged) ?? .installed
        case .slice(let slice):
            guard cache.slot(slice) == nil else { return .installed }
            let end = isWritable ? geometry.start(refcounts.end) : readOnlyEnd
            for offset in stride(from: 0, to: bytes.count - 7, by: 8) {
                let raw = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                guard raw != 0, let fault = check(MappingEntry(raw: raw), end) else { continue }
                let damage = TableDamage(
                    table: .l2Table, offset: table.at.bytes + UInt64(offset), entry: raw, fault: fault)
                mappingDamage = mappingDamage ?? damage
                return .damaged(damage)
            }
            guard let slot = cache.take(slice) else { return .noRoom }
            cache.fill(slot, from: bytes)
            return .installed
        }
    }

    private func check(_ entry: MappingEntry, _ end: HostOffset) -> MappingFault? {
        if let fault = entry.fault(geometry: geometry, version: header.version, end: end) { return fault }
        guard let host = entry.host else { return nil }
        let isMetadata =
            isWritable ? refcounts.metadata.contains(geometry.cluster(host)) : durable.covers(host, geometry)
        return isMetadata ? .overlapsMetadata : nil
    }

    /// Notes that a mapped cluster is counted as free: it may have been handed out to others.
    func noteCountedFree(_ slot: SliceCache.Slot, _ cluster: GuestCluster) {
        let place = geometry.place(cluster)
        let at = read(geometry.slice(cluster)).at.bytes + UInt64(place * 8)
        mappingDamage =
            mappingDamage
            ?? TableDamage(table: .l2Table, offset: at, entry: cache.entry(slot, place).raw, fault: .countedFree)
    }

    // MARK: Header

    /// Sets what the next commit will write into the header.
    func setTables(_ change: (inout ImageHeader) -> Void) { change(&header) }
}

/// What one layer says of a piece of the disk.
enum LayerExtent: Equatable {
    case data(HostOffset, Int)
    case zero(Int)
    /// This layer says nothing: the backing file's bytes, or zero without one.
    case unallocated(Int)
    /// A table must be read and installed first.
    case needs(TableRead)
    case fault(MappingFault)
}

/// A table, or a part of one, that its image wants to have read.
struct TableRead: Equatable {
    enum Table: Equatable {
        case slice(SliceIndex)
        case refcountBlock(Int)
    }

    var table: Table
    var at: HostOffset
    var length: Int
}

/// What became of a table that was read.
enum InstallResult: Equatable {
    case installed
    /// The cache is full of changes that must be committed first.
    case noRoom
    case damaged(TableDamage)
}

/// What the header says of the disk's size and of where the tables are: the bytes 24 to 60 of the file, which one write
/// changes.
struct TablePlaces: Equatable {
    static let start: UInt64 = 24
    static let length = 36

    var size: UInt64
    var l1Size: UInt32
    var l1Offset: HostOffset
    var refcountTableOffset: HostOffset
    var refcountTableClusters: UInt32

    init(_ header: ImageHeader) {
        size = header.size
        l1Size = header.l1Size
        l1Offset = header.l1Offset
        refcountTableOffset = header.refcountTableOffset
        refcountTableClusters = header.refcountTableClusters
    }

    /// The bytes as they stand in the file; the encryption method between them is always none.
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: size)
        bytes.append(bigEndian: UInt32(0))
        bytes.append(bigEndian: l1Size)
        bytes.append(bigEndian: l1Offset.bytes)
        bytes.append(bigEndian: refcountTableOffset.bytes)
        bytes.append(bigEndian: refcountTableClusters)
        return bytes
    }

    /// Whether a cluster belongs to one of the two tables.
    func covers(_ host: HostOffset, _ geometry: Geometry) -> Bool {
        let l1End = l1Offset.bytes &+ UInt64(l1Size) * 8
        if host >= l1Offset, host.bytes < l1End { return true }
        let end = refcountTableOffset.bytes &+ UInt64(refcountTableClusters) << UInt64(geometry.clusterBits)
        return host >= refcountTableOffset && host.bytes < end
    }
}
