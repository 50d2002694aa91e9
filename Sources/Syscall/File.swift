internal import CLinux
internal import Glibc
public import SystemPackage

/// Whole-file calls on owned descriptors: open, positioned reads and writes, durability, space, names.
public enum File {
    /// How a file is opened. Every way closes on exec and follows the rules of open(2).
    public enum Mode: Sendable {
        /// An existing file, for reading.
        case read
        /// An existing file, for reading and writing.
        case readWrite
        /// A new file, for reading and writing; fails with `.fileExists` if the name is taken.
        case createNew(permissions: UInt16)
        /// A directory, to sync it or to name files in it.
        case directory
    }

    /// Opens `path`; never waits, so a FIFO opens for reading without a writer.
    public static func open(_ path: FilePath, _ mode: Mode) throws(Errno) -> Descriptor {
        let flags: CInt
        var permissions: mode_t = 0
        switch mode {
        case .read: flags = O_RDONLY | O_NONBLOCK
        case .readWrite: flags = O_RDWR | O_NONBLOCK
        case .createNew(let bits):
            flags = O_RDWR | O_CREAT | O_EXCL
            permissions = mode_t(bits)
        case .directory: flags = O_RDONLY | O_DIRECTORY
        }
        let name = path.string
        let raw = try linuxCall { Glibc.open(name, flags | O_CLOEXEC, permissions) }
        let file = Descriptor(adopting: raw)
        if flags & O_NONBLOCK != 0 { try allowWaiting(file, flags & ~O_NONBLOCK) }
        return file
    }

    /// Takes O_NONBLOCK from a regular file or a block device again: an io_uring would end their reads with EAGAIN
    /// where the page cache does not have the bytes (io_uring/rw.c, REQ_F_NOWAIT). All other kinds keep it.
    private static func allowWaiting(_ file: borrowing Descriptor, _ flags: CInt) throws(Errno) {
        let raw = file.raw
        switch try status(file).kind {
        case .file, .blockDevice: try linuxCall { fcntl(raw, F_SETFL, flags) }
        default: break
        }
    }

