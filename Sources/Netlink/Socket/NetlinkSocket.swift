internal import CNetlink
internal import Glibc
public import Syscall
internal import SystemPackage

/// An owned netlink socket for requests and dumps; closed when its owner goes.
///
/// It stays in the network namespace in which it was opened, whatever thread uses it. Only one request is under way at
/// a time; events come on a socket of their own (`NetlinkMonitor`).
// SAFETY: unchecked Sendable because of the library's pointer only: it is owned by this one value, every use of it is
// `mutating`, and libmnl keeps no thread-local state.
public struct NetlinkSocket: ~Copyable, @unchecked Sendable {
    /// Which part of the kernel answers.
    public enum Family: Sendable {
        /// NETLINK_ROUTE: links, addresses, routes, neighbours.
        case route
        /// NETLINK_NETFILTER: nftables, conntrack, logged packets.
        case netfilter
    }

    /// How long the kernel may keep us waiting for one answer, in milliseconds. It answers within the send itself, so
    /// this is a bound on the broken case only.
    private static let answerTimeout: CInt = 10_000
    /// What we ask for; the kernel doubles it for its own accounting.
    private static let bufferBytes = 4 << 20

    private let handle: OpaquePointer
    private var sequence: UInt32 = 1
    private let receiveBuffer: ReceiveBuffer
    /// Whether the kernel checks dump requests strictly, and so filters dumps itself (NETLINK_GET_STRICT_CHK, Linux
    /// 4.20); false on sockets of other families.
    public let isStrict: Bool
    /// Limits of one send: so many acknowledgements fit the receive buffer, so many bytes the send buffer.
    let window: Window

    /// How much is sent before the answers are read.
    struct Window {
        let messages: Int
        let bytes: Int
    }

    /// Opens a socket in the network namespace of the calling thread.
    public init(_ family: Family) throws(NetlinkError) {
        do throws(Errno) {
            try self.init(adopting: try Self.open(family), family)
        } catch {
            throw NetlinkError(operation: "open a netlink socket", cause: .system(error))
        }
    }

    /// Opens a socket inside another network namespace.
    public init(_ family: Family, in namespace: borrowing NetworkNamespace) throws(NetlinkError) {
        do throws(Errno) {
            let opened = try namespace.run { () -> Result<CInt, Errno> in
                do throws(Errno) { return .success(try Self.open(family).release()) } catch { return .failure(error) }
            }
            try self.init(adopting: Descriptor(adopting: try opened.get()), family)
        } catch {
            throw NetlinkError(operation: "open a netlink socket in a network namespace", cause: .system(error))
        }
    }

    deinit { mnl_socket_close(handle) }

