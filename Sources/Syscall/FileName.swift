internal import CLinux
internal import Glibc
public import SystemPackage

extension File {
    /// Gives a file a second name, which must be free.
    public static func link(_ from: FilePath, to: FilePath) throws(Errno) {
        let (old, new) = (from.string, to.string)
        try linuxCall { Glibc.link(old, new) }
    }

    /// Makes a symbolic link `path` that leads to `target`.
    public static func makeLink(_ path: FilePath, to target: FilePath) throws(Errno) {
        let (name, place) = (path.string, target.string)
        try linuxCall { symlink(place, name) }
    }

    /// The absolute path of what a name leads to, without symbolic links: realpath(3).
    public static func realPath(_ path: FilePath) throws(Errno) -> FilePath {
        guard let real = realpath(path.string, nil) else { throw lastError() }
        defer { free(real) }
        return FilePath(String(cString: real))
    }

    /// Where a symbolic link leads; nil if there is none of that name.
    public static func target(of path: FilePath) throws(Errno) -> FilePath? {
        let name = path.string
        var place = [CChar](repeating: 0, count: Int(PATH_MAX))
        do throws(Errno) {
            let count = try linuxCall { readlink(name, &place, place.count) }
            let bytes = place.prefix(count).map { UInt8(bitPattern: $0) }
            return FilePath(String(decoding: bytes, as: UTF8.self))
        } catch .noSuchFileOrDirectory {
            return nil
        } catch .invalidArgument {
            return nil
        }
    }

    /// A second descriptor of the same open file: one offset, one set of locks.
    public static func duplicate(_ file: borrowing Descriptor) throws(Errno) -> Descriptor {
        let raw = file.raw
        return Descriptor(adopting: try linuxCall { fcntl(raw, F_DUPFD_CLOEXEC, 0) })
    }

    /// Sets an extended attribute (xattr(7)).
    public static func setAttribute(
        _ file: borrowing Descriptor, _ name: String, _ value: [UInt8]
    ) throws(Errno) {
        let raw = file.raw
        try linuxCall { sda_fsetxattr(raw, name, value, value.count) }
    }

    /// An extended attribute of at most 4 KiB; nil if the file has none by that name, or cannot have any.
    public static func attribute(_ file: borrowing Descriptor, _ name: String) throws(Errno) -> [UInt8]? {
        let raw = file.raw
        var value = [UInt8](repeating: 0, count: 4096)
        do throws(Errno) {
            let count = try linuxCall { sda_fgetxattr(raw, name, &value, value.count) }
            return Array(value.prefix(Int(count)))
        } catch .noData {
            return nil
        } catch .notSupported {
            return nil
        }
    }
}
