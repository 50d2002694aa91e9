import Reconcile
import Syscall
import SystemPackage

/// Everything in a pool, from one look at each file's start.
struct PoolContents {
    /// An image or a volume.
    struct Item {
        var name: String
        var path: FilePath
        var format: VolumeFormat
        var size: UInt64 = 0
        var allocated: UInt64 = 0
        /// What an image's source hashed to.
        var sha256: String?
        /// The file that a volume builds on, as its header names it.
        var backing: String?
        /// Why it is not ours, or cannot be read; nil if it is ours.
        var trouble: String?
        /// Why it is not opened for writing, though it is ours.
        var fault: String?

        var isOurs: Bool { trouble == nil }
    }

    private(set) var images: [Item] = []
    private(set) var volumes: [Item] = []

    /// Looks at the pool in `root`; one that does not exist is empty.
    init(_ root: FilePath) throws(ImageError) {
        for (name, format) in try PoolContents.names(in: root) {
            volumes.append(PoolContents.item(VolumeKind.name, name, format, root))
        }
        for (name, format) in try PoolContents.names(in: root.appending(PoolPlaces.images)) where format == .qcow2 {
            images.append(PoolContents.item(ImageKind.name, name, format, root.appending(PoolPlaces.images)))
        }
    }

    /// The pools to look into: those that the node has, and those that the manifest names and that are not lost.
    static func roots(_ places: PoolPlaces.Listing, _ desired: Desired) -> [String: FilePath] {
        var roots = places.found
        for (name, spec) in desired.specs(of: PoolKind.self) where roots[name] == nil && places.lost[name] == nil {
            roots[name] = spec.path
        }
        return roots
    }

    /// The volumes that build on an image.
    func users(of image: String) -> [String] {
        let file = "\(PoolPlaces.images)/\(PoolFile.name(image, .qcow2))"
        return volumes.filter { $0.backing == file }.map { "\(VolumeKind.name)/\($0.name)" }
    }

    private static func names(in directory: FilePath) throws(ImageError) -> [(String, VolumeFormat)] {
        let status = try fileCall(.stat) { () throws(Errno) in try File.status(of: directory) }
        guard status?.kind == .directory else { return [] }
        let names = try fileCall(.list) { () throws(Errno) in try File.names(in: directory) }
        return names.compactMap { name in
            guard !name.hasPrefix("."), let component = FilePath.Component(name) else { return nil }
            guard let format = component.extension.flatMap(VolumeFormat.init(rawValue:)) else { return nil }
            return (component.stem, format)
        }
    }

    private static func item(_ kind: String, _ name: String, _ format: VolumeFormat, _ directory: FilePath) -> Item {
        let path = directory.appending(PoolFile.name(name, format))
        var item = Item(name: name, path: path, format: format)
        do throws(ImageError) {
            guard let look = try PoolFile.look(path) else {
                item.trouble = "has just gone"
                return item
            }
            item.size = look.size
            item.allocated = look.allocated
            item.backing = look.header?.backingFile
            item.sha256 = look.header?.sourceHash
            if look.header?.isCorrupt == true { item.fault = "\(path) \(ImageError.corrupt)" }
            if look.header?.isDirty == true { item.fault = "\(path) \(ImageError.dirty)" }
            if look.owner != "\(kind)/\(name)" {
                let whose = look.owner.map { "belongs to \($0)" } ?? "is not ours"
                item.trouble = "\(whose); move it away, or use another name"
            }
        } catch {
            item.trouble = "\(error)"
        }
        return item
    }
}