    /// Reads up to `buffer.count` bytes at `offset`, whole unless the file ends; returns what there was.
    public static func read(
        _ file: borrowing Descriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int {
        let raw = file.raw
        var done = 0
        while done < buffer.count {
            guard let position = off_t(exactly: offset &+ UInt64(done)) else { throw .invalidArgument }
            let target = buffer.baseAddress?.advanced(by: done)
            let left = buffer.count - done
            let count = try linuxCall { pread(raw, target, left, position) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Reads up to `count` bytes at `offset` to the beginning of `bytes`, which are as many; returns what there was.
    public static func read(
        _ file: borrowing Descriptor, into bytes: inout [UInt8], count: Int, at offset: UInt64
    ) throws(Errno) -> Int {
        var failure: Errno?
        let got = bytes.withUnsafeMutableBytes { buffer in
            do throws(Errno) {
                return try read(file, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), at: offset)
            } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw failure }
        return got
    }

    /// Reads `count` bytes at `offset`; the result is shorter only where the file ends.
    public static func read(
        _ file: borrowing Descriptor, count: Int, at offset: UInt64
    ) throws(Errno) -> [UInt8] {
        var failure: Errno?
        let raw = file.raw
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            do throws(Errno) {
                while filled < count {
                    guard let position = off_t(exactly: offset &+ UInt64(filled)) else { throw .invalidArgument }
                    let target = buffer.baseAddress?.advanced(by: filled)
                    let left = count - filled
                    let got = try linuxCall { pread(raw, target, left, position) }
                    if got == 0 { break }
                    filled += got
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Writes all of `bytes` at `offset`.
    public static func write(
        _ file: borrowing Descriptor, _ bytes: UnsafeRawBufferPointer, at offset: UInt64
    ) throws(Errno) {
        let raw = file.raw
        var done = 0
        while done < bytes.count {
            guard let position = off_t(exactly: offset &+ UInt64(done)) else { throw .invalidArgument }
            let source = bytes.baseAddress?.advanced(by: done)
            let left = bytes.count - done
            done += try linuxCall { pwrite(raw, source, left, position) }
        }
    }

    /// Writes all of `bytes` at `offset`.
    public static func write(_ file: borrowing Descriptor, _ bytes: [UInt8], at offset: UInt64) throws(Errno) {
        var failure: Errno?
        let raw = file.raw
        bytes.withUnsafeBytes { buffer in
            do throws(Errno) {
                var done = 0
                while done < buffer.count {
                    guard let position = off_t(exactly: offset &+ UInt64(done)) else { throw .invalidArgument }
                    let source = buffer.baseAddress?.advanced(by: done)
                    let left = buffer.count - done
                    done += try linuxCall { pwrite(raw, source, left, position) }
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// Makes the file's data, and what is needed to find it, durable: fdatasync(2).
    public static func syncData(_ file: borrowing Descriptor) throws(Errno) {
        let raw = file.raw
        try linuxCall { fdatasync(raw) }
    }

    /// Makes the file and its attributes durable; on a directory, its names: fsync(2).
    public static func sync(_ file: borrowing Descriptor) throws(Errno) {
        let raw = file.raw
        try linuxCall { fsync(raw) }
    }

    /// Sets the file's length; a longer file reads as zero in the new part.
    public static func truncate(_ file: borrowing Descriptor, to length: UInt64) throws(Errno) {
        let raw = file.raw
        guard let length = off_t(exactly: length) else { throw .fileTooLarge }
        try linuxCall { ftruncate(raw, length) }
    }

    /// Gives a range of the file blocks, which read as zero where nothing was written, so that no write there fails for
    /// want of room; the file grows if it ends before (fallocate(2), mode 0).
    /// - Throws: `.notSupported` if the file system cannot promise room.
    public static func allocate(_ file: borrowing Descriptor, _ bytes: UInt64, at offset: UInt64) throws(Errno) {
        let raw = file.raw
        guard let start = Int64(exactly: offset), let length = Int64(exactly: bytes) else { throw .fileTooLarge }
        guard length > 0 else { return }
        try linuxCall { sda_allocate(raw, start, length) }
    }

    /// What stat(2) says of an open file.
    public static func status(_ file: borrowing Descriptor) throws(Errno) -> FileStatus {
        let raw = file.raw
        var value = stat()
        try linuxCall { fstat(raw, &value) }
        return FileStatus(value)
    }

    /// What stat(2) says of a name; nil if nothing has it. Symbolic links are not followed.
    public static func status(of path: FilePath) throws(Errno) -> FileStatus? {
        let name = path.string
        var value = stat()
        do throws(Errno) {
            try linuxCall { lstat(name, &value) }
        } catch .noSuchFileOrDirectory {
            return nil
        }
        return FileStatus(value)
    }

    /// Gives `from` the name `to`, replacing what had it.
    public static func rename(_ from: FilePath, to: FilePath) throws(Errno) {
        let (old, new) = (from.string, to.string)
        try linuxCall { Glibc.rename(old, new) }
    }

    /// Removes a file's name.
    public static func remove(_ path: FilePath) throws(Errno) {
        let name = path.string
        try linuxCall { unlink(name) }
    }

    /// Removes an empty directory.
    public static func removeDirectory(_ path: FilePath) throws(Errno) {
        let name = path.string
        try linuxCall { rmdir(name) }
    }

    /// Makes one directory; its parent must be there.
    public static func makeDirectory(_ path: FilePath, permissions: UInt16) throws(Errno) {
        let name = path.string
        try linuxCall { mkdir(name, mode_t(permissions)) }
    }

    /// The names in a directory, sorted, without `.` and `..`.
    public static func names(in path: FilePath) throws(Errno) -> [String] {
        guard let directory = opendir(path.string) else { throw lastError() }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}

extension File {
    /// Bytes of the file system that a directory lies in, and how many of them are free for this process: root may use
    /// what is reserved (statvfs(3)).
    public static func space(of path: FilePath) throws(Errno) -> (free: UInt64, total: UInt64) {
        let name = path.string
        var value = statvfs()
        try linuxCall { statvfs(name, &value) }
        let unit = UInt64(value.f_frsize)
        let blocks = OwnProcess.user == 0 ? value.f_bfree : value.f_bavail
        return (UInt64(blocks) &* unit, UInt64(value.f_blocks) &* unit)
    }
}

/// What stat(2) tells of a file.
public struct FileStatus: Sendable {
    /// What the name stands for.
    public enum Kind: Sendable { case file, directory, symbolicLink, blockDevice, socket, other }

    public let kind: Kind
    /// Bytes, as the file's length.
    public let length: UInt64
    /// Bytes that the file system has allocated.
    public let allocated: UInt64
    /// Permission bits, 0o7777.
    public let permissions: UInt16
    /// The user who owns it.
    public let owner: UInt32
    /// Device and inode: equal for two names of one file.
    public let device: UInt64
    public let inode: UInt64
    /// Nanoseconds since the epoch of the last change of the contents.
    public let modified: Int64

    init(_ value: stat) {
        switch value.st_mode & S_IFMT {
        case S_IFREG: kind = .file
        case S_IFDIR: kind = .directory
        case S_IFLNK: kind = .symbolicLink
        case S_IFBLK: kind = .blockDevice
        case S_IFSOCK: kind = .socket
        default: kind = .other
        }
        length = UInt64(clamping: value.st_size)
        allocated = UInt64(clamping: value.st_blocks) &* 512
        permissions = UInt16(truncatingIfNeeded: value.st_mode & 0o7777)
        owner = value.st_uid
        device = UInt64(value.st_dev)
        inode = UInt64(value.st_ino)
        modified = Int64(value.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(value.st_mtim.tv_nsec)
    }
}

extension File {
    /// Whether a file has data at `offset`, and where that changes: at the next hole or data, or the end of the file
    /// (lseek(2), SEEK_DATA and SEEK_HOLE). A file system without holes shows data everywhere.
    public static func extent(
        _ file: borrowing Descriptor, at offset: UInt64
    ) throws(Errno) -> (hasData: Bool, end: UInt64) {
        let raw = file.raw
        guard let position = off_t(exactly: offset) else { throw .invalidArgument }
        // linux/fs.h: SEEK_DATA 3, SEEK_HOLE 4.
        do throws(Errno) {
            let data = try linuxCall { lseek(raw, position, 3) }
            guard data == position else { return (false, UInt64(data)) }
        } catch .noSuchAddressOrDevice {
            // A hole up to the end, or a place behind it.
            return (false, max(offset, try status(file).length))
        }
        return (true, UInt64(try linuxCall { lseek(raw, position, 4) }))
    }
}
