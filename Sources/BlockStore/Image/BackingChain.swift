import Syscall
import SystemPackage

/// An image and the files it builds on, top first, all of them open. The bytes of a range come from the first layer
/// that has something to say.
struct BackingChain {
    /// One file of the chain.
    enum Layer {
        case qcow2(Image)
        /// A file whose bytes are the disk's, so many of them.
        case raw(UInt64)
    }

    /// More layers are refused: every one costs a lookup, and a loop of names would have no end.
    static let maximumDepth = 32

    /// A chain of no files.
    static var closed: BackingChain { BackingChain(layers: [], files: []) }

    private(set) var layers: [Layer]
    private(set) var files: [ImageFile]

    /// Opens the image `name` and what it builds on.
    /// - Parameters:
    ///   - root: the pool's directory, outside of which no name leads.
    ///   - name: the path of the top file below `root`.
    ///   - format: of the top file; those of the others stand in the images that name them.
    static func open(
        root: FilePath, name: String, format: VolumeFormat, access: ImageFile.Access,
        budget: Int = ImageOpen.defaultBudget
    ) throws(ImageError) -> BackingChain {
        var chain = BackingChain(layers: [], files: [])
        var next: (name: String, format: VolumeFormat)? = (name, format)
        while let current = next {
            guard chain.layers.count < maximumDepth else {
                throw .backing(file: current.name, reason: "the chain has more than \(maximumDepth) files")
            }
            let isTop = chain.layers.isEmpty
            do throws(ImageError) {
                let access = isTop || access == .observe ? access : .read
                let file = try ImageFile(resolve(current.name, below: root), access)
                chain.files.append(file)
                next = try chain.append(file, current.format, current.name, access, budget)
            } catch {
                // The caller names the top file.
                if isTop, case .backing(current.name, let reason) = error { throw .unusable(reason: reason) }
                if isTop { throw error }
                if case .backing = error { throw error }
                throw .backing(file: current.name, reason: "it \(error)")
            }
        }
        return chain
    }

    /// Adds the layer that a file holds.
    /// - Returns: the file that it builds on.
    private mutating func append(
        _ file: ImageFile, _ format: VolumeFormat, _ name: String, _ access: ImageFile.Access, _ budget: Int
    ) throws(ImageError) -> (name: String, format: VolumeFormat)? {
        guard format == .qcow2 else {
            layers.append(.raw(try file.length()))
            return nil
        }
        let image = try ImageOpen.open(file, writable: access == .write, budget: budget)
        layers.append(.qcow2(image))
        return try Self.backing(of: image.header, at: name)
    }

    /// The backing file that a header names, as a path below the pool.
    private static func backing(
        of header: ImageHeader, at name: String
    ) throws(ImageError) -> (name: String, format: VolumeFormat)? {
        guard let file = header.backingFile else { return nil }
        guard let stated = header.backingFormat else {
            throw .backing(file: file, reason: "its format is not stated; set it with qemu-img rebase -u -F")
        }
        guard let format = VolumeFormat(rawValue: stated) else {
            throw .backing(file: file, reason: "its format '\(stated)' is not served; qcow2 and raw are")
        }
        guard let slash = name.lastIndex(of: "/") else { return (file, format) }
        return (name[...slash] + file, format)
    }

    /// The path of a name below `root`: relative, without `..`, and through no symbolic link.
    static func resolve(_ name: String, below root: FilePath) throws(ImageError) -> FilePath {
        let relative = FilePath(name)
        guard relative.root == nil, !name.isEmpty else {
            throw .backing(file: name, reason: "only names relative to the image, inside its pool, are followed")
        }
        var path = root
        for component in relative.components {
            guard component.kind != .parentDirectory else {
                throw .backing(file: name, reason: "only names inside the pool are followed")
            }
            guard component.kind == .regular else { continue }
            path.append(component)
            let here = path
            let status = try fileCall(.stat) { () throws(Errno) in try File.status(of: here) }
            guard let status else { throw .backing(file: name, reason: "there is no such file") }
            guard status.kind == .file || status.kind == .directory else {
                throw .backing(file: name, reason: "it is neither a file nor a directory")
            }
        }
        return path
    }

    /// Where the bytes from `offset` on are: one piece, at most `length` long.
    /// - Parameter layer: the first layer to ask; 1 asks what the top would show if it held nothing.
    @inline(__always)
    func map(from layer: Int = 0, _ offset: UInt64, _ length: Int) -> Extent {
        var length = length
        var index = layer
        while index < layers.count {
            switch layers[index] {
            case .raw(let size):
                guard offset < size else { return .zero(length) }
                return .data(index, HostOffset(bytes: offset), Int(min(UInt64(length), size - offset)))
            case .qcow2(let image):
                // What lies beyond the end of a shorter layer is zero, whatever is below it.
                guard offset < image.size else { return .zero(length) }
                length = Int(min(UInt64(length), image.size - offset))
                switch image.lookup(offset, length) {
                case .data(let host, let count): return .data(index, host, count)
                case .zero(let count): return .zero(count)
                case .unallocated(let count): length = count
                case .needs(let read): return .needs(index, read)
                case .fault(let fault): return .fault(index, fault)
                }
            }
            index += 1
        }
        return .zero(length)
    }
}

/// Where a piece of the disk is.
enum Extent: Equatable {
    /// In the file of a layer.
    case data(Int, HostOffset, Int)
    case zero(Int)
    /// A table of a layer must be read first.
    case needs(Int, TableRead)
    /// A layer cannot serve it.
    case fault(Int, MappingFault)
}

/// How a file holds a disk.
public enum VolumeFormat: String, Sendable, CaseIterable {
    case qcow2, raw
}
