internal import Glibc
public import SystemPackage

/// Waits until one of several descriptors can be read.
public enum Readiness {
    /// Waits until at least one of `descriptors` can be read, is closed by its peer or has an error.
    ///
    /// - Parameter milliseconds: the longest wait; nil waits without bound.
    /// - Returns: for each descriptor whether it is ready; none is where the time has passed.
    public static func wait(_ descriptors: [CInt], milliseconds: Int32? = nil) throws(Errno) -> [Bool] {
        var polls = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        try linuxCall { poll(&polls, nfds_t(descriptors.count), milliseconds ?? -1) }
        return polls.map { $0.revents != 0 }
    }
}
