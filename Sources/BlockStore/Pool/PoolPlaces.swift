import Reconcile
import Syscall
public import SystemPackage

/// Where pools are on this node. A pool at the default place is a directory in the state directory's `pools`; one that
/// lies elsewhere has a symbolic link there, so that its volumes are still found when the manifest no longer names it.
public struct PoolPlaces: Sendable {
    /// The file by which a directory is known as a pool of ours; it holds the pool's id.
    static let marker = ".sdagent-pool"
    /// The directory in a pool that holds images; volumes lie beside it.
    static let images = "images"

    /// The `pools` directory.
    public let directory: FilePath

    /// - Parameter state: the agent's state directory.
    public init(state: FilePath) {
        directory = state.appending("pools")
    }

    /// Where a pool lies if the manifest does not say.
    func defaultPath(_ name: String) -> FilePath { directory.appending(name) }

    /// The pools of this node by name.
    struct Listing {
        /// Where those lie that carry our mark.
        var found: [String: FilePath] = [:]
        /// Where those should lie whose link leads to nothing, or to a directory without their mark: most likely their
        /// file system is not mounted. Nothing is made in their place.
        var lost: [String: FilePath] = [:]
    }

    func listing() throws(ImageError) -> Listing {
        var listing = Listing()
        guard try stat(directory) != nil else { return listing }
        let names = try fileCall(.list) { () throws(Errno) in try File.names(in: directory) }
        for name in names where !name.hasPrefix(".") {
            let entry = directory.appending(name)
            let link = try fileCall(.stat) { () throws(Errno) in try File.target(of: entry) }
            if PoolPlaces.isPool(name, at: link ?? entry) {
                listing.found[name] = link ?? entry
            } else if let link {
                listing.lost[name] = link
            }
        }
        return listing
    }

    func stat(_ path: FilePath) throws(ImageError) -> FileStatus? {
        try fileCall(.stat) { () throws(Errno) in try File.status(of: path) }
    }

    /// The id of the pool that a directory is, by its mark; nil if it has none.
    static func owner(of path: FilePath) -> String? {
        guard let file = try? File.open(path.appending(marker), .read) else { return nil }
        guard let bytes = try? File.read(file, count: 256, at: 0) else { return nil }
        return String(validating: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
    /// Whether a directory is the pool of that name.
    static func isPool(_ name: String, at path: FilePath) -> Bool {
        owner(of: path) == PoolKind.id(name).description
    }
}
