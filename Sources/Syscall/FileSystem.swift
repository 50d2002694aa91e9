internal import CLinux
public import SystemPackage

/// What a file system is, how full it is, and what it can do.
public struct FileSystem: Hashable, Sendable {
    /// Its name, such as "ext4"; a number in hexadecimal where it is one that we do not know.
    public let name: String
    /// Bytes in all.
    public let size: UInt64
    /// Bytes that an ordinary user may still take.
    public let free: UInt64
    /// What it can do: the errno by which something is refused, nil where it works.
    public struct Abilities: Hashable, Sendable {
        /// Holes punched into files: a discard by a guest gives space back.
        public let holes: Errno?
        /// Files that share their blocks: ioctl_ficlone(2).
        public let clones: Errno?
        /// Transfers past the page cache: O_DIRECT.
        public let direct: Errno?

        public init(holes: Errno? = nil, clones: Errno? = nil, direct: Errno? = nil) {
            self.holes = holes
            self.clones = clones
            self.direct = direct
        }
    }

    public init(name: String, size: UInt64, free: UInt64) {
        self.name = name
        self.size = size
        self.free = free
    }

    /// Asks the one that a directory lies on: statfs(2).
    public init(of directory: FilePath) throws(Errno) {
        let path = directory.string
        var number: UInt32 = 0
        var (size, free): (UInt64, UInt64) = (0, 0)
        try linuxCall { sda_file_system(path, &number, &size, &free) }
        name = Self.names[number] ?? "0x" + String(number, radix: 16)
        self.size = size
        self.free = free
    }

    /// linux/magic.h.
    private static let names: [UInt32: String] = [
        0xef53: "ext4", 0x5846_5342: "xfs", 0x9123_683e: "btrfs", 0x0102_1994: "tmpfs", 0x794c_7630: "overlayfs",
        0x2fc1_2fc1: "zfs", 0xf2f5_2010: "f2fs", 0xca45_1a4e: "bcachefs", 0x6969: "nfs", 0x00c3_6400: "ceph",
        0x6573_5546: "fuse", 0x5346_4e45: "smb", 0x8584_58f6: "ramfs", 0x4d44: "vfat",
    ]

    /// Tries what it can do, on a file in the directory that never has a name (O_TMPFILE).
    ///
    /// - Throws: EACCES and EROFS where nothing may be written; EOPNOTSUPP where files without names cannot be.
    public static func abilities(in directory: FilePath) throws(Errno) -> Abilities {
        let path = directory.string
        let file = Descriptor(adopting: try linuxCall { sda_open_unnamed(path, false) })
        try File.truncate(file, to: 1 << 16)
        return Abilities(
            holes: failure { () throws(Errno) in try linuxCall { sda_punch_hole(file.raw, 0, 4096) } },
            clones: failure { () throws(Errno) in
                let copy = Descriptor(adopting: try linuxCall { sda_open_unnamed(path, false) })
                try linuxCall { sda_clone_file(copy.raw, file.raw) }
            },
            direct: failure { () throws(Errno) in
                _ = Descriptor(adopting: try linuxCall { sda_open_unnamed(path, true) })
            })
    }

    private static func failure(_ body: () throws(Errno) -> Void) -> Errno? {
        do throws(Errno) {
            try body()
            return nil
        } catch {
            return error
        }
    }
}
