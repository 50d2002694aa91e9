/// The refcounts of an image's clusters, and with them the allocator: a cluster is free if its refcount is zero, and
/// there is no other list that could disagree. Owned by its image.
///
/// A cluster that is unmapped keeps its refcount until the unmapping is durable. New clusters for data come from free
/// ones in the blocks that are in memory, else from the end of the file, where everything reads as zero. Tables come
/// from the end only: no mapping was ever believed that leads there, so none in memory can lead into a table, whatever
/// the image's own refcounts said.
struct Refcounts {
    let geometry: Geometry
    let order: UInt32
    /// Offsets of the refcount blocks by index; zero where there is none.
    private(set) var table: [UInt64]
    private(set) var tableOffset: HostOffset
    private(set) var tableClusters: UInt32
    /// Entries of the table that differ from the file's.
    private(set) var dirtyTable: Range<Int>?
    /// The table lives at a new place that the header does not name yet.
    private(set) var tableHasMoved = false
    private(set) var blocks: [Int: RefcountBlock] = [:]
    /// Blocks that hold free clusters; the last is searched first.
    private var blocksWithFree: [Int] = []
    /// No cluster from here on was ever used: the end of the file, in clusters.
    var end: HostCluster
    /// Clusters whose last mapping goes with the next commit, and tables that the header will no longer name.
    private(set) var unmapped: [HostCluster] = []
    private(set) var maximumFileClusters: UInt64
    /// The clusters that hold the header, tables and blocks.
    var metadata = MetadataClusters()
    /// Clusters for tables to come, which the file system has given room: no commit fails for want of it.
    var reserve: [HostCluster] = []
    /// The first refcount that was found to be wrong.
    private(set) var damage: TableDamage?

    init(geometry: Geometry, order: UInt32, table: [UInt64], offset: HostOffset, clusters: UInt32, end: HostCluster) {
        self.geometry = geometry
        self.order = order
        self.table = table
        tableOffset = offset
        tableClusters = clusters
        self.end = end
        // File offsets are signed, and mapping entries hold 56 bits.
        maximumFileClusters = (1 << 56) >> UInt64(geometry.clusterBits)
    }

    /// Clusters that one block covers, as a power of two.
    var blockBits: Int { geometry.clusterBits + 3 - Int(order) }

    func blockIndex(_ cluster: HostCluster) -> Int { Int(cluster.index >> UInt64(blockBits)) }
    func place(_ cluster: HostCluster) -> Int { Int(cluster.index & ((1 << UInt64(blockBits)) - 1)) }

    var isDirty: Bool { dirtyTable != nil || tableHasMoved || blocks.values.contains { $0.dirty != nil } }

    // MARK: Blocks in memory

    /// The block that must be read before the cluster's refcount can change; nil if it is there.
    func missingBlock(_ cluster: HostCluster) -> (index: Int, at: HostOffset)? {
        let index = blockIndex(cluster)
        guard blocks[index] == nil, index < table.count, table[index] != 0 else { return nil }
        return (index, HostOffset(bytes: table[index]))
    }

    /// Takes over a block read from the file, unless it counts a cluster of metadata as free.
    mutating func install(_ index: Int, bytes: [UInt8]) {
        guard blocks[index] == nil, index < table.count else { return }
        var block = RefcountBlock(offset: HostOffset(bytes: table[index]), order: order, bytes: bytes)
        let first = UInt64(index) << UInt64(blockBits)
        let known = end.index > first ? Int(min(UInt64(block.count), end.index - first)) : 0
        for place in 0..<known where block[place] == 0 {
            guard !metadata.contains(HostCluster(index: first + UInt64(place))) else {
                return note(.overlapsMetadata, block, place)
            }
            block.freeCount += 1
        }
        block.isListed = block.freeCount > 0
        blocks[index] = block
        if block.isListed { blocksWithFree.append(index) }
    }

