internal import Glibc
public import SystemPackage

/// A connected socket of the unix(7) family, owned by one caller; every wait on it is bounded.
public struct UnixSocket: ~Copyable, Sendable {
    /// The longest path in bytes: `sun_path` less its NUL (unix(7)).
    public static let maximumPathLength = 107

    private let descriptor: Descriptor

    /// Connects a byte stream to the socket file at `path`.
    ///
    /// - Parameter timeout: the longest wait of the connection and of each later call, at least a millisecond.
    /// - Throws: ENOENT if there is no such file; ECONNREFUSED if nobody listens on it; ENAMETOOLONG if the path is
    ///   longer than `maximumPathLength`; EAGAIN if the time has passed.
    public init(connectingTo path: String, timeout: Duration) throws(Errno) {
        let socket = try Self.open(SOCK_STREAM)
        try Self.bound(socket, timeout)
        try Self.withAddress(path) { address, length throws(Errno) in
            try linuxCall { connect(socket.raw, address, length) }
        }
        descriptor = socket
    }

    /// Changes the longest wait of each later call.
    public func setTimeout(_ timeout: Duration) throws(Errno) {
        try Self.bound(descriptor, timeout)
    }

    /// Sends all of `bytes`.
    ///
    /// - Throws: EAGAIN if the peer took nothing for the time of the timeout; EPIPE if it is gone.
    public func send(_ bytes: [UInt8]) throws(Errno) {
        let raw = descriptor.raw
        var failure: Errno?
        bytes.withUnsafeBytes { buffer in
            do throws(Errno) {
                var done = 0
                while done < buffer.count {
                    let source = buffer.baseAddress?.advanced(by: done)
                    let left = buffer.count - done
                    done += try linuxCall { Glibc.send(raw, source, left, CInt(MSG_NOSIGNAL)) }
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// Waits for bytes and takes what is there, at most `limit`; empty once the peer has closed its side.
    ///
    /// - Throws: EAGAIN if nothing came for the time of the timeout; ECONNRESET if the peer went away.
    public func receive(atMost limit: Int) throws(Errno) -> [UInt8] {
        let raw = descriptor.raw
        var failure: Errno?
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            count = 0
            do throws(Errno) {
                let target = buffer.baseAddress
                let room = buffer.count
                count = try linuxCall { recv(raw, target, room, 0) }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Sends one datagram to the socket at `path`, where `@` in front stands for the abstract namespace.
    public static func sendDatagram(_ bytes: [UInt8], to path: String) throws(Errno) {
        let socket = try open(SOCK_DGRAM)
        try withAddress(path) { address, length throws(Errno) in
            try linuxCall { sendto(socket.raw, bytes, bytes.count, CInt(MSG_NOSIGNAL), address, length) }
        }
    }

    static func open(_ type: __socket_type, blocking: Bool = true) throws(Errno) -> Descriptor {
        let kind = CInt(type.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | (blocking ? 0 : CInt(SOCK_NONBLOCK.rawValue))
        return Descriptor(adopting: try linuxCall { socket(AF_UNIX, kind, 0) })
    }

    /// SO_SNDTIMEO bounds connect(2) as well (socket(7)).
    private static func bound(_ socket: borrowing Descriptor, _ timeout: Duration) throws(Errno) {
        let (seconds, attoseconds) = timeout.components
        // A time of zero would mean to wait for ever.
        let microseconds = seconds > 0 ? attoseconds / 1_000_000_000_000 : max(attoseconds / 1_000_000_000_000, 1000)
        var time = timeval(tv_sec: time_t(seconds), tv_usec: suseconds_t(microseconds))
        let raw = socket.raw
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            try linuxCall { setsockopt(raw, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size)) }
        }
    }

    /// Lends the address of a path, where `@` in front stands for the abstract namespace.
    static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws(Errno) -> Void
    ) throws(Errno) {
        var bytes = Array(path.utf8)
        guard !bytes.isEmpty, !bytes.contains(0) else { throw .invalidArgument }
        guard bytes.count <= maximumPathLength else { throw .fileNameTooLong }
        let isAbstract = bytes[0] == UInt8(ascii: "@")
        if isAbstract { bytes[0] = 0 }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        // An abstract name ends with the length, a path with its NUL.
        let length = MemoryLayout<sa_family_t>.size + bytes.count + (isAbstract ? 0 : 1)
        let outcome: Result<Void, Errno> = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                do throws(Errno) {
                    return .success(try body(address, socklen_t(length)))
                } catch {
                    return .failure(error)
                }
            }
        }
        try outcome.get()
    }
}
