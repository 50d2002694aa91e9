extension Image {
    /// How many slices may be dirty before a commit must come first: bounds what one commit copies.
    var dirtyLimit: Int { max(16, cache.capacity / 4) }

    /// Makes the bytes from `offset` on writable: one step of it, at most `length` bytes, both within the disk.
    ///
    /// A step that allocates marks its clusters busy until `finish`; others that need them get `.busy` meanwhile.
    func prepareWrite(_ offset: UInt64, _ length: Int) -> WriteStep {
        if let damage { return .fault(damage.fault) }
        let cluster = geometry.cluster(GuestOffset(bytes: offset))
        let slice = geometry.slice(cluster)
        if let slot = cache.slot(slice) {
            let entry = cache.entry(slot, geometry.place(cluster))
            if case .data(let host) = entry.meaning {
                guard entry.isCopied else { return .fault(.shared) }
                return inPlace(slot, geometry.place(cluster), host, Int(offset & geometry.clusterMask), length)
            }
        }
        switch writableSlot(slice) {
        case .slot(let slot): return allocate(slot, cluster, Int(offset & geometry.clusterMask), length)
        case .needs(let read): return .needs(read)
        case .full: return .full
        case .needsRoom: return .needsRoom
        case .noSpace: return .noSpace
        case .fault(let fault): return .fault(fault)
        }
    }

    @inline(__always)
    private func inPlace(
        _ slot: SliceCache.Slot, _ place: Int, _ host: HostOffset, _ within: Int, _ length: Int
    ) -> WriteStep {
        var found = geometry.clusterBytes - within
        var next = place + 1
        while found < length, next < geometry.sliceEntries {
            let entry = cache.entry(slot, next)
            let expected = HostOffset(bytes: host.bytes + UInt64(within + found))
            guard entry.isCopied, entry.meaning == .data(expected) else { break }
            found += geometry.clusterBytes
            next += 1
        }
        return .inPlace(HostOffset(bytes: host.bytes + UInt64(within)), min(found, length))
    }

    private enum SlotForWriting {
        case slot(SliceCache.Slot)
        case needs(TableRead)
        case full
        case needsRoom
        case noSpace
        case fault(MappingFault)
    }

    /// The slice's slot, made together with its L2 table if there is none.
    private func writableSlot(_ slice: SliceIndex) -> SlotForWriting {
        if let slot = cache.slot(slice) {
            let mayDirty = cache.isDirty(slot) || cache.dirtyCount < dirtyLimit
            return mayDirty ? .slot(slot) : .full
        }
        guard cache.dirtyCount < dirtyLimit, freshTables.count < dirtyLimit else { return .full }
        let table = geometry.table(slice)
        let entry = l1[table]
        if entry & MappingEntry.offsetMask != 0 {
            guard entry & MappingEntry.copied != 0 else { return .fault(.shared) }
            guard isFresh(table) else { return .needs(read(slice)) }
            guard let slot = cache.take(slice) else { return .full }
            return .slot(slot)
        }
        if needsRoom { return .needsRoom }
        guard let slot = cache.take(slice) else { return .full }
        guard let run = refcounts.takeTable(1) else {
            cache.drop(slot)
            return .noSpace
        }
        l1[table] = geometry.start(run.first).bytes | MappingEntry.copied
        markL1(table)
        freshTables.insert(table)
        return .slot(slot)
    }

    /// There might be no room for a table that the next step makes.
    private var needsRoom: Bool { keepsReserve && refcounts.needsReserve }

    func markL1(_ table: Int) {
        let low = table & ~63
        let high = min(low + 64, l1.count)
        if let old = dirtyL1 {
            dirtyL1 = min(old.lowerBound, low)..<max(old.upperBound, high)
        } else {
            dirtyL1 = low..<high
        }
    }

    /// Takes host clusters for as many adjoining guest clusters as one run can hold.
    private func allocate(
        _ slot: SliceCache.Slot, _ cluster: GuestCluster, _ within: Int, _ length: Int
    ) -> WriteStep {
        let first = geometry.place(cluster)
        let entry = cache.entry(slot, first)
        if entry.isBusy { return .busy }
        guard entry.meaning != .compressed else { return .fault(.compressed) }
        if let old = entry.host {
            guard entry.isCopied else { return .fault(.shared) }
            if let missing = missingBlock(old) { return .needs(missing) }
            guard isCounted(old, slot, cluster) else { return .fault(.countedFree) }
        }
        if needsRoom { return .needsRoom }
        let showsBacking = entry.meaning == .unallocated && hasBacking
        let count = runLength(slot, first, within, length, showsBacking: showsBacking)
        guard let run = refcounts.take(count) else { return .noSpace }
        let covered = min(length, run.count * geometry.clusterBytes - within)
        for offset in 0..<run.count { cache.setBusy(slot, first + offset, true) }
        cache.pin(slot)
        if let old = entry.host { refcounts.keep(geometry.cluster(old)) }
        let allocation = Allocation(
            slot: slot, place: first, guest: cluster, run: run, head: within,
            tail: run.count * geometry.clusterBytes - within - covered, showsBacking: showsBacking)
        return .allocate(allocation, covered)
    }

    /// Clusters to allocate together: like the first in what they show, free of work in flight, and, where bytes of the
    /// backing file must be copied up, one cluster for itself, so that one buffer holds it.
    private func runLength(
        _ slot: SliceCache.Slot, _ first: Int, _ within: Int, _ length: Int, showsBacking: Bool
    ) -> Int {
        let bytes = geometry.clusterBytes
        let touched = (within + length + bytes - 1) / bytes
        let whole = (within + length) / bytes
        if showsBacking, within > 0 || whole == 0 { return 1 }
        let wanted = min(showsBacking ? whole : touched, geometry.sliceEntries - first)
        let meaning = cache.entry(slot, first).meaning
        var count = 1
        while count < wanted {
            let entry = cache.entry(slot, first + count)
            guard !entry.isBusy, entry.meaning == meaning, entry.host == nil else { break }
            count += 1
        }
        return cache.entry(slot, first).host == nil ? count : 1
    }

    func missingBlock(_ host: HostOffset) -> TableRead? {
        guard let missing = refcounts.missingBlock(geometry.cluster(host)) else { return nil }
        return TableRead(table: .refcountBlock(missing.index), at: missing.at, length: geometry.clusterBytes)
    }

    /// Whether a cluster that is about to lose its mapping is counted at all; one that is not may be somebody else's.
    private func isCounted(_ host: HostOffset, _ slot: SliceCache.Slot, _ cluster: GuestCluster) -> Bool {
        if refcounts.count(of: geometry.cluster(host)) > 0 { return true }
        noteCountedFree(slot, cluster)
        return false
    }

    /// Ends an allocation: everything in its clusters is written, and they are mapped.
    func finish(_ allocation: Allocation) {
        for offset in 0..<allocation.run.count {
            let place = allocation.place + offset
            cache.setBusy(allocation.slot, place, false)
            if let old = cache.entry(allocation.slot, place).host { refcounts.unmapKept(geometry.cluster(old)) }
            let cluster = HostCluster(index: allocation.run.first.index + UInt64(offset))
            cache.set(allocation.slot, place, .data(geometry.start(cluster)))
        }
        cache.unpin(allocation.slot)
    }

    /// Ends an allocation that has failed.
    /// - Returns: its clusters. Nothing maps them; `settle` makes them free.
    func abandon(_ allocation: Allocation) -> [HostCluster] {
        var clusters: [HostCluster] = []
        for offset in 0..<allocation.run.count {
            let place = allocation.place + offset
            cache.setBusy(allocation.slot, place, false)
            if let old = cache.entry(allocation.slot, place).host { refcounts.unkeep(geometry.cluster(old)) }
            let cluster = HostCluster(index: allocation.run.first.index + UInt64(offset))
            refcounts.keep(cluster)
            clusters.append(cluster)
        }
        cache.unpin(allocation.slot)
        return clusters
    }

    /// Lets the whole clusters from `offset` on read as zero, and frees what held them: one step of it.
    /// - Parameters:
    ///   - offset, length: both whole clusters, `length` at least one, within the disk.
    func unmap(_ offset: UInt64, _ length: Int) -> UnmapStep {
        if let damage { return .fault(damage.fault) }
        let cluster = geometry.cluster(GuestOffset(bytes: offset))
        let slice = geometry.slice(cluster)
        let first = geometry.place(cluster)
        let count = min(length >> geometry.clusterBits, geometry.sliceEntries - first)
        let span = count << geometry.clusterBits
        // Without a backing file, what is unallocated is zero already.
        let target = hasBacking ? MappingEntry.plainZero : MappingEntry.unallocated
        if cache.slot(slice) == nil, !hasBacking {
            let table = geometry.table(slice)
            if l1[table] & MappingEntry.offsetMask == 0 {
                let inTable = (1 << geometry.tableBits) - Int(cluster.index & ((1 << UInt64(geometry.tableBits)) - 1))
                return .done(min(length, inTable << geometry.clusterBits))
            }
            if isFresh(table) { return .done(span) }
        }
        let slot: SliceCache.Slot
        switch writableSlot(slice) {
        case .slot(let found): slot = found
        case .needs(let read): return .needs(read)
        case .full: return .full
        case .needsRoom: return .needsRoom
        case .noSpace: return .noSpace
        case .fault(let fault): return .fault(fault)
        }
        for offset in 0..<count {
            let entry = cache.entry(slot, first + offset)
            let done = offset << geometry.clusterBits
            if entry.isBusy { return done == 0 ? .busy : .done(done) }
            if entry == target || (entry == .plainZero && !hasBacking) { continue }
            guard entry.meaning != .compressed else { return .fault(.compressed) }
            if let host = entry.host {
                guard entry.isCopied else { return .fault(.shared) }
                if let missing = missingBlock(host) { return done == 0 ? .needs(missing) : .done(done) }
                let here = GuestCluster(index: cluster.index + UInt64(offset))
                guard isCounted(host, slot, here) else { return .fault(.countedFree) }
                refcounts.unmap(geometry.cluster(host))
            }
            cache.set(slot, first + offset, target)
        }
        return .done(span)
    }
}

