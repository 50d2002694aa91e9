/// Changes of an image's tables on their way to the file, in the order that keeps it sound at every moment. Made by
/// the image, carried out by its owner: the writes of a phase in any order, then a barrier (fdatasync), then the next
/// phase.
///
/// The first barrier also covers the guest's data, so it is needed whenever data was written since the last one, even
/// with no write of ours in the phase. Every phase is a copy of how things stood when the commit began: a mapping
/// that is set later belongs to the next commit, since its data may not be durable yet.
final class Commit {
    /// What a phase writes. A file that holds any number of whole phases, and any part of the next, is sound:
    /// at worst it counts clusters that nothing maps.
    enum Phase: Int, CaseIterable, Comparable {
        /// New clusters are counted before anything points at them.
        case refcountBlocks
        /// The table names blocks only once they are there.
        case refcountTable
        /// The header names a moved refcount table only once it is there.
        case refcountTablePlace
        /// Mappings, to data that the barriers above made durable.
        case mappings
        /// The L1 table names L2 tables only once they are there.
        case l1Table
        /// The header names a moved L1 table, or a larger disk.
        case places

        static func < (a: Phase, b: Phase) -> Bool { a.rawValue < b.rawValue }
    }

    /// Bytes for one place in the file.
    struct Write {
        var phase: Phase
        var at: HostOffset
        var bytes: [UInt8]
    }

    /// In the order of their phases.
    fileprivate(set) var writes: [Write] = []
    /// Clusters that nothing in the file maps once the commit has succeeded.
    fileprivate(set) var freed: [HostCluster] = []
    fileprivate var blocks: [(index: Int, range: Range<Int>)] = []
    fileprivate var table: (range: Range<Int>, hasMoved: Bool)?
    fileprivate var l1: Range<Int>?
    fileprivate var l1HasMoved = false
    fileprivate var places: TablePlaces

    fileprivate init(places: TablePlaces) { self.places = places }
}

extension Image {
    /// Takes all changes so far into a commit; one at a time.
    func beginCommit() -> Commit {
        let commit = Commit(places: TablePlaces(header))
        commit.freed = refcounts.takeUnmapped()
        collectRefcounts(commit)
        collectMappings(commit)
        collectL1(commit)
        if commit.places != durable {
            commit.writes.append(
                Commit.Write(
                    phase: .places, at: HostOffset(bytes: TablePlaces.start), bytes: commit.places.encoded))
        }
        return commit
    }

    private func collectRefcounts(_ commit: Commit) {
        commit.blocks = refcounts.takeDirtyBlocks()
        for item in commit.blocks {
            guard let block = refcounts.blocks[item.index] else { continue }
            commit.writes.append(
                Commit.Write(
                    phase: .refcountBlocks,
                    at: HostOffset(bytes: block.offset.bytes + UInt64(item.range.lowerBound)),
                    bytes: Array(block.bytes[item.range])))
        }
        commit.table = refcounts.takeDirtyTable()
        guard let table = commit.table else { return }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(table.range.count * 8)
        for index in table.range { bytes.append(bigEndian: refcounts.table[index]) }
        commit.writes.append(
            Commit.Write(
                phase: .refcountTable,
                at: HostOffset(bytes: refcounts.tableOffset.bytes + UInt64(table.range.lowerBound) * 8), bytes: bytes))
        guard table.hasMoved else { return }
        setTables { header in
            header.refcountTableOffset = refcounts.tableOffset
            header.refcountTableClusters = refcounts.tableClusters
        }
        commit.places.refcountTableOffset = refcounts.tableOffset
        commit.places.refcountTableClusters = refcounts.tableClusters
        var between = durable
        between.refcountTableOffset = refcounts.tableOffset
        between.refcountTableClusters = refcounts.tableClusters
        commit.writes.append(
            Commit.Write(
                phase: .refcountTablePlace, at: HostOffset(bytes: TablePlaces.start), bytes: between.encoded))
    }

    private func collectMappings(_ commit: Commit) {
        let slices = cache.beginCommit()
        committingTables = freshTables
        freshTables = []
        var whole: [Int: [UInt8]] = [:]
        for table in committingTables { whole[table] = [UInt8](repeating: 0, count: geometry.clusterBytes) }
        for item in slices {
            let table = geometry.table(item.slice)
            if committingTables.contains(table) {
                let start = Int(geometry.offsetInTable(item.slice))
                whole[table]?.withUnsafeMutableBytes { buffer in
                    cache.copy(
                        item.slot,
                        to: UnsafeMutableRawBufferPointer(
                            rebasing: buffer[start..<start + geometry.sliceBytes]))
                }
                continue
            }
            var bytes = [UInt8](repeating: 0, count: geometry.sliceBytes)
            bytes.withUnsafeMutableBytes { cache.copy(item.slot, to: $0) }
            commit.writes.append(Commit.Write(phase: .mappings, at: read(item.slice).at, bytes: bytes))
        }
        for (table, bytes) in whole.sorted(by: { $0.key < $1.key }) {
            let at = HostOffset(bytes: l1[table] & MappingEntry.offsetMask)
            commit.writes.append(Commit.Write(phase: .mappings, at: at, bytes: bytes))
        }
    }

