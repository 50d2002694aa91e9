import Syscall
import SystemPackage

/// Opening an image: header, L1 table and, for writing, the refcounts are read and checked before anything is served.
enum ImageOpen {
    /// Bytes of cached mappings that an image keeps by default: they cover 128 GiB with clusters of 64 KiB.
    static let defaultBudget = 16 << 20
    /// Refcount blocks with free clusters that are kept from the scan; what is free in others waits for the next open.
    private static let keptBlocks = 64
    /// Bytes of blocks for clusters behind the end of the file, which a cut of power leaves and which are all kept.
    private static let maximumBytesBehind = 64 << 20

    /// Opens the image in `file`.
    /// - Parameters:
    ///   - writable: refuse what can only be read; else take anything that can be read.
    static func open(
        _ file: ImageFile, writable: Bool, budget: Int = defaultBudget
    ) throws(ImageError) -> Image {
        let header = try file.header()
        if writable { try checkWritable(header) }
        let fileEnd = header.geometry.clusters(for: try file.length())
        let l1 = try readL1(file, header, fileEnd: fileEnd, writable: writable)
        let tableBytes = Int(header.refcountTableClusters) << header.geometry.clusterBits
        let table = writable ? words(try file.read(tableBytes, at: header.refcountTableOffset)) : []
        var refcounts = Refcounts(
            geometry: header.geometry, order: header.refcountOrder, table: table,
            offset: header.refcountTableOffset, clusters: header.refcountTableClusters,
            end: HostCluster(index: fileEnd))
        if writable {
            try scan(file, &refcounts, header, l1: l1, fileEnd: fileEnd)
            if refcounts.end.index > fileEnd { try checkMappings(file, header, l1: l1, fileEnd: fileEnd) }
            try clearAutoclear(file, header)
        }
        return Image(header: header, l1: l1, refcounts: refcounts, isWritable: writable, budget: budget)
    }

    private static func checkWritable(_ header: ImageHeader) throws(ImageError) {
        if header.isCorrupt { throw .corrupt }
        if header.isDirty { throw .dirty }
        guard header.version >= 3 else {
            throw .readOnly(reason: "it is version 2; upgrade it with qemu-img amend -o compat=1.1")
        }
        guard header.snapshotCount == 0 else {
            throw .readOnly(reason: "it holds internal snapshots; delete them with qemu-img snapshot -d")
        }
        guard header.size <= Image.maximumSize(header.geometry) else {
            throw .size(header.size, rule: "at most \(Image.maximumSize(header.geometry)) bytes are served")
        }
    }

    private static func words(_ bytes: [UInt8]) -> [UInt64] {
        let reader = BigEndianReader(bytes: bytes)
        return stride(from: 0, to: bytes.count - 7, by: 8).map { reader.uint64($0) ?? 0 }
    }

    private static func readL1(
        _ file: ImageFile, _ header: ImageHeader, fileEnd: UInt64, writable: Bool
    ) throws(ImageError) -> [UInt64] {
        let l1 = words(try file.read(Int(header.l1Size) * 8, at: header.l1Offset))
        let end = header.geometry.start(HostCluster(index: fileEnd))
        let places = TablePlaces(header)
        var seen: [UInt64] = []
        for entry in l1 where entry != 0 {
            let offset = entry & MappingEntry.offsetMask
            guard entry & ~(MappingEntry.offsetMask | MappingEntry.copied) == 0 else {
                throw .invalid(.l1Table, value: entry, rule: "reserved bits are set")
            }
            guard offset != 0, offset & header.geometry.clusterMask == 0, offset < end.bytes else {
                throw .invalid(.l1Table, value: entry, rule: "an L2 table is a cluster within the file")
            }
            guard !places.covers(HostOffset(bytes: offset), header.geometry) else {
                throw .invalid(.l1Table, value: entry, rule: "an L2 table lies in another table")
            }
            if writable { seen.append(offset) }
        }
        seen.sort()
        for (a, b) in zip(seen, seen.dropFirst()) where a == b {
            throw .invalid(.l1Table, value: a, rule: "two entries share an L2 table")
        }
        return l1
    }

