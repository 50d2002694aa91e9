internal import Glibc
internal import SystemPackage

/// A directory of one test's own, gone with all it holds when the test ends.
public struct TemporaryDirectory: Sendable {
    /// Its absolute path.
    public let path: String

    /// Makes a directory only its owner can enter, runs the body and removes it, whatever the body throws.
    public static func with<Value>(_ body: (TemporaryDirectory) async throws -> Value) async throws -> Value {
        let directory = try TemporaryDirectory(path: make())
        do {
            let value = try await body(directory)
            try await output(of: ["rm", "-rf", "--", directory.path])
            return value
        } catch {
            _ = try await command(["rm", "-rf", "--", directory.path])
            throw error
        }
    }

    /// Makes a directory for its caller to remove; it is removed with this process at the latest.
    ///
    /// - Parameter parent: /var/tmp is a disk where /tmp may be memory, which tests of crashes and of direct I/O need;
    ///   /dev/shm is memory, for many small files.
    public static func make(in parent: String = "/var/tmp") throws -> String {
        var template = Array("\(parent)/\(Launcher.mark)XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
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
