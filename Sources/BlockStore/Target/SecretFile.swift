internal import ISCSI
internal import Syscall
internal import SystemPackage

/// What is wrong with a file that holds a CHAP secret.
struct SecretFault: Error, CustomStringConvertible {
    let path: String
    let problem: String

    var description: String { "the secret file \(path) \(problem)" }
}

/// Reads the secrets of CHAP: files of mode 0600 with one secret each. What they hold is never printed.
enum SecretFile {
    /// Bytes that a secret has at least, as RFC 7143 section 9.2.1 asks where IPsec does not protect the connection.
    static let minBytes = 12
    private static let maxBytes = 255

    /// The credential of `user` with the secret of the file: its bytes up to the end of its only line.
    static func read(user: String, path: String) throws(SecretFault) -> CHAPCredential {
        let status: FileStatus
        let bytes: [UInt8]
        do throws(Errno) {
            let file = try File.open(FilePath(path), .read)
            status = try File.status(file)
            bytes = status.kind == .file ? try File.read(file, count: maxBytes + 2, at: 0) : []
        } catch {
            throw SecretFault(path: path, problem: "cannot be read: \(error)")
        }
        guard status.kind == .file else {
            throw SecretFault(path: path, problem: "is not a regular file: write the secret into a file of mode 0600")
        }
        let own = OwnProcess.user
        guard status.owner == 0 || status.owner == own else {
            throw SecretFault(
                path: path,
                problem: "belongs to the user \(status.owner), who can change it: chown \(own) \(path)")
        }
        guard status.permissions & 0o077 == 0 else {
            let mode = String(status.permissions, radix: 8)
            throw SecretFault(path: path, problem: "has mode \(mode), so that others can read it: chmod 600 \(path)")
        }
        var secret = bytes[...]
        while let last = secret.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { secret.removeLast() }
        guard !secret.contains(UInt8(ascii: "\n")) else {
            throw SecretFault(path: path, problem: "has more than one line")
        }
        guard secret.count >= minBytes, secret.count <= maxBytes else {
            throw SecretFault(
                path: path,
                problem: "holds \(secret.count) bytes; a CHAP secret has \(minBytes) to \(maxBytes) (RFC 7143, 9.2.1)")
        }
        return CHAPCredential(name: user, secret: Array(secret))
    }
}
