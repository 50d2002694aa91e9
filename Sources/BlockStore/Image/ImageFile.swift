import Synchronization
import Syscall
import SystemPackage

/// An open image file and the locks on it. Shared by those who use it; closed with the last of them.
///
/// The locks are QEMU's (block/file-posix.c): byte 100 + n says "I use right n", byte 200 + n "nobody else may", each
/// held shared and tested from the other side. So neither QEMU nor a second agent writes what we write or build on.
final class ImageFile: Sendable {
    /// What the file is opened for.
    enum Access: Sendable {
        /// To look, without a lock: what is seen may be changing.
        case observe
        /// To read what nobody changes.
        case read
        /// To write, alone.
        case write
    }

    let path: FilePath
    let descriptor: Descriptor
    private let access: Access
    /// Whether another descriptor of the same open file may outlive this one, with the locks.
    private let isDuplicated = Atomic(false)

    private static let usedByte: Int64 = 100
    private static let refusedByte: Int64 = 200
    private static let consistentRead: Int64 = 0
    private static let write: Int64 = 1
    private static let resize: Int64 = 3

    init(_ path: FilePath, _ access: Access) throws(ImageError) {
        let opened = try fileCall(.open) { () throws(Errno) in
            try File.open(path, access == .write ? .readWrite : .read)
        }
        if access != .observe {
            let isFree = try fileCall(.lock) { () throws(Errno) in try ImageFile.lock(opened, access) }
            guard isFree else { throw .locked }
        }
        self.path = path
        self.access = access
        descriptor = opened
    }

    deinit {
        guard access != .observe, !isDuplicated.load(ordering: .relaxed) else { return }
        // Closing drops the locks too, if nobody else refers to the open file. It was not closed yet, so the kernel has
        // no reason to refuse; if it did, that would be all there is.
        do throws(Errno) { try unlock() } catch { return }
    }

    /// Takes the locks, or none of them.
    private static func lock(_ file: borrowing Descriptor, _ access: Access) throws(Errno) -> Bool {
        if try take(file, access) { return true }
        // Now, whoever still refers to the open file: the next to come is refused for the holder alone.
        try unlock(file)
        return false
    }

    /// Takes our locks first and then looks for others', so that of two who race neither proceeds unseen.
    private static func take(_ file: borrowing Descriptor, _ access: Access) throws(Errno) -> Bool {
        var used = [consistentRead]
        if access == .write { used += [write, resize] }
        for right in used where try !FileLock.share(file, byte: usedByte + right) { return false }
        for right in [write, resize] where try !FileLock.share(file, byte: refusedByte + right) { return false }
        for right in [write, resize] where try FileLock.isHeldElsewhere(file, byte: usedByte + right) { return false }
        for right in used where try FileLock.isHeldElsewhere(file, byte: refusedByte + right) { return false }
        return true
    }

    /// Gives the locks up now, whoever still refers to the open file: for its last user, just before it is closed.
    func unlock() throws(Errno) { try Self.unlock(descriptor) }

    /// The same for a descriptor that `duplicate` gave.
    static func unlock(_ file: borrowing Descriptor) throws(Errno) {
        try FileLock.release(file, bytes: usedByte..<refusedByte + 100)
    }

    /// The file's length in bytes.
    func length() throws(ImageError) -> UInt64 {
        try fileCall(.stat) { () throws(Errno) in try File.status(descriptor).length }
    }

    /// A second descriptor of the same open file, which keeps its locks too.
    func duplicate() throws(Errno) -> Descriptor {
        isDuplicated.store(true, ordering: .relaxed)
        return try File.duplicate(descriptor)
    }

    /// Bytes at `offset`; zero where the file ends before.
    func read(_ count: Int, at offset: HostOffset) throws(ImageError) -> [UInt8] {
        var bytes = try fileCall(.read) { () throws(Errno) in
            try File.read(descriptor, count: count, at: offset.bytes)
        }
        if bytes.count < count { bytes += [UInt8](repeating: 0, count: count - bytes.count) }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: HostOffset) throws(ImageError) {
        try fileCall(.write) { () throws(Errno) in try File.write(descriptor, bytes, at: offset.bytes) }
    }

    func syncData() throws(ImageError) {
        try fileCall(.sync) { () throws(Errno) in try File.syncData(descriptor) }
    }

    func truncate(to length: UInt64) throws(ImageError) {
        try fileCall(.truncate) { () throws(Errno) in try File.truncate(descriptor, to: length) }
    }

    /// Gives a range of the file room in the file system; without effect in one that cannot promise any.
    func allocate(_ bytes: UInt64, at offset: HostOffset) throws(ImageError) {
        try fileCall(.allocate) { () throws(Errno) in
            do throws(Errno) { try File.allocate(descriptor, bytes, at: offset.bytes) } catch .notSupported {}
        }
    }

    /// The header of the image in this file: one read.
    func header() throws(ImageError) -> ImageHeader {
        let length = try length()
        let prefix = try fileCall(.read) { () throws(Errno) in
            try File.read(descriptor, count: ImageHeader.prefixBytes, at: 0)
        }
        return try ImageHeader(decoding: prefix, fileBytes: length)
    }
}
