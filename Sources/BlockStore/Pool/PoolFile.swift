import Syscall
import SystemPackage

/// A file in a pool as it looks from outside: one read of its start.
enum PoolFile {
    /// What a volume's or an image's file shows.
    struct Look {
        var format: VolumeFormat
        /// Bytes of the disk.
        var size: UInt64
        /// Bytes that the file system has given to it.
        var allocated: UInt64
        /// The resource that it belongs to; nil if it is not ours.
        var owner: String?
        var header: ImageHeader?
    }

    /// The ending of a file's name for a format.
    static func name(_ name: String, _ format: VolumeFormat) -> String { "\(name).\(format.rawValue)" }

    /// The resource that a file belongs to; nil if it is not ours, or cannot be read.
    static func owner(_ path: FilePath) -> String? {
        (try? look(path))?.flatMap(\.owner)
    }

    /// Looks at a file; nil if there is none. Its format follows from its name, never from its bytes.
    static func look(_ path: FilePath) throws(ImageError) -> Look? {
        let status = try fileCall(.stat) { () throws(Errno) in try File.status(of: path) }
        guard let status else { return nil }
        guard status.kind == .file else { return Look(format: .raw, size: 0, allocated: 0) }
        let file = try ImageFile(path, .observe)
        guard path.extension == VolumeFormat.qcow2.rawValue else {
            return Look(
                format: .raw, size: status.length, allocated: status.allocated,
                owner: try OwnerMark.read(file.descriptor))
        }
        let header = try file.header()
        return Look(
            format: .qcow2, size: header.size, allocated: status.allocated, owner: header.owner, header: header)
    }

    /// Makes a directory and those above it, for the agent alone.
    static func makeDirectories(_ path: FilePath) throws(ImageError) {
        var missing: [FilePath] = []
        var current = path
        while !current.components.isEmpty {
            let here = current
            let status = try fileCall(.stat) { () throws(Errno) in try File.status(of: here) }
            if status != nil { break }
            missing.append(current)
            current = current.removingLastComponent()
        }
        for directory in missing.reversed() {
            try fileCall(.makeDirectory) { () throws(Errno) in
                do throws(Errno) { try File.makeDirectory(directory, permissions: 0o700) } catch .fileExists {}
            }
        }
    }
}