    /// Forgets clean blocks from which nothing can be taken, if more than `limit` are held.
    mutating func trim(to limit: Int) {
        guard blocks.count > limit else { return }
        let last = blockIndex(end)
        for (index, block) in blocks
        where index < last && block.dirty == nil && block.freeCount == 0 && block.pendingFrees == 0 {
            blocks[index] = nil
            if blocks.count <= limit { return }
        }
    }

    /// Learns that clusters before `cluster` are in use.
    mutating func extend(to cluster: HostCluster) { end = max(end, cluster) }

    /// Learns which clusters hold the header, tables and blocks.
    mutating func learn(metadata clusters: [UInt64]) { metadata = MetadataClusters(clusters) }

    /// How often a cluster is used; zero if its block is not in memory.
    func count(of cluster: HostCluster) -> UInt64 { blocks[blockIndex(cluster)]?[place(cluster)] ?? 0 }

    /// Notes that a cluster lost two mappings at once.
    mutating func noteMappedTwice(_ cluster: HostCluster) {
        if let block = blocks[blockIndex(cluster)] { note(.mappedTwice, block, place(cluster)) }
    }

    /// How often a cluster is used that is about to be freed: at least once, or the damage is noted.
    mutating func countBeforeFree(_ cluster: HostCluster) -> UInt64 {
        guard let block = blocks[blockIndex(cluster)] else { return 0 }
        if block[place(cluster)] == 0 { note(.countedFree, block, place(cluster)) }
        return block[place(cluster)]
    }

    private mutating func note(_ fault: MappingFault, _ block: RefcountBlock, _ place: Int) {
        damage =
            damage
            ?? TableDamage(
                table: .refcountBlock, offset: block.offset.bytes + UInt64((place << Int(order)) >> 3),
                entry: block[place], fault: fault)
    }

    // MARK: Taking and giving back

    /// Clusters that were taken together.
    struct Run: Equatable, Sendable {
        var first: HostCluster
        var count: Int
        /// Nothing was ever written there: it reads as zero.
        var isZero: Bool
    }

    /// Takes 1 to `count` adjoining clusters for data and counts them; nil if the file cannot grow further.
    mutating func take(_ count: Int) -> Run? {
        while let index = blocksWithFree.last {
            if let run = takeFree(index, count) { return run }
            blocksWithFree.removeLast()
            blocks[index]?.isListed = false
        }
        return takeAtEnd(count)
    }

    private mutating func takeFree(_ index: Int, _ count: Int) -> Run? {
        // Out of the dictionary while it changes, so that its bytes are not copied.
        guard var block = blocks.removeValue(forKey: index) else { return nil }
        defer { blocks[index] = block }
        let base = UInt64(index) << UInt64(blockBits)
        let limit = end.index > base ? Int(min(UInt64(block.count), end.index - base)) : 0
        // What is reserved for tables is not counted yet.
        func isFree(_ place: Int) -> Bool {
            block[place] == 0 && !metadata.contains(HostCluster(index: base + UInt64(place)))
        }
        var start = block.searchStart
        while start < limit, !isFree(start) { start += 1 }
        var length = 0
        while length < count, start + length < limit, isFree(start + length) {
            block.set(start + length, 1)
            length += 1
        }
        block.searchStart = start + length
        block.freeCount = length == 0 ? 0 : block.freeCount - length
        guard length > 0 else { return nil }
        return Run(first: HostCluster(index: base + UInt64(start)), count: length, isZero: false)
    }

    /// Takes exactly `count` adjoining clusters for a table, which read as zero.
    mutating func takeTable(_ count: Int) -> Run? {
        if count == 1, let spare = takeSpare() {
            set(spare, 1)
            return Run(first: spare, count: 1, isZero: true)
        }
        guard let run = takeAtEnd(count) else { return nil }
        for offset in 0..<UInt64(count) { metadata.insert(HostCluster(index: run.first.index + offset)) }
        return run
    }

    private mutating func takeSpare() -> HostCluster? {
        guard let spare = reserve.popLast() else { return nil }
        unkeep(spare)
        return spare
    }

