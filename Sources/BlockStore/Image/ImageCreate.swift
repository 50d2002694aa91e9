import Syscall
import SystemPackage

/// Making image files: each appears under its name whole and durable, or not at all.
enum ImageCreate {
    /// What a new image is to be.
    struct Plan {
        /// Bytes of the disk, a multiple of 512.
        var size: UInt64
        var clusterBits = 16
        /// The name of the backing file, relative to the new image's directory, and its format.
        var backing: (file: String, format: String)?
        /// The resource that the image is for, as `volume/NAME`.
        var owner: String?
        /// What the file that it is imported from hashes to.
        var sourceHash: String?
        var refcountOrder: UInt32 = 4
    }

    /// Makes a qcow2 image that holds nothing yet.
    static func qcow2(_ path: FilePath, _ plan: Plan) throws(ImageError) {
        try place(path) { (file: borrowing Descriptor, _) throws(ImageError) in
            try writeEmpty(file, plan)
        }
    }

    /// Makes a raw image that holds nothing yet, and marks it as `owner`'s.
    static func raw(_ path: FilePath, size: UInt64, owner: String?) throws(ImageError) {
        try place(path) { (file: borrowing Descriptor, _) throws(ImageError) in
            do throws(Errno) {
                try File.truncate(file, to: size)
                if let owner { try File.setAttribute(file, OwnerMark.attribute, Array(owner.utf8)) }
            } catch {
                throw .system(operation: .truncate, error)
            }
        }
    }

    /// Writes a file under a temporary name and, once it is durable, gives it `path`, which must be free.
    static func place(
        _ path: FilePath, _ write: (borrowing Descriptor, FilePath) throws(ImageError) -> Void
    ) throws(ImageError) {
        guard let name = path.lastComponent?.string else { throw .system(operation: .open, .invalidArgument) }
        let directory = path.removingLastComponent()
        let temporary = directory.appending(".\(name)\(unfinished)")
        // What is left of a making that was cut short. Agents do not work at once on one state directory.
        try? File.remove(temporary)
        let file = try fileCall(.open) { () throws(Errno) in
            try File.open(temporary, .createNew(permissions: 0o600))
        }
        do throws(ImageError) {
            try write(file, temporary)
            try fileCall(.sync) { () throws(Errno) in try File.sync(file) }
            // A link, since a rename would replace what has the name.
            try fileCall(.rename) { () throws(Errno) in try File.link(temporary, to: path) }
        } catch {
            try? File.remove(temporary)
            throw error
        }
        try fileCall(.rename) { () throws(Errno) in try File.remove(temporary) }
        try syncDirectory(directory)
    }

    /// Removes what makings that were cut short have left.
    static func removeUnfinished(in directory: FilePath) throws(ImageError) {
        try fileCall(.remove) { () throws(Errno) in
            for name in try File.names(in: directory) where isUnfinished(name) {
                try File.remove(directory.appending(name))
            }
        }
    }

    /// Whether a file is one that is being made, or what is left of it.
    static func isUnfinished(_ name: String) -> Bool { name.hasPrefix(".") && name.hasSuffix(unfinished) }

    /// How the temporary name of a file that is being made ends.
    private static let unfinished = ".new"

    /// Makes the names in a directory durable.
    static func syncDirectory(_ path: FilePath) throws(ImageError) {
        try fileCall(.sync) { () throws(Errno) in
            let directory = try File.open(path, .directory)
            try File.sync(directory)
        }
    }