    /// Reads all refcount blocks: finds the end of what is used, free clusters, and tables that are counted as free.
    private static func scan(
        _ file: ImageFile, _ refcounts: inout Refcounts, _ header: ImageHeader, l1: [UInt64], fileEnd: UInt64
    ) throws(ImageError) {
        let geometry = header.geometry
        let tables = try metadataClusters(refcounts, header, l1, fileEnd: fileEnd)
        refcounts.learn(metadata: tables)
        var next = 0
        var kept = 0
        var behind = 0
        var found: [(index: Int, bytes: [UInt8])] = []
        let owned = Set(tables.filter { isMoving($0, header) }.map { refcounts.blockIndex(HostCluster(index: $0)) })
        for index in refcounts.table.indices where refcounts.table[index] != 0 {
            let offset = HostOffset(bytes: refcounts.table[index])
            let block = RefcountBlock(
                offset: offset, order: header.refcountOrder, bytes: try file.read(geometry.clusterBytes, at: offset))
            let first = UInt64(index) << UInt64(refcounts.blockBits)
            while next < tables.count, tables[next] < first + UInt64(block.count) {
                guard tables[next] >= first, block[Int(tables[next] - first)] > 0 else {
                    throw .invalid(
                        .refcountBlock, value: tables[next], rule: "a cluster of metadata is counted as free")
                }
                next += 1
            }
            let state = occupancy(block, first: first, fileEnd: fileEnd)
            refcounts.extend(to: HostCluster(index: first + UInt64(state.used)))
            let wanted = state.hasFree && kept < keptBlocks
            if wanted { kept += 1 }
            let isBehind = first + UInt64(block.count) > fileEnd
            if isBehind { behind += 1 }
            guard behind << geometry.clusterBits <= maximumBytesBehind else {
                throw .invalid(
                    .refcountTable, value: UInt64(index), rule: "too many blocks count clusters behind the file's end")
            }
            if wanted || owned.contains(index) || isBehind { found.append((index, block.bytes)) }
        }
        // Not before the end is known: what is free in a block are its clusters before it.
        for item in found { refcounts.install(item.index, bytes: item.bytes) }
        guard next == tables.count else {
            throw .invalid(.refcountTable, value: tables[next], rule: "a cluster of metadata is not counted")
        }
        for cluster in tables where isMoving(cluster, header) { refcounts.keep(HostCluster(index: cluster)) }
    }

    /// Follows every mapping, in a file that ends before clusters that are counted: a crash leaves those unmapped, so
    /// that only space is lost; if one is mapped the file was cut short, and what it held would read as zero.
    private static func checkMappings(
        _ file: ImageFile, _ header: ImageHeader, l1: [UInt64], fileEnd: UInt64
    ) throws(ImageError) {
        let geometry = header.geometry
        let end = geometry.start(HostCluster(index: fileEnd)).bytes
        for table in l1 where table & MappingEntry.offsetMask != 0 {
            let offset = HostOffset(bytes: table & MappingEntry.offsetMask)
            for raw in words(try file.read(geometry.clusterBytes, at: offset)) {
                guard let host = MappingEntry(raw: raw).host, host.bytes >= end else { continue }
                throw .invalid(
                    .l2Table, value: host.bytes,
                    rule: "data is mapped there, and the file ends at \(try file.length()): it was cut short; restore "
                        + "it from a backup, or see with qemu-img check what is left")
            }
        }
    }

    /// The clusters of the tables that growth moves elsewhere.
    private static func isMoving(_ cluster: UInt64, _ header: ImageHeader) -> Bool {
        TablePlaces(header).covers(header.geometry.start(HostCluster(index: cluster)), header.geometry)
    }

    /// Header, tables and blocks, by cluster number in order.
    private static func metadataClusters(
        _ refcounts: Refcounts, _ header: ImageHeader, _ l1: [UInt64], fileEnd: UInt64
    ) throws(ImageError) -> [UInt64] {
        let geometry = header.geometry
        let bits = UInt64(geometry.clusterBits)
        var clusters: [UInt64] = [0]
        let l1First = header.l1Offset.bytes >> bits
        clusters += (0..<geometry.clusters(for: UInt64(header.l1Size) * 8)).map { l1First + $0 }
        clusters += (0..<UInt64(header.refcountTableClusters)).map { header.refcountTableOffset.bytes >> bits + $0 }
        for entry in l1 where entry != 0 { clusters.append((entry & MappingEntry.offsetMask) >> bits) }
        for offset in refcounts.table where offset != 0 {
            guard offset & geometry.clusterMask == 0, offset >> bits < fileEnd else {
                throw .invalid(.refcountTable, value: offset, rule: "a refcount block is a cluster within the file")
            }
            clusters.append(offset >> bits)
        }
        clusters.sort()
        for (a, b) in zip(clusters, clusters.dropFirst()) where a == b {
            throw .invalid(.refcountTable, value: a, rule: "one cluster serves two tables")
        }
        return clusters
    }

    private static func occupancy(
        _ block: RefcountBlock, first: UInt64, fileEnd: UInt64
    ) -> (used: Int, hasFree: Bool) {
        var used = 0
        var hasFree = false
        for place in 0..<block.count {
            if block[place] != 0 {
                used = place + 1
            } else if first + UInt64(place) < fileEnd {
                hasFree = true
            }
        }
        return (used, hasFree)
    }

    /// Bits that a writer who does not know them must clear before it writes (qcow2 specification, autoclear_features).
    private static func clearAutoclear(_ file: ImageFile, _ header: ImageHeader) throws(ImageError) {
        guard header.autoclear != 0 else { return }
        try file.write([UInt8](repeating: 0, count: 8), at: HostOffset(bytes: 88))
        try file.syncData()
    }
}