    /// Takes exactly `count` adjoining clusters at the end of the file.
    private mutating func takeAtEnd(_ count: Int) -> Run? {
        guard hasRoom(count) else { return nil }
        while let index = firstMissingBlock(end, count) {
            guard addBlock(index) else { return nil }
        }
        let first = end
        end.index += UInt64(count)
        for offset in 0..<UInt64(count) { set(HostCluster(index: first.index + offset), 1) }
        return Run(first: first, count: count, isZero: true)
    }

    /// Room for as many clusters, and for the blocks that count them.
    func hasRoom(_ count: Int) -> Bool { end.index + UInt64(count) + 64 < maximumFileClusters }

    func firstMissingBlock(_ first: HostCluster, _ count: Int) -> Int? {
        let last = blockIndex(HostCluster(index: first.index + UInt64(count) - 1))
        for index in blockIndex(first)...last where blocks[index] == nil { return index }
        return nil
    }

    /// Makes the block `index` in a spare cluster, or in a new one at the end of the file, which it may count itself.
    mutating func addBlock(_ index: Int) -> Bool {
        if index >= table.count, !growTable(toHold: index) { return false }
        // The image reads the last block when it is opened, so a block that is in the table is in memory.
        guard table[index] == 0 else { return blocks[index] != nil }
        let spare = takeSpare()
        let own = spare ?? end
        let owner = blockIndex(own)
        if owner != index, owner >= table.count || table[owner] == 0 {
            guard addBlock(owner) else { return false }
            return blocks[index] != nil || addBlock(index)
        }
        if spare == nil { end.index += 1 }
        let offset = geometry.start(own)
        let bytes = [UInt8](repeating: 0, count: geometry.clusterBytes)
        var block = RefcountBlock(offset: offset, order: order, bytes: bytes)
        block.markWhole()
        blocks[index] = block
        table[index] = offset.bytes
        metadata.insert(own)
        markTable(index)
        set(own, 1)
        return true
    }

    /// Makes the table larger, at a new place; the old place is freed once the header names the new one.
    private mutating func growTable(toHold index: Int) -> Bool {
        let perCluster = geometry.clusterBytes / 8
        // Twice what is needed: the new table's own clusters and their blocks must fit as well.
        let clusters = (max(index + 1, table.count) * 2 + perCluster - 1) / perCluster + 1
        guard UInt64(clusters) << UInt64(geometry.clusterBits) <= ImageHeader.maximumRefcountTableBytes else {
            return false
        }
        // From here on the table is larger than its place, so taking a larger one must not fail.
        guard hasRoom(clusters) else { return false }
        let first = geometry.cluster(tableOffset).index
        let oldClusters = first..<first + UInt64(tableClusters)
        table += [UInt64](repeating: 0, count: clusters * perCluster - table.count)
        tableClusters = UInt32(clusters)
        guard let run = takeTable(clusters) else { return false }
        tableOffset = geometry.start(run.first)
        tableHasMoved = true
        for cluster in oldClusters { unmapKept(HostCluster(index: cluster)) }
        for offset in 0..<UInt64(run.count) { keep(HostCluster(index: run.first.index + offset)) }
        return true
    }

    private mutating func markTable(_ index: Int) {
        let low = index & ~63
        let high = min(low + 64, table.count)
        if let old = dirtyTable {
            dirtyTable = min(old.lowerBound, low)..<max(old.upperBound, high)
        } else {
            dirtyTable = low..<high
        }
    }

    /// Sets the refcount of a cluster whose block is in memory.
    private mutating func set(_ cluster: HostCluster, _ value: UInt64) {
        let place = place(cluster)
        blocks[blockIndex(cluster)]?.set(place, value)
    }

    /// Notes that a cluster is no longer mapped; it is freed by `settle` after the commit. Its block must be in memory.
    mutating func unmap(_ cluster: HostCluster) {
        unmapped.append(cluster)
        blocks[blockIndex(cluster)]?.pendingFrees += 1
    }