    private static func open(_ family: Family) throws(Errno) -> Descriptor {
        let protocolNumber = family == .route ? NETLINK_ROUTE : NETLINK_NETFILTER
        let type = CInt(SOCK_RAW.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        return Descriptor(adopting: try linuxCall { socket(AF_NETLINK, type, protocolNumber) })
    }

    private init(adopting descriptor: consuming Descriptor, _ family: Family) throws(Errno) {
        // An older kernel filters dumps less and answers with more, which every reader here checks.
        isStrict =
            family == .route && NetlinkOption.trySet(descriptor.raw, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        let window = try Self.configure(descriptor.raw)
        let handle = try Self.wrap(descriptor.raw)
        _ = descriptor.release()
        self.handle = handle
        self.window = window
        receiveBuffer = ReceiveBuffer()
    }

    private static func configure(_ raw: CInt) throws(Errno) -> Window {
        try NetlinkOption.set(raw, SOL_NETLINK, NETLINK_EXT_ACK, 1)
        try NetlinkOption.set(raw, SOL_NETLINK, NETLINK_CAP_ACK, 1)
        NetlinkOption.growBuffers(raw, bytes: bufferBytes)
        let receive = try NetlinkOption.get(raw, SOL_SOCKET, SO_RCVBUF)
        let send = try NetlinkOption.get(raw, SOL_SOCKET, SO_SNDBUF)
        // An acknowledgement takes about 1 KiB of the receive buffer in the kernel's accounting, a link about 4 KiB.
        return Window(messages: max(1, receive / 8192), bytes: max(32 << 10, min(1 << 20, send / 4)))
    }

    /// Hands the descriptor to libmnl, which closes it with the handle.
    private static func wrap(_ raw: CInt) throws(Errno) -> OpaquePointer {
        var handle: OpaquePointer?
        try linuxCall {
            handle = mnl_socket_fdopen(raw)
            return handle == nil ? -1 : 0
        }
        guard let handle else { throw .noMemory }
        do throws(Errno) {
            try linuxCall { mnl_socket_bind(handle, 0, MNL_SOCKET_AUTOPID) }
        } catch {
            // Not mnl_socket_close: the descriptor still has its owner. The handle is one block of malloc(3).
            free(UnsafeMutableRawPointer(handle))
            throw error
        }
        return handle
    }

    /// The number to poll for reading.
    var descriptor: CInt { mnl_socket_get_fd(handle) }

    /// The number by which the kernel knows this socket, in its network namespace.
    var port: UInt32 { mnl_socket_get_portid(handle) }

    /// The next free run of sequence numbers; 0 is left to the kernel's own messages.
    mutating func takeSequences(_ count: Int) -> UInt32 {
        let wanted = UInt32(clamping: count)
        if sequence > UInt32.max - wanted { sequence = 1 }
        let first = sequence
        sequence += wanted
        return first
    }

    /// Makes room for one datagram of this size (nfnetlink takes a batch as one).
    func growSendBuffer(to bytes: Int) {
        NetlinkOption.growSendBuffer(mnl_socket_get_fd(handle), bytes: bytes + bytes / 2)
    }

    /// Sends a part of the bytes as one datagram.
    func send(_ bytes: [UInt8], _ range: Range<Int>) throws(Errno) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(Errno) -> Void in
            let part = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[range])
            try linuxCall { mnl_socket_sendto(handle, part.baseAddress, part.count) }
        }
    }

    /// Receives one datagram and hands each of its messages to `body`, which says whether to go on.
    func receive(
        operation: StaticString, timeout: CInt = answerTimeout, _ body: (Message) throws(NetlinkError) -> Void
    ) throws(NetlinkError) {
        let length: Int
        do throws(Errno) {
            var poll = pollfd(fd: mnl_socket_get_fd(handle), events: Int16(POLLIN), revents: 0)
            guard try linuxCall({ Glibc.poll(&poll, 1, timeout) }) > 0 else {
                throw .timedOut
            }
            length = try linuxCall { mnl_socket_recvfrom(handle, receiveBuffer.start, receiveBuffer.capacity) }
        } catch {
            throw NetlinkError(operation: "\(operation)", cause: Self.cause(of: error))
        }
        for message in MessageReader(UnsafeRawBufferPointer(start: receiveBuffer.start, count: length)) {
            try body(message)
        }
    }

    /// libmnl answers ENOSPC for a datagram longer than the buffer (MSG_TRUNC).
    private static func cause(of error: Errno) -> NetlinkError.Cause {
        switch error {
        case .timedOut: .timedOut
        case .noBufferSpace: .overrun
        case .noSpace: .malformed
        default: .system(error)
        }
    }
}

/// The memory into which datagrams are received: 64 KiB, twice what the kernel puts into one datagram of a dump.
private final class ReceiveBuffer {
    let capacity = 64 << 10
    let start: UnsafeMutableRawPointer

    init() { start = .allocate(byteCount: capacity, alignment: 16) }

    deinit { start.deallocate() }
}

/// Options of netlink sockets, all of them plain numbers.
enum NetlinkOption {
    static func set(_ socket: CInt, _ level: CInt, _ option: CInt, _ value: CInt) throws(Errno) {
        var value = value
        try linuxCall { setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<CInt>.size)) }
    }

    /// Sets an option that an older kernel or a lack of privilege may refuse without harm.
    @discardableResult
    static func trySet(_ socket: CInt, _ level: CInt, _ option: CInt, _ value: CInt) -> Bool {
        do throws(Errno) {
            try set(socket, level, option, value)
            return true
        } catch {
            return false
        }
    }

    static func get(_ socket: CInt, _ level: CInt, _ option: CInt) throws(Errno) -> Int {
        var value: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        try linuxCall { getsockopt(socket, level, option, &value, &length) }
        return Int(value)
    }

    /// Grows both buffers past the system's limits where we may, up to them otherwise.
    static func growBuffers(_ socket: CInt, bytes: Int) {
        let bytes = CInt(clamping: bytes)
        if !trySet(socket, SOL_SOCKET, SO_RCVBUFFORCE, bytes) { trySet(socket, SOL_SOCKET, SO_RCVBUF, bytes) }
        growSendBuffer(socket, bytes: Int(bytes))
    }

    static func growSendBuffer(_ socket: CInt, bytes: Int) {
        let bytes = CInt(clamping: bytes)
        if !trySet(socket, SOL_SOCKET, SO_SNDBUFFORCE, bytes) { trySet(socket, SOL_SOCKET, SO_SNDBUF, bytes) }
    }
}
