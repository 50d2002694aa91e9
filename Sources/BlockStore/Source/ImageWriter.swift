import Syscall
import SystemPackage

/// Fills an image of ours without a loop: the image's own plans, carried out by plain calls. For control code, which
/// may block, on an image that nobody else has.
final class ImageWriter {
    private let file: ImageFile
    private let image: Image

    /// - Parameter file: opened for writing.
    init(_ file: ImageFile) throws(ImageError) {
        self.file = file
        image = try ImageOpen.open(file, writable: true)
    }

    /// Writes whole clusters (or up to the end of the disk); those that are zero throughout stay unallocated.
    func write(_ bytes: [UInt8], at offset: UInt64) throws(ImageError) {
        var done = 0
        while done < bytes.count {
            let left = min(image.geometry.clusterBytes, bytes.count - done)
            let piece = bytes[done..<done + left]
            if !ImageWriter.isZero(piece) { try writeCluster(Array(piece), at: offset + UInt64(done)) }
            done += left
        }
    }

    private func writeCluster(_ bytes: [UInt8], at offset: UInt64) throws(ImageError) {
        while true {
            switch image.prepareWrite(offset, bytes.count) {
            case .inPlace(let host, _):
                return try file.write(bytes, at: host)
            case .allocate(let allocation, _):
                let start = image.geometry.start(allocation.run.first)
                try file.write(bytes, at: HostOffset(bytes: start.bytes + UInt64(allocation.head)))
                return image.finish(allocation)
            case .needs(let table):
                let read = try file.read(table.length, at: table.at)
                if case .damaged(let damage) = read.withUnsafeBytes({ image.install(table, $0) }) {
                    throw .damaged(damage)
                }
            case .full:
                try commit()
            case .busy, .needsRoom, .noSpace:
                throw .system(operation: .write, .noSpace)
            case .fault(let fault):
                throw .badMapping(fault, at: offset)
            }
        }
    }

    /// Makes the disk larger.
    func grow(to size: UInt64) throws(ImageError) {
        try image.grow(to: size) { offset, bytes throws(ImageError) in try file.allocate(bytes, at: offset) }
        try finish()
    }

    /// Makes everything durable.
    func finish() throws(ImageError) {
        try commit()
        // What the commit freed, tables that have moved, is counted as free by another.
        if image.isDirty { try commit() }
    }

    private func commit() throws(ImageError) {
        let commit = image.beginCommit()
        var phase = Commit.Phase.refcountBlocks
        for write in commit.writes {
            if write.phase != phase { try file.syncData() }
            phase = write.phase
            try file.write(write.bytes, at: write.at)
        }
        try file.syncData()
        image.commitSucceeded(commit)
        image.settle(commit.freed)
    }

    static func isZero(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset + 8 <= buffer.count {
                if buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self) != 0 { return false }
                offset += 8
            }
            return buffer[offset...].allSatisfy { $0 == 0 }
        }
    }

    /// Puts a piece into a buffer of zeroes that is made when the first piece comes.
    static func put(_ piece: [UInt8], into bytes: inout [UInt8]?, at offset: Int, of count: Int) {
        if bytes == nil { bytes = [UInt8](repeating: 0, count: count) }
        bytes?.replaceSubrange(offset..<offset + piece.count, with: piece)
    }
}
