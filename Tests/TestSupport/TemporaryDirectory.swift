internal import Glibc
internal import Subprocess
internal import SystemPackage

/// A directory of one test's own, gone with all it holds when the test ends.
public struct TemporaryDirectory: Sendable {
    /// Its absolute path.
    public let path: String

    /// Makes a directory only its owner can enter, runs the body and removes it, whatever the body throws.
    ///
    /// It lies under /var/tmp, which is a disk where /tmp may be memory: tests of crashes and of direct I/O need one.
    public static func with<Value>(_ body: (TemporaryDirectory) async throws -> Value) async throws -> Value {
        var template = Array("/var/tmp/sdt-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw Errno(rawValue: errno) }
        let directory = TemporaryDirectory(path: String(cString: made))
        do {
            let value = try await body(directory)
            try await output(of: ["rm", "-rf", "--", directory.path])
            return value
        } catch {
            _ = try await command(["rm", "-rf", "--", directory.path])
            throw error
        }
    }

    /// The path of an entry.
    public func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a whole text file and returns its path.
    @discardableResult
    public func write(_ text: String, to name: String, mode: UInt16 = 0o644) throws -> String {
        let descriptor = try FileDescriptor.open(
            file(name), .writeOnly, options: [.create, .truncate], permissions: FilePermissions(rawValue: UInt32(mode)))
        try descriptor.closeAfter { _ = try descriptor.writeAll(text.utf8) }
        return file(name)
    }

    /// Reads a whole text file.
    public func read(_ name: String) throws -> String { try text(ofFile: file(name)) }
}

/// Reads a whole text file of any size that a test would want.
public func text(ofFile path: String) throws -> String {
    let descriptor = try FileDescriptor.open(path, .readOnly)
    return try descriptor.closeAfter {
        var bytes: [UInt8] = []
        while true {
            let part = try [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
                count = try descriptor.read(into: UnsafeMutableRawBufferPointer(buffer))
            }
            guard !part.isEmpty else { break }
            bytes += part
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
