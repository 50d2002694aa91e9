/// The clusters of an image file that hold its header and its tables. No data is written into one of them, and none of
/// them is handed out as free. Owned by the image's refcounts.
///
/// A set of numbers with open addressing: asking costs one probe or two. It has as many members as the image has
/// tables, one for 8192 clusters of data where these have 64 KiB.
struct MetadataClusters {
    /// Cluster numbers plus one; zero where there is none.
    private var slots: [UInt64]
    private(set) var count = 0
    private var shift: UInt64

    /// - Parameter clusters: what it holds at first.
    init(_ clusters: some Collection<UInt64> = []) {
        slots = []
        shift = 64
        resize(forAtLeast: clusters.count)
        for cluster in clusters { insert(HostCluster(index: cluster)) }
    }

    @inline(__always)
    func contains(_ cluster: HostCluster) -> Bool {
        var place = home(cluster.index)
        while slots[place] != 0 {
            if slots[place] == cluster.index + 1 { return true }
            place = (place + 1) & (slots.count - 1)
        }
        return false
    }

    mutating func insert(_ cluster: HostCluster) {
        guard !contains(cluster) else { return }
        if count * 2 >= slots.count { resize(forAtLeast: count + 1) }
        put(cluster.index)
        count += 1
    }

    /// Takes a cluster out; one that is not there is no matter.
    mutating func remove(_ cluster: HostCluster) {
        var place = home(cluster.index)
        while slots[place] != cluster.index + 1 {
            guard slots[place] != 0 else { return }
            place = (place + 1) & (slots.count - 1)
        }
        count -= 1
        slots[place] = 0
        // Those behind it may have been put there for want of its place.
        place = (place + 1) & (slots.count - 1)
        while slots[place] != 0 {
            let index = slots[place] - 1
            slots[place] = 0
            put(index)
            place = (place + 1) & (slots.count - 1)
        }
    }

    private mutating func put(_ index: UInt64) {
        var place = home(index)
        while slots[place] != 0 { place = (place + 1) & (slots.count - 1) }
        slots[place] = index + 1
    }

    /// Where the search for a number begins: neighbours are spread by the golden ratio (Knuth, volume 3, 6.4).
    @inline(__always)
    private func home(_ index: UInt64) -> Int {
        Int(truncatingIfNeeded: (index &* 0x9e37_79b9_7f4a_7c15) >> shift)
    }

    /// Makes room: at most half of the slots are used.
    private mutating func resize(forAtLeast wanted: Int) {
        var bits: UInt64 = 4
        while 1 << bits < wanted * 2 { bits += 1 }
        let old = slots
        slots = [UInt64](repeating: 0, count: 1 << bits)
        shift = 64 - bits
        for slot in old where slot != 0 { put(slot - 1) }
    }
}