/// One step of making a range writable.
enum WriteStep: Equatable {
    /// Write the first bytes of the range here; nothing else is to do.
    case inPlace(HostOffset, Int)
    /// Fill new clusters, then `finish`; covers the first bytes of the range.
    case allocate(Allocation, Int)
    case needs(TableRead)
    /// Another operation is allocating this cluster; ask again when one has finished.
    case busy
    /// Too much is dirty; ask again after a commit.
    case full
    /// Ask again when the reserve of room for tables is filled.
    case needsRoom
    /// The format cannot hold more clusters.
    case noSpace
    case fault(MappingFault)
}

/// One step of unmapping a range.
enum UnmapStep: Equatable {
    case done(Int)
    case needs(TableRead)
    case busy
    case full
    case needsRoom
    case noSpace
    case fault(MappingFault)
}

/// New host clusters for adjoining guest clusters that one write covers, but for its head and tail.
struct Allocation: Equatable {
    var slot: SliceCache.Slot
    var place: Int
    var guest: GuestCluster
    var run: Refcounts.Run
    /// Bytes before the write in the first cluster.
    var head: Int
    /// Bytes after the write in the last cluster.
    var tail: Int
    /// Head and tail show the backing file, and must be copied up; else they are zero.
    var showsBacking: Bool
}
