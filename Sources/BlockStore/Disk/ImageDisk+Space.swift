import IOLoop
import SystemPackage

/// Clusters on their way back to the file system and to the allocator.
struct SpaceReturn {
    /// Freed by commits that are durable, in order.
    var batches: [FreedBatch] = []
    /// The batch whose space is being given back.
    var clusters: [HostCluster] = []
    /// Its next cluster.
    var next = 0
    /// How many of them the allocator has.
    var settled = 0
    var outstanding = 0
    /// The file system cannot do it.
    var isUnsupported = false

    static let maximumInFlight = 16
    /// Clusters that the allocator takes back in one turn of the loop, so that requests do not wait for a whole batch.
    static let slice = 4096
    /// The timer that brings the next slice; the other timer of a disk is 0.
    static let sliceTimer: UInt32 = 1

    var hasWork: Bool { !batches.isEmpty && clusters.isEmpty }
}

/// Room that is being made for tables, and who waits for it.
struct RoomInFlight {
    var run: Refcounts.Run
    /// As those who wait know it.
    var name: Int
}

/// Room for tables: found before they are made, so that a file system that is full fails writes which need a new
/// cluster, and no flush.
extension ImageDisk {
    /// Has the reserve filled.
    /// - Returns: what to wait for.
    func makeRoom() -> Int {
        if let room { return room.name }
        nextLoad += 1
        let from = image.refcounts.end
        guard let run = image.refcounts.planReserve() else {
            // Those who wait hear of it from the loop, as if the kernel had said so.
            room = RoomInFlight(run: Refcounts.Run(first: from, count: 0, isZero: true), name: nextLoad)
            loop.nop(for: self, tag: startOther(.room))
            return nextLoad
        }
        room = RoomInFlight(run: run, name: nextLoad)
        let start = from.index * UInt64(clusterBytes)
        let length = (run.first.index + UInt64(run.count)) * UInt64(clusterBytes) - start
        loop.changeSpace(
            topFile, .allocate, at: start, length: length, for: self, tag: startOther(.room, at: start, Int(length)))
        return nextLoad
    }

    func roomEnded(_ error: CInt) {
        guard let ended = room else { return }
        room = nil
        let failure = ended.run.count == 0 ? .noSpace : Errno(rawValue: error)
        // A file system that cannot promise room will say when there is none.
        let hasRoom = failure.rawValue == 0 || failure == .notSupported
        image.refcounts.endReserve(ended.run, hasRoom: hasRoom)
        if hasRoom { wake() } else { failWaiting(for: ended.name, failure) }
    }
}

/// Giving back what a commit has freed: not before nobody can be reading or writing it, and not to the allocator
/// before the file system has let go of it, since a late hole would erase the next owner's bytes.
extension ImageDisk {
    /// Begins with the oldest batch, if its epoch has ended.
    func returnSpace() {
        guard space.clusters.isEmpty, let batch = space.batches.first else { return }
        guard image.damage == nil else { return keepSpace() }
        if batch.epoch == epochs.current { epochs.advance() }
        guard epochs.hasEnded(batch.epoch) else { return }
        space.batches.removeFirst()
        space.clusters = batch.clusters.sorted()
        for (a, b) in zip(space.clusters, space.clusters.dropFirst()) where a == b {
            image.refcounts.noteMappedTwice(a)
            return keepSpace()
        }
        space.next = 0
        space.settled = 0
        punchMore()
    }

    /// Nothing of a damaged image is given back: what seems free may be mapped.
    private func keepSpace() {
        noteDamage()
        space.batches = []
        space.clusters = []
    }

    private func punchMore() {
        while space.outstanding < SpaceReturn.maximumInFlight, space.next < space.clusters.count, !space.isUnsupported {
            let first = space.clusters[space.next]
            let count = lastUses(from: space.next)
            guard image.damage == nil else { break }
            space.next += max(count, 1)
            // One that others use as well is only counted down.
            guard count > 0 else { continue }
            space.outstanding += 1
            let offset = first.index * UInt64(clusterBytes)
            let tag = startOther(.punch, at: offset, count * clusterBytes)
            recordZero(tag)
            loop.changeSpace(
                topFile, .punchHole, at: offset, length: UInt64(count * clusterBytes), for: self, tag: tag)
        }
        guard space.outstanding == 0 else { return }
        if image.damage == nil { settle() } else { keepSpace() }
    }

    /// How many adjoining clusters of the batch, from one on, become free with it.
    private func lastUses(from place: Int) -> Int {
        let first = space.clusters[place]
        var count = 0
        while count < SpaceReturn.slice, place + count < space.clusters.count {
            let cluster = space.clusters[place + count]
            guard cluster.index == first.index + UInt64(count), image.refcounts.countBeforeFree(cluster) == 1 else {
                break
            }
            count += 1
        }
        return count
    }

    /// A hole was made, or not: the clusters are free either way, and nobody counts on their being zero.
    func punchEnded(_ error: CInt) {
        if Errno(rawValue: error) == .notSupported { space.isUnsupported = true }
        space.outstanding -= 1
        punchMore()
    }

    /// Gives the allocator the next slice of the batch.
    func settle() {
        let end = min(space.settled + SpaceReturn.slice, space.clusters.count)
        image.settle(space.clusters[space.settled..<end])
        space.settled = end
        guard image.damage == nil else { return keepSpace() }
        if end < space.clusters.count {
            _ = loop.setTimer(after: .zero, for: self, tag: SpaceReturn.sliceTimer)
        } else {
            space.clusters = []
        }
        noteChange()
        wake()
    }
}
