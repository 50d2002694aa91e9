import Syscall
import SystemPackage

/// A read-only check of an image: every reference is followed and counted, and compared with the stored refcounts.
/// Memory is bounded by the length of the file, never by what its tables claim.
struct ImageCheck {
    /// Something that makes the image unsafe to use.
    struct Finding: Equatable, CustomStringConvertible {
        enum Problem: String {
            case undercounted = "is used more often than its refcount says"
            case shared = "is used twice"
            case outside = "lies outside of the file"
            case misaligned = "is not the address of a cluster"
            case reservedBits = "has reserved bits set"
            case wrongCopied = "has the wrong COPIED flag"
        }

        var problem: Problem
        /// The table where it was found.
        var table: HeaderField
        /// The offset or entry in question.
        var value: UInt64

        var description: String { "\(table.rawValue): \(value) \(problem.rawValue)" }
    }

    /// The first of them; `errorCount` counts all.
    private(set) var errors: [Finding] = []
    private(set) var errorCount = 0
    /// Clusters with a refcount that nothing uses: space is lost, data is not.
    private(set) var leaks = 0
    /// Clusters that map guest data.
    private(set) var allocated = 0

    private let file: ImageFile
    private let header: ImageHeader
    private let clusters: UInt64
    private var uses: [UInt8]

    private init(_ file: ImageFile) throws(ImageError) {
        self.file = file
        header = try file.header()
        clusters = header.geometry.clusters(for: try file.length())
        uses = [UInt8](repeating: 0, count: Int(clusters))
    }

    /// Checks the image in `file`, which nobody may be writing.
    static func run(_ file: ImageFile) throws(ImageError) -> ImageCheck {
        var check = try ImageCheck(file)
        guard check.header.snapshotCount == 0 else {
            throw .readOnly(reason: "images with internal snapshots are checked by qemu-img check")
        }
        let blocks = try check.countTables()
        try check.countMappings()
        try check.compare(blocks)
        return check
    }

    private mutating func report(_ problem: Finding.Problem, _ table: HeaderField, _ value: UInt64) {
        errorCount += 1
        if errors.count < 16 { errors.append(Finding(problem: problem, table: table, value: value)) }
    }

    /// Counts a use of the clusters that `length` bytes at `offset` touch; false if they are not in the file.
    private mutating func use(_ offset: UInt64, _ length: UInt64, _ table: HeaderField, shares: Bool = false) -> Bool {
        let bits = UInt64(header.geometry.clusterBits)
        guard length > 0, offset <= clusters << bits, length <= clusters << bits - offset else {
            report(.outside, table, offset)
            return false
        }
        for cluster in (offset >> bits)...((offset + length - 1) >> bits) {
            let index = Int(cluster)
            if uses[index] > 0, !shares { report(.shared, table, cluster << bits) }
            if uses[index] < .max { uses[index] += 1 }
        }
        return true
    }

    private func words(_ offset: UInt64, count: Int) throws(ImageError) -> [UInt64] {
        let reader = BigEndianReader(bytes: try file.read(count * 8, at: HostOffset(bytes: offset)))
        return (0..<count).map { reader.uint64($0 * 8) ?? 0 }
    }

    private mutating func countTables() throws(ImageError) -> [UInt64] {
        let cluster = UInt64(header.geometry.clusterBytes)
        _ = use(0, cluster, .header)
        let tableBytes = UInt64(header.refcountTableClusters) * cluster
        _ = use(header.refcountTableOffset.bytes, tableBytes, .refcountTable)
        if header.l1Size > 0 { _ = use(header.l1Offset.bytes, UInt64(header.l1Size) * 8, .l1Table) }
        var blocks = try words(header.refcountTableOffset.bytes, count: Int(tableBytes / 8))
        for index in blocks.indices where blocks[index] != 0 {
            if blocks[index] & header.geometry.clusterMask != 0 {
                report(.misaligned, .refcountBlock, blocks[index])
                blocks[index] = 0
            } else if !use(blocks[index], cluster, .refcountBlock) {
                blocks[index] = 0
            }
        }
        return blocks
    }

    private mutating func countMappings() throws(ImageError) {
        let geometry = header.geometry
        let l1 = try words(header.l1Offset.bytes, count: Int(header.l1Size))
        for entry in l1 where entry != 0 {
            let offset = entry & MappingEntry.offsetMask
            if offset & geometry.clusterMask != 0 || offset == 0 {
                report(.misaligned, .l1Table, entry)
                continue
            }
            if entry & MappingEntry.copied == 0 { report(.wrongCopied, .l1Table, entry) }
            guard use(offset, UInt64(geometry.clusterBytes), .l1Table) else { continue }
            for raw in try words(offset, count: geometry.clusterBytes / 8) where raw != 0 {
                countMapping(MappingEntry(raw: raw))
            }
        }
    }

    private mutating func countMapping(_ entry: MappingEntry) {
        let geometry = header.geometry
        if entry.meaning == .compressed {
            let extent = CompressedExtent(entry, geometry: geometry)
            if entry.isCopied { report(.wrongCopied, .l2Table, entry.raw) }
            if use(extent.offset, UInt64(max(extent.length, 1)), .compressedCluster, shares: true) { allocated += 1 }
            return
        }
        let end = geometry.start(HostCluster(index: clusters))
        switch entry.fault(geometry: geometry, version: header.version, end: end) {
        case .misaligned: report(.misaligned, .l2Table, entry.raw)
        case .outsideFile: report(.outside, .l2Table, entry.raw)
        case .some: report(.reservedBits, .l2Table, entry.raw)
        case nil:
            guard let host = entry.host else { return }
            if !entry.isCopied { report(.wrongCopied, .l2Table, entry.raw) }
            if use(host.bytes, UInt64(geometry.clusterBytes), .l2Table) { allocated += 1 }
        }
    }

    private mutating func compare(_ blocks: [UInt64]) throws(ImageError) {
        let geometry = header.geometry
        var counted = 0
        for offset in blocks {
            guard counted < uses.count else { break }
            let count = (geometry.clusterBytes * 8) >> Int(header.refcountOrder)
            guard offset != 0 else {
                for index in counted..<min(counted + count, uses.count) where uses[index] > 0 {
                    report(.undercounted, .refcountTable, UInt64(index))
                }
                counted += count
                continue
            }
            let bytes = try file.read(geometry.clusterBytes, at: HostOffset(bytes: offset))
            let block = RefcountBlock(offset: HostOffset(bytes: offset), order: header.refcountOrder, bytes: bytes)
            for index in counted..<min(counted + count, uses.count) {
                let stored = block[index - counted]
                if stored < UInt64(uses[index]), uses[index] < .max {
                    report(.undercounted, .refcountBlock, UInt64(index))
                } else if stored > UInt64(uses[index]) {
                    leaks += 1
                }
            }
            counted += count
        }
        for index in counted..<max(counted, uses.count) where uses[index] > 0 {
            report(.undercounted, .refcountTable, UInt64(index))
        }
    }
}
