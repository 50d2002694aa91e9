import ServiceLifecycle
import Syscall
import SystemPackage

/// Follows the manifest's files: a change that has settled asks for a reload.
struct ManifestWatch: Service {
    let paths: ManifestPaths
    let wants: Wants

    func run() async throws {
        await cancelWhenGracefulShutdown { await follow() }
    }

    private func follow() async {
        var known = Snapshot(paths)
        while true {
            do { try await Task.sleep(for: .seconds(1)) } catch { return }
            var now = Snapshot(paths)
            guard now != known else { continue }
            // Editors write in several steps: wait until two looks agree, for at most as long as anyone's patience.
            for _ in 0..<20 {
                do { try await Task.sleep(for: .milliseconds(100)) } catch { return }
                let again = Snapshot(paths)
                if again == now { break }
                now = again
            }
            known = now
            wants.add(.manifestChanged)
        }
    }
}

/// What tells one version of the files from another, without reading them.
private struct Snapshot: Hashable {
    private struct File: Hashable {
        let path: String
        /// Nil where there is no such file.
        let mark: Mark?
    }

    private struct Mark: Hashable {
        let inode: UInt64
        let length: UInt64
        let modified: Int64
    }

    private var files: [File] = []

    init(_ paths: ManifestPaths) {
        for path in paths.paths {
            let status = Self.status(path)
            add(path, status)
            guard status?.kind == .directory else { continue }
            for name in Self.names(path) where name.hasSuffix(".yaml") || name.hasSuffix(".yml") {
                add(path + "/" + name, Self.status(path + "/" + name))
            }
        }
    }

    private mutating func add(_ path: String, _ status: FileStatus?) {
        files.append(
            File(path: path, mark: status.map { Mark(inode: $0.inode, length: $0.length, modified: $0.modified) }))
    }

    /// Follows symbolic links by opening: manifests may be links into a store. What cannot be opened is not there.
    private static func status(_ path: String) -> FileStatus? {
        do throws(Errno) {
            return try Syscall.File.status(try Syscall.File.open(FilePath(path), .read))
        } catch {
            return nil
        }
    }

    private static func names(_ path: String) -> [String] {
        do throws(Errno) { return try Syscall.File.names(in: FilePath(path)) } catch { return [] }
    }
}
