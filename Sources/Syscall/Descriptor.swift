internal import Glibc
public import SystemPackage

/// An owned file descriptor: closed exactly once, when its owner goes.
public struct Descriptor: ~Copyable, Sendable {
    /// The number, for a call that borrows it. It stays valid as long as this owner lives.
    public let raw: CInt

    /// Takes over a descriptor that nobody else will close.
    public init(adopting raw: CInt) {
        precondition(raw >= 0, "a descriptor is not negative")
        self.raw = raw
    }

    deinit { _ = Glibc.close(raw) }

    /// Closes, and says what the kernel said: for a file that was written, EIO or ENOSPC may come only here.
    public consuming func close() throws(Errno) {
        let raw = self.raw
        discard self
        // Linux has released the number even when it answers EINTR (close(2)), so there is no retry.
        guard Glibc.close(raw) == -1 else { return }
        let error = lastError()
        if error != .interrupted { throw error }
    }

    /// Gives the number up to the caller, who must close it.
    public consuming func release() -> CInt {
        let raw = self.raw
        discard self
        return raw
    }
}
