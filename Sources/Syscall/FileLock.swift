internal import Glibc
public import SystemPackage

/// Open-file-description locks (fcntl(2), F_OFD_*): they belong to the open file, not to the process, and go with its
/// last descriptor.
public enum FileLock {
    // linux/fcntl.h; glibc shows them only under _GNU_SOURCE.
    private static let ofdGetLock: CInt = 36
    private static let ofdSetLock: CInt = 37

    /// Takes a shared lock on one byte of the file, without waiting.
    /// - Returns: false if another open file holds an exclusive lock there.
    public static func share(_ file: borrowing Descriptor, byte: Int64) throws(Errno) -> Bool {
        try take(file.raw, F_RDLCK, byte: byte)
    }

    /// Takes an exclusive lock on one byte of the file, without waiting.
    /// - Returns: false if another open file holds any lock there.
    public static func exclude(_ file: borrowing Descriptor, byte: Int64) throws(Errno) -> Bool {
        try take(file.raw, F_WRLCK, byte: byte)
    }

    /// Gives up all locks that this open file holds on the bytes.
    ///
    /// Closing alone would do so only with the last reference: a child between fork and exec, or a ring that is being
    /// torn down, may hold one for a moment longer.
    public static func release(_ file: borrowing Descriptor, bytes: Range<Int64>) throws(Errno) {
        let raw = file.raw
        var lock = describe(F_UNLCK, byte: bytes.lowerBound)
        lock.l_len = off_t(bytes.count)
        try linuxCall { fcntl(raw, ofdSetLock, &lock) }
    }

    /// Whether another open file holds any lock on the byte.
    public static func isHeldElsewhere(_ file: borrowing Descriptor, byte: Int64) throws(Errno) -> Bool {
        let raw = file.raw
        var lock = describe(F_WRLCK, byte: byte)
        try linuxCall { fcntl(raw, ofdGetLock, &lock) }
        return lock.l_type != Int16(F_UNLCK)
    }

    private static func take(_ raw: CInt, _ type: CInt, byte: Int64) throws(Errno) -> Bool {
        var lock = describe(type, byte: byte)
        do throws(Errno) {
            try linuxCall { fcntl(raw, ofdSetLock, &lock) }
        } catch .resourceTemporarilyUnavailable {
            return false
        } catch .permissionDenied {
            return false
        }
        return true
    }

    private static func describe(_ type: CInt, byte: Int64) -> flock {
        var lock = flock()
        lock.l_type = Int16(type)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = off_t(byte)
        lock.l_len = 1
        return lock
    }
}