    /// Keeps the block of a cluster in memory: the cluster may be freed, or holds a table that may move.
    mutating func keep(_ cluster: HostCluster) {
        blocks[blockIndex(cluster)]?.pendingFrees += 1
    }

    /// Lets the file end at its last used cluster.
    mutating func trimEnd() {
        while end.index > 0 {
            let last = HostCluster(index: end.index - 1)
            guard let block = blocks[blockIndex(last)], block[place(last)] == 0, block.freeCount > 0 else { return }
            blocks[blockIndex(last)]?.freeCount -= 1
            end = last
        }
    }

    /// Notes that a cluster under `keep` is no longer mapped.
    mutating func unmapKept(_ cluster: HostCluster) { unmapped.append(cluster) }

    /// Ends one `keep`.
    mutating func unkeep(_ cluster: HostCluster) {
        let index = blockIndex(cluster)
        if let pending = blocks[index]?.pendingFrees, pending > 0 { blocks[index]?.pendingFrees = pending - 1 }
    }

    /// Takes the clusters that the commit beginning now will unmap durably.
    mutating func takeUnmapped() -> [HostCluster] {
        defer { unmapped = [] }
        return unmapped
    }

    /// Puts back clusters whose commit failed.
    mutating func restoreUnmapped(_ clusters: [HostCluster]) { unmapped += clusters }

    /// Frees clusters whose unmapping is durable and to which no operation refers any more.
    mutating func settle(_ clusters: some Sequence<HostCluster>) {
        for cluster in clusters {
            unkeep(cluster)
            // A table that has moved has left its place.
            metadata.remove(cluster)
            free(cluster)
        }
    }

    /// Lets a cluster be found that is not counted.
    mutating func list(_ cluster: HostCluster) {
        let index = blockIndex(cluster)
        guard var block = blocks.removeValue(forKey: index) else { return }
        defer { blocks[index] = block }
        list(place(cluster), in: &block, index)
    }

    private mutating func list(_ place: Int, in block: inout RefcountBlock, _ index: Int) {
        block.freeCount += 1
        block.searchStart = min(block.searchStart, place)
        guard !block.isListed else { return }
        block.isListed = true
        blocksWithFree.append(index)
    }

    private mutating func free(_ cluster: HostCluster) {
        let index = blockIndex(cluster)
        let place = place(cluster)
        guard var block = blocks.removeValue(forKey: index) else { return }
        defer { blocks[index] = block }
        // Mapped twice and counted once: it may have been given to somebody else by now.
        guard block[place] > 0 else { return note(.countedFree, block, place) }
        block.set(place, block[place] - 1)
        if block[place] == 0 { list(place, in: &block, index) }
    }

    // MARK: Commit

    /// Dirty parts of blocks, which are clean from now on.
    mutating func takeDirtyBlocks() -> [(index: Int, range: Range<Int>)] {
        var found: [(index: Int, range: Range<Int>)] = []
        for index in blocks.keys.sorted() {
            if let range = blocks[index]?.takeDirty() { found.append((index, range)) }
        }
        return found
    }

    mutating func restoreDirtyBlocks(_ list: [(index: Int, range: Range<Int>)]) {
        for item in list { blocks[item.index]?.restoreDirty(item.range) }
    }

    /// The table's entries to write; all of them if it has moved.
    mutating func takeDirtyTable() -> (range: Range<Int>, hasMoved: Bool)? {
        defer {
            dirtyTable = nil
            tableHasMoved = false
        }
        if tableHasMoved { return (0..<table.count, true) }
        return dirtyTable.map { ($0, false) }
    }

    mutating func restoreDirtyTable(_ item: (range: Range<Int>, hasMoved: Bool)) {
        if item.hasMoved { tableHasMoved = true }
        let old = dirtyTable ?? item.range
        dirtyTable = min(old.lowerBound, item.range.lowerBound)..<max(old.upperBound, item.range.upperBound)
    }
}