    /// Header, refcounts and L1 table of an empty image: a few clusters, for which the file system has room.
    ///
    ///     header | refcount table | refcount blocks | L1 table
    static func writeEmpty(_ file: borrowing Descriptor, _ plan: Plan) throws(ImageError) {
        let layout = try Layout(plan)
        let geometry = layout.geometry
        var header = layout.header
        if let backing = plan.backing {
            guard backing.file.utf8.count <= ImageHeader.maximumBackingNameBytes else {
                throw .backing(file: backing.file, reason: "its name is longer than 1023 bytes")
            }
            header.backingFile = backing.file
            header.extensions.append(HeaderExtension(type: HeaderExtension.backingFormat, text: backing.format))
        }
        if let owner = plan.owner {
            header.extensions.append(HeaderExtension(type: HeaderExtension.owner, text: owner))
        }
        if let hash = plan.sourceHash {
            header.extensions.append(HeaderExtension(type: HeaderExtension.sourceHash, text: hash))
        }
        let headerBytes = try header.encode()
        var table: [UInt8] = []
        for index in 0..<layout.blocks {
            table.append(bigEndian: geometry.start(HostCluster(index: layout.firstBlock + index)).bytes)
        }
        do throws(Errno) {
            try File.truncate(file, to: layout.total << UInt64(geometry.clusterBits))
            do throws(Errno) {
                try File.allocate(file, layout.total << UInt64(geometry.clusterBits), at: 0)
            } catch .notSupported {}
            try File.write(file, table, at: header.refcountTableOffset.bytes)
            for index in 0..<layout.blocks {
                let offset = geometry.start(HostCluster(index: layout.firstBlock + index))
                try File.write(file, layout.block(index), at: offset.bytes)
            }
            try File.write(file, headerBytes, at: 0)
        } catch {
            throw .system(operation: .write, error)
        }
    }

    /// Where everything goes in an empty image.
    private struct Layout {
        let geometry: Geometry
        let header: ImageHeader
        let blocks: UInt64
        let firstBlock: UInt64
        let total: UInt64

        init(_ plan: Plan) throws(ImageError) {
            let geometry = Geometry(clusterBits: plan.clusterBits)
            let limit = Image.maximumSize(geometry)
            guard plan.size % 512 == 0, plan.size <= limit else {
                throw .size(plan.size, rule: "a multiple of 512, at most \(limit) bytes")
            }
            let tables = max(1, geometry.tables(for: plan.size))
            let l1Clusters = max(1, geometry.clusters(for: tables * 8))
            let perBlock = UInt64(geometry.clusterBytes * 8) >> UInt64(plan.refcountOrder)
            var blocks: UInt64 = 1
            var tableClusters: UInt64 = 1
            while true {
                let total = 1 + tableClusters + blocks + l1Clusters
                let neededBlocks = (total + perBlock - 1) / perBlock
                let neededTable = geometry.clusters(for: neededBlocks * 8)
                if neededBlocks <= blocks, neededTable <= tableClusters { break }
                blocks = max(blocks, neededBlocks)
                tableClusters = max(tableClusters, neededTable)
            }
            self.geometry = geometry
            self.blocks = blocks
            firstBlock = 1 + tableClusters
            total = 1 + tableClusters + blocks + l1Clusters
            var header = ImageHeader(
                geometry: geometry, size: plan.size, l1Size: UInt32(tables),
                l1Offset: geometry.start(HostCluster(index: firstBlock + blocks)),
                refcountTableOffset: geometry.start(HostCluster(index: 1)),
                refcountTableClusters: UInt32(tableClusters))
            header.refcountOrder = plan.refcountOrder
            self.header = header
        }

        /// The bytes of a refcount block: one for each cluster up to `total`.
        func block(_ index: UInt64) -> [UInt8] {
            var block = RefcountBlock(
                offset: geometry.start(HostCluster(index: firstBlock + index)), order: header.refcountOrder,
                bytes: [UInt8](repeating: 0, count: geometry.clusterBytes))
            let first = index * UInt64(block.count)
            guard total > first else { return block.bytes }
            for place in 0..<Int(min(UInt64(block.count), total - first)) { block.set(place, 1) }
            return block.bytes
        }
    }
}

/// The mark of an image without a header: an extended attribute of the file.
enum OwnerMark {
    static let attribute = "user.sdagent.owner"

    /// The owner of a raw image; nil if it is not ours.
    static func read(_ file: borrowing Descriptor) throws(ImageError) -> String? {
        let value = try fileCall(.read) { () throws(Errno) in try File.attribute(file, attribute) }
        return value.flatMap { String(validating: $0, as: UTF8.self) }
    }
}