    private func collectL1(_ commit: Commit) {
        commit.l1HasMoved = l1HasMoved
        commit.l1 = l1HasMoved ? 0..<l1.count : dirtyL1
        l1HasMoved = false
        dirtyL1 = nil
        guard let range = commit.l1 else { return }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count * 8)
        for index in range { bytes.append(bigEndian: l1[index]) }
        let at = HostOffset(bytes: header.l1Offset.bytes + UInt64(range.lowerBound) * 8)
        commit.writes.append(Commit.Write(phase: .l1Table, at: at, bytes: bytes))
    }

    /// The commit is durable. The clusters it freed may be settled once no operation refers to them.
    func commitSucceeded(_ commit: Commit) {
        cache.endCommit(succeeded: true)
        committingTables = []
        durable = commit.places
        refcounts.trim(to: 64)
    }

    /// The commit did not become durable: everything in it is dirty again.
    func commitFailed(_ commit: Commit) {
        cache.endCommit(succeeded: false)
        freshTables.formUnion(committingTables)
        committingTables = []
        refcounts.restoreDirtyBlocks(commit.blocks)
        if let table = commit.table { refcounts.restoreDirtyTable(table) }
        refcounts.restoreUnmapped(commit.freed)
        if commit.l1HasMoved { l1HasMoved = true }
        if let range = commit.l1 {
            let newer = dirtyL1 ?? range
            dirtyL1 = min(newer.lowerBound, range.lowerBound)..<max(newer.upperBound, range.upperBound)
        }
    }

    /// Clusters of an earlier commit may be taken again.
    func settle(_ freed: some Sequence<HostCluster>) { refcounts.settle(freed) }

    /// Makes the disk larger; durable with the next commit.
    /// - Parameter allocate: gives a range of the file room, before anything is changed.
    func grow(
        to size: UInt64, allocate: (_ offset: HostOffset, _ bytes: UInt64) throws(ImageError) -> Void
    ) throws(ImageError) {
        guard isWritable else { throw .readOnly(reason: "it was opened for reading") }
        guard size >= header.size else { throw .size(size, rule: "a disk is not made smaller") }
        guard size % 512 == 0, size <= Image.maximumSize(geometry) else {
            throw .size(size, rule: "a multiple of 512, at most \(Image.maximumSize(geometry))")
        }
        let wanted = Int(geometry.tables(for: size))
        if wanted > l1.count { try growL1(to: wanted, allocate) }
        setTables { $0.size = size }
    }

    private func growL1(
        to count: Int, _ allocate: (HostOffset, UInt64) throws(ImageError) -> Void
    ) throws(ImageError) {
        let oldClusters = Int(geometry.clusters(for: UInt64(l1.count) * 8))
        let newClusters = Int(geometry.clusters(for: UInt64(count) * 8))
        if newClusters > oldClusters {
            // The blocks that count it may come first.
            let bytes = UInt64(newClusters + 4) << UInt64(geometry.clusterBits)
            try allocate(geometry.start(refcounts.end), bytes)
            guard let run = refcounts.takeTable(newClusters) else {
                throw .size(header.size, rule: "the image has no room for a larger L1 table")
            }
            let old = geometry.cluster(header.l1Offset).index
            for offset in 0..<UInt64(oldClusters) { refcounts.unmapKept(HostCluster(index: old + offset)) }
            for offset in 0..<UInt64(run.count) { refcounts.keep(HostCluster(index: run.first.index + offset)) }
            setTables { $0.l1Offset = geometry.start(run.first) }
            l1HasMoved = true
        }
        dirtyL1 = 0..<count
        l1 += [UInt64](repeating: 0, count: count - l1.count)
        cache.grow(slices: l1.count * geometry.slicesPerTable)
        setTables { $0.l1Size = UInt32(count) }
    }

    /// The largest disk that an image with these clusters can hold, within what we serve.
    static func maximumSize(_ geometry: Geometry) -> UInt64 {
        let tables = ImageHeader.maximumL1Bytes / 8
        let shift = UInt64(geometry.clusterBits + geometry.tableBits)
        return min(tables << shift, 1 << 50)
    }
}
