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

/// Giving back what a commit has freed: not before nobody can be reading or writing it, and not to the allocator
/// before the file system has let go of it, since a late hole would erase the next owner's bytes.
extension ImageDisk {
    /// Begins with the oldest batch, if its epoch has ended.
    func returnSpace() {
        guard space.clusters.isEmpty, let batch = space.batches.first else { return }
        if batch.epoch == epochs.current { epochs.advance() }
        guard epochs.hasEnded(batch.epoch) else { return }
        space.batches.removeFirst()
        space.clusters = batch.clusters.sorted()
        space.next = 0
        space.settled = 0
        punchMore()
    }

    private func punchMore() {
        while space.outstanding < SpaceReturn.maximumInFlight, space.next < space.clusters.count, !space.isUnsupported {
            let first = space.clusters[space.next]
            var count = 1
            while space.next + count < space.clusters.count,
                space.clusters[space.next + count].index == first.index + UInt64(count)
            {
                count += 1
            }
            space.next += count
            space.outstanding += 1
            let offset = first.index * UInt64(clusterBytes)
            let tag = startOther(.punch, at: offset, count * clusterBytes)
            recordZero(tag)
            loop.changeSpace(
                topFile, .punchHole, at: offset, length: UInt64(count * clusterBytes), for: self, tag: tag)
        }
        if space.outstanding == 0 { settle() }
    }

    /// A hole was made, or not: the clusters are free either way, and nobody counts on their being zero.
    func punchEnded() {
        space.outstanding -= 1
        punchMore()
    }

    /// Gives the allocator the next slice of the batch.
    func settle() {
        let end = min(space.settled + SpaceReturn.slice, space.clusters.count)
        image.settle(space.clusters[space.settled..<end])
        space.settled = end
        if end < space.clusters.count {
            _ = loop.setTimer(after: .zero, for: self, tag: SpaceReturn.sliceTimer)
        } else {
            space.clusters = []
        }
        noteChange()
        wake()
    }
}
