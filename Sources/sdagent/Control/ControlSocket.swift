import Syscall
import SystemPackage

/// The file that the daemon answers on.
struct ControlSocket {
    let path: String

    /// Makes room for a new socket: removes one that nobody answers on, and nothing else.
    func clear() throws {
        guard path.utf8.count <= UnixSocket.maximumPathLength else {
            throw ControlError(path, .connect(.fileNameTooLong))
        }
        let file = FilePath(path)
        try StateDirectory.makeDirectories(file.removingLastComponent(), permissions: 0o755)
        if try ControlClient(socketPath: path).isAnswering() {
            throw CommandError("another daemon answers on \(path): stop it, or give this one another --socket")
        }
        do throws(Errno) {
            guard let status = try File.status(of: file) else { return }
            guard status.kind == .socket else { throw .fileExists }
            try File.remove(file)
        } catch .fileExists {
            throw CommandError("\(path) exists and is not a socket: remove it, or give another --socket")
        } catch {
            throw StateError(file, "remove the stale socket", error)
        }
    }
}
