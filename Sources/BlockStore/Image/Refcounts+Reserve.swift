/// Clusters for tables to come, for which there is room in the file system. They lie in the file, are metadata, and are
/// not counted before they are used: what a crash leaves of them is the end of a file that is too long.
extension Refcounts {
    /// One write may want a table more than there is room for.
    var needsReserve: Bool { reserve.count < 3 }

    /// Clusters at the end of the file with which to fill the reserve, once they have room; nil where it cannot grow.
    mutating func planReserve() -> Run? {
        let count = max(4, (64 << 10) >> geometry.clusterBits)
        guard hasRoom(count) else { return nil }
        while let index = firstMissingBlock(end, count) {
            guard addBlock(index) else { return nil }
        }
        let run = Run(first: end, count: count, isZero: true)
        end.index += UInt64(count)
        for offset in 0..<UInt64(count) {
            let cluster = HostCluster(index: run.first.index + offset)
            metadata.insert(cluster)
            keep(cluster)
        }
        return run
    }

    /// The clusters have room now, or there is none. The lowest is used first.
    mutating func endReserve(_ run: Run, hasRoom: Bool) {
        reserve += (0..<UInt64(run.count)).reversed().map { HostCluster(index: run.first.index + $0) }
        if !hasRoom { giveReserveBack(run.count) }
    }

    /// Gives up all that is reserved, before the file is closed.
    mutating func giveReserveBack() { giveReserveBack(reserve.count) }

    private mutating func giveReserveBack(_ count: Int) {
        for cluster in reserve.suffix(count).sorted(by: >) {
            unkeep(cluster)
            metadata.remove(cluster)
            if cluster.index + 1 == end.index { end = cluster } else { list(cluster) }
        }
        reserve.removeLast(count)
    }
}
