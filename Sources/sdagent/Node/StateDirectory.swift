import Syscall
import SystemPackage

/// The directory of one agent (`--state`): its locks and the manifests that were applied. Nothing in it mirrors the
/// node.
struct StateDirectory: Sendable {
    let path: FilePath

    /// Makes the directory, for root alone, where it is not there.
    func prepare() throws(StateError) {
        try Self.makeDirectories(path, permissions: 0o700)
    }

    /// Makes a directory and those above it.
    static func makeDirectories(_ path: FilePath, permissions: UInt16) throws(StateError) {
        do throws(Errno) {
            if try File.status(of: path)?.kind == .directory { return }
        } catch {
            throw StateError(path, "look at", error)
        }
        let parent = path.removingLastComponent()
        if parent != path, !parent.isEmpty { try makeDirectories(parent, permissions: 0o755) }
        do throws(Errno) {
            try File.makeDirectory(path, permissions: permissions)
        } catch .fileExists {
            // Somebody was faster, or it is a link to a directory.
        } catch {
            throw StateError(path, "make the directory", error)
        }
    }

    /// Writes a file so that after a power cut it holds the old bytes or the new ones, and nothing between.
    static func replace(_ path: FilePath, with bytes: [UInt8]) throws(StateError) {
        var temporary = path
        temporary.removeLastComponent()
        temporary.append(".\(path.lastComponent?.string ?? "file").new")
        do throws(Errno) {
            // One that a crash has left behind; only the holder of the lock comes here.
            if try File.status(of: temporary) != nil { try File.remove(temporary) }
            let file = try File.open(temporary, .createNew(permissions: 0o600))
            try File.write(file, bytes, at: 0)
            try File.sync(file)
            try file.close()
            try File.rename(temporary, to: path)
            try File.sync(try File.open(path.removingLastComponent(), .directory))
        } catch {
            throw StateError(path, "write", error)
        }
    }
}

/// What went wrong with a file of the state directory.
struct StateError: Error, CustomStringConvertible {
    let path: FilePath
    let operation: String
    let cause: Errno

    init(_ path: FilePath, _ operation: String, _ cause: Errno) {
        self.path = path
        self.operation = operation
        self.cause = cause
    }

    var description: String {
        let remedy =
            switch cause {
            case .permissionDenied, .notPermitted: "; run the command as root, or choose another place with --state"
            case .readOnlyFileSystem: "; the file system is read-only: choose another place with --state"
            case .noSpace: "; the file system is full"
            case .notDirectory: "; something that is not a directory stands in its way"
            default: ""
            }
        return "cannot \(operation) \(path): \(cause)\(remedy)"
    }
}
