internal import Glibc
public import SystemPackage

/// A numeric internet address with a port, as a socket is bound to and as a peer comes from.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    private let family: sa_family_t
    /// Four or sixteen bytes in network order.
    private let host: [UInt8]
    public let port: UInt16
    /// The interface of an IPv6 link-local address.
    private let scope: UInt32

    /// Reads a numeric IPv4 or IPv6 address, the latter without brackets; nil if it is neither.
    public init?(host text: String, port: UInt16) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            family = sa_family_t(AF_INET)
            host = withUnsafeBytes(of: &four) { Array($0) }
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            family = sa_family_t(AF_INET6)
            host = withUnsafeBytes(of: &six) { Array($0) }
        } else {
            return nil
        }
        self.port = port
        scope = 0
    }

    private init?(_ storage: sockaddr_storage) {
        var storage = storage
        family = storage.ss_family
        switch CInt(storage.ss_family) {
        case AF_INET:
            (host, port) = withUnsafeBytes(of: &storage) { bytes in
                let address = bytes.loadUnaligned(as: sockaddr_in.self)
                return (withUnsafeBytes(of: address.sin_addr) { Array($0) }, UInt16(bigEndian: address.sin_port))
            }
            scope = 0
        case AF_INET6:
            (host, port, scope) = withUnsafeBytes(of: &storage) { bytes in
                let address = bytes.loadUnaligned(as: sockaddr_in6.self)
                let host = withUnsafeBytes(of: address.sin6_addr) { Array($0) }
                return (host, UInt16(bigEndian: address.sin6_port), address.sin6_scope_id)
            }
        default:
            return nil
        }
    }

    /// The wildcard of its family: a listener on every address.
    public var isUnspecified: Bool { host.allSatisfy { $0 == 0 } }

    /// The address without the port, in the usual notation.
    public var hostText: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let isKnown = inet_ntop(CInt(family), host, &text, socklen_t(text.count)) != nil
        return isKnown ? String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) : "?"
    }

    /// `192.0.2.1:3260` or `[2001:db8::1]:3260`.
    public var description: String {
        CInt(family) == AF_INET6 ? "[\(hostText)]:\(port)" : "\(hostText):\(port)"
    }

    /// The same host with another port.
    public func with(port: UInt16) -> SocketAddress {
        SocketAddress(host: hostText, port: port) ?? self
    }

    fileprivate var isVersion6: Bool { CInt(family) == AF_INET6 }

    @discardableResult
    fileprivate func withKernelForm<Value>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws(Errno) -> Value
    ) throws(Errno) -> Value {
        var storage = sockaddr_storage()
        let length: Int
        if isVersion6 {
            var address = sockaddr_in6()
            address.sin6_family = family
            address.sin6_port = port.bigEndian
            address.sin6_scope_id = scope
            withUnsafeMutableBytes(of: &address.sin6_addr) { $0.copyBytes(from: host) }
            length = MemoryLayout<sockaddr_in6>.size
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: address, as: sockaddr_in6.self) }
        } else {
            var address = sockaddr_in()
            address.sin_family = family
            address.sin_port = port.bigEndian
            withUnsafeMutableBytes(of: &address.sin_addr) { $0.copyBytes(from: host) }
            length = MemoryLayout<sockaddr_in>.size
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: address, as: sockaddr_in.self) }
        }
        let outcome: Result<Value, Errno> = withUnsafePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                do throws(Errno) {
                    return .success(try body(address, socklen_t(length)))
                } catch {
                    return .failure(error)
                }
            }
        }
        return try outcome.get()
    }

    /// Asks the kernel for the name of one end of a socket.
    fileprivate static func ask(
        _ question: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> CInt
    ) throws(Errno) -> SocketAddress {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        try withUnsafeMutablePointer(to: &storage) { pointer throws(Errno) in
            let address = UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: sockaddr.self)
            try linuxCall { question(address, &length) }
        }
        guard let address = SocketAddress(storage) else { throw .addressFamilyNotSupported }
        return address
    }
}

/// TCP sockets: made and asked here, read and written by a loop.
public enum StreamSocket {
    /// Listens on an address. It need not exist yet (IP_FREEBIND), so that a service may start before its network; a
    /// restart does not wait for old connections to fade (SO_REUSEADDR); an IPv6 listener takes no IPv4.
    ///
    /// - Throws: EADDRINUSE if something else listens there; EACCES for a low port without the right to it.
    public static func listen(on address: SocketAddress, backlog: CInt) throws(Errno) -> Descriptor {
        let kind = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let domain = address.isVersion6 ? AF_INET6 : AF_INET
        let listener = Descriptor(adopting: try linuxCall { socket(domain, kind, 0) })
        let raw = listener.raw
        try set(raw, SOL_SOCKET, SO_REUSEADDR, 1)
        // linux/in.h and linux/in6.h: IP_FREEBIND 15, IPV6_FREEBIND 78.
        try set(raw, address.isVersion6 ? CInt(IPPROTO_IPV6) : 0, address.isVersion6 ? 78 : 15, 1)
        if address.isVersion6 { try set(raw, CInt(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        try address.withKernelForm { name, length throws(Errno) in
            try linuxCall { bind(raw, name, length) }
        }
        try linuxCall { Glibc.listen(raw, backlog) }
        return listener
    }

    /// Sends what is written at once (TCP_NODELAY): an answer is whole when it is written.
    public static func disableDelay(_ socket: CInt) throws(Errno) {
        try set(socket, CInt(IPPROTO_TCP), CInt(TCP_NODELAY), 1)
    }

    /// Drops a peer that has not been heard of for some time: probes after `idle` seconds of silence, `count` of them.
    public static func keepAlive(_ socket: CInt, idle: CInt, interval: CInt, count: CInt) throws(Errno) {
        try set(socket, SOL_SOCKET, SO_KEEPALIVE, 1)
        try set(socket, CInt(IPPROTO_TCP), CInt(TCP_KEEPIDLE), idle)
        try set(socket, CInt(IPPROTO_TCP), CInt(TCP_KEEPINTVL), interval)
        try set(socket, CInt(IPPROTO_TCP), CInt(TCP_KEEPCNT), count)
    }

    /// Gives a peer up that has not acknowledged what it was sent, or has not let anything be sent, for so long. Probes
    /// of a silent connection do not find that out, and the kernel by itself takes a quarter of an hour.
    public static func setPatience(_ socket: CInt, milliseconds: CInt) throws(Errno) {
        // linux/tcp.h: TCP_USER_TIMEOUT 18.
        try set(socket, CInt(IPPROTO_TCP), 18, milliseconds)
    }

    /// Our end of a socket: with the port that the kernel chose, or the address that a peer has reached.
    public static func localAddress(_ socket: CInt) throws(Errno) -> SocketAddress {
        try SocketAddress.ask { getsockname(socket, $0, $1) }
    }

    /// The other end.
    public static func peerAddress(_ socket: CInt) throws(Errno) -> SocketAddress {
        try SocketAddress.ask { getpeername(socket, $0, $1) }
    }

    private static func set(_ socket: CInt, _ level: CInt, _ option: CInt, _ value: CInt) throws(Errno) {
        var value = value
        try linuxCall { setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<CInt>.size)) }
    }
}
