import Syscall
import SystemPackage

/// A foreign qcow2 image to import: any version and cluster size, compressed clusters included, as long as it stands
/// alone.
final class Qcow2Source: ClusterSource {
    private let file: ImageFile
    private let header: ImageHeader
    private let image: Image
    var size: UInt64 { header.size }

    init(_ file: ImageFile) throws(ImageError) {
        self.file = file
        image = try ImageOpen.open(file, writable: false)
        header = image.header
        if let backing = header.backingFile {
            throw .backing(
                file: backing, reason: "an image stands alone; make one with qemu-img convert -O qcow2")
        }
        guard !header.isCorrupt else { throw .corrupt }
    }

    func nextData(from offset: UInt64) throws(ImageError) -> UInt64 {
        // A table that is not there maps nothing: hundreds of gigabytes in one step, where clusters are large.
        let span = UInt64(header.geometry.clusterBits + header.geometry.tableBits)
        var table = Int(offset >> span)
        guard table < image.l1.count, image.l1[table] & MappingEntry.offsetMask == 0 else { return offset }
        while table < image.l1.count, image.l1[table] & MappingEntry.offsetMask == 0 { table += 1 }
        return min(UInt64(table) << span, size)
    }

    func read(_ offset: UInt64, _ count: Int) throws(ImageError) -> [UInt8]? {
        var bytes: [UInt8]?
        var done = 0
        while done < count {
            let here = offset + UInt64(done)
            switch image.lookup(here, count - done) {
            case .zero(let length), .unallocated(let length):
                done += length
            case .data(let host, let length):
                let piece = try file.read(length, at: host)
                ImageWriter.put(piece, into: &bytes, at: done, of: count)
                done += length
            case .needs(let table):
                try load(table)
            case .fault(.compressed):
                let piece = try inflate(here)
                let within = Int(here & header.geometry.clusterMask)
                let length = min(count - done, header.geometry.clusterBytes - within)
                ImageWriter.put(Array(piece[within..<within + length]), into: &bytes, at: done, of: count)
                done += length
            case .fault(let fault):
                throw .badMapping(fault, at: here)
            }
        }
        return bytes
    }

    private func load(_ table: TableRead) throws(ImageError) {
        let bytes = try file.read(table.length, at: table.at)
        switch bytes.withUnsafeBytes({ image.install(table, $0) }) {
        case .installed: return
        case .damaged(let damage): throw .damaged(damage)
        case .noRoom: throw .system(operation: .read, .noMemory)
        }
    }

    /// The cluster that holds `offset`, decompressed: exactly one cluster, whatever the stream would give.
    private func inflate(_ offset: UInt64) throws(ImageError) -> [UInt8] {
        guard header.compression == 0 else {
            throw .unsupported(feature: "zstd compression")
        }
        let entry = image.cachedEntry(offset)
        let extent = CompressedExtent(entry, geometry: header.geometry)
        let packed = try file.read(extent.length, at: HostOffset(bytes: extent.offset))
        guard let bytes = Inflate.cluster(packed, count: header.geometry.clusterBytes) else {
            throw .invalid(.compressedCluster, value: extent.offset, rule: "its stream is not one cluster of deflate")
        }
        return bytes
    }
}
