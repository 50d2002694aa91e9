import Glibc
import ISCSI

/// What an initiator may never see from a target.
struct WireFault: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The initiator's end of a connection that never blocks: PDUs go out and come in piece by piece, as far as their owner
/// lets them. Checks every digest and every byte of padding.
final class StressWire {
    /// A PDU of the target; its data is good until the next one is taken.
    struct PDU {
        let header: [UInt8]
        let data: ArraySlice<UInt8>

        var opcode: UInt8 { header[0] & 0x3f }
        var flags: UInt8 { header[1] }
        var tag: UInt32 { number(16) }

        func number(_ offset: Int) -> UInt32 {
            header[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }
    }

    let socket: CInt
    var headerDigest = false
    var dataDigest = false
    /// The target has closed the connection.
    private(set) var hasEnded = false
    private var outbox: [UInt8] = []
    private var sent = 0
    private var inbox: [UInt8] = []
    private var parsed = 0
    private var chunk = [UInt8](repeating: 0, count: 1 << 18)

    /// Bytes that wait to be sent.
    var backlog: Int { outbox.count - sent }

    /// - Parameter bufferBytes: of the socket, each way; nil leaves them as they are.
    init(port: UInt16, bufferBytes: CInt? = nil) throws(WireFault) {
        socket = Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        if var bytes = bufferBytes {
            setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<CInt>.size))
            setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, socklen_t(MemoryLayout<CInt>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let socket = socket
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            close(socket)
            throw WireFault("cannot connect: errno \(errno)")
        }
        var one: CInt = 1
        setsockopt(socket, CInt(IPPROTO_TCP), CInt(TCP_NODELAY), &one, socklen_t(MemoryLayout<CInt>.size))
        _ = fcntl(socket, F_SETFL, O_NONBLOCK)
    }

    deinit { close(socket) }

    /// Has the end of the connection come as a reset, not as the end of a stream.
    func resetOnClose() {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    }

    /// Queues a PDU; the data's length is put into the header.
    func append(_ header: [UInt8], data: ArraySlice<UInt8> = []) {
        if sent > 1 << 20 {
            outbox.removeFirst(sent)
            sent = 0
        }
        let start = outbox.count
        outbox += header
        outbox[start + 5] = UInt8(data.count >> 16 & 0xff)
        outbox[start + 6] = UInt8(data.count >> 8 & 0xff)
        outbox[start + 7] = UInt8(data.count & 0xff)
        if headerDigest { appendDigest(from: start) }
        guard !data.isEmpty else { return }
        let body = outbox.count
        outbox += data
        // Any bytes will do for padding, and the digest covers them (RFC 7143 section 11.1).
        for _ in 0..<(-data.count & 3) { outbox.append(0xa5) }
        if dataDigest { appendDigest(from: body) }
    }

    private func appendDigest(from start: Int) {
        let crc = outbox[start...].withUnsafeBytes { CRC32C.checksum($0) }
        for shift in stride(from: UInt32(0), to: 32, by: 8) { outbox.append(UInt8(truncatingIfNeeded: crc >> shift)) }
    }

    /// Sends up to `limit` bytes of what waits. Gives the number of bytes that went.
    @discardableResult
    func pumpOut(_ limit: Int) -> Int {
        var left = min(limit, backlog)
        var done = 0
        while left > 0 {
            let count = outbox[sent...].withUnsafeBytes { bytes in
                send(socket, bytes.baseAddress, min(left, bytes.count), CInt(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EPIPE || errno == ECONNRESET { hasEnded = true }
            guard count > 0 else { break }
            sent += count
            done += count
            left -= count
        }
        if sent == outbox.count {
            outbox.removeAll(keepingCapacity: true)
            sent = 0
        }
        return done
    }

    /// Takes up to `limit` bytes of what has come.
    func pumpIn(_ limit: Int) {
        var left = limit
        while left > 0, !hasEnded {
            let want = min(left, chunk.count)
            let socket = socket
            let count = chunk.withUnsafeMutableBytes { recv(socket, $0.baseAddress, want, 0) }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { return }
            guard count > 0 else {
                hasEnded = true
                return
            }
            if parsed == inbox.count {
                inbox.removeAll(keepingCapacity: true)
                parsed = 0
            } else if parsed > 1 << 20 {
                inbox.removeFirst(parsed)
                parsed = 0
            }
            inbox += chunk[..<count]
            left -= count
        }
    }

    /// The next PDU that has come whole.
    func next() throws(WireFault) -> PDU? {
        let available = inbox.count - parsed
        let headerBytes = 48 + (headerDigest ? 4 : 0)
        guard available >= headerBytes else { return nil }
        let header = Array(inbox[parsed..<parsed + 48])
        guard header[4] == 0 else { throw WireFault("a header of the target's with additional segments: \(header)") }
        let length = Int(header[5]) << 16 | Int(header[6]) << 8 | Int(header[7])
        let padded = length + (-length & 3)
        let total = headerBytes + padded + (dataDigest && length > 0 ? 4 : 0)
        if headerDigest { try check(parsed, 48, "header") }
        guard available >= total else { return nil }
        let body = parsed + headerBytes
        if dataDigest, length > 0 { try check(body, padded, "data") }
        guard inbox[body + length..<body + padded].allSatisfy({ $0 == 0 }) else {
            throw WireFault("padding that is not zero")
        }
        parsed += total
        return PDU(header: header, data: inbox[body..<body + length])
    }

    private func check(_ start: Int, _ count: Int, _ what: String) throws(WireFault) {
        let crc = inbox[start..<start + count].withUnsafeBytes { CRC32C.checksum($0) }
        let told = inbox[(start + count)..<(start + count + 4)].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard crc == told else { throw WireFault("a \(what) digest of \(count) bytes is \(told), not \(crc)") }
    }
}

/// The header of a request, field by field.
struct RequestHeader {
    var bytes = [UInt8](repeating: 0, count: 48)

    init(_ opcode: UInt8, flags: UInt8 = 0x80, tag: UInt32) {
        bytes[0] = opcode
        bytes[1] = flags
        put(tag, at: 16)
    }

    mutating func put(_ value: UInt32, at offset: Int) {
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * index)) }
    }

    mutating func put(lun: UInt8) { bytes[9] = lun }

    /// A command block of ten bytes.
    mutating func put(block opcode: UInt8, lba: UInt32, count: UInt16) {
        bytes[32] = opcode
        put(lba, at: 34)
        bytes[39] = UInt8(count >> 8)
        bytes[40] = UInt8(count & 0xff)
    }
}
