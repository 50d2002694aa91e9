import Glibc
import ISCSI

/// An initiator of a test's own on a plain socket, which sends what no real one would. Every wait ends after twenty
/// seconds.
final class RawInitiator {
    /// A PDU as it came from the target.
    struct Answer {
        var header: [UInt8]
        var data: [UInt8]

        var opcode: UInt8 { header[0] & 0x3f }
        var statSN: UInt32 { number(24) }

        func number(_ offset: Int) -> UInt32 {
            header[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }
    }

    private let socket: CInt
    var dataDigest = false

    /// - Parameters:
    ///   - host: the last byte of its own address, which is 127.0.0.`host`.
    ///   - bufferBytes: how much the kernel keeps of what it has not read, about; nil leaves that to the kernel.
    init(port: UInt16, from host: UInt32 = 1, bufferBytes: CInt? = nil) {
        socket = Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        let socket = socket
        if var bufferBytes {
            setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &bufferBytes, socklen_t(MemoryLayout<CInt>.size))
        }
        Self.with(0x7f00_0000 | host, port: 0) { _ = bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        Self.with(0x7f00_0001, port: port) { _ = connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        var time = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(socket) }

    private static func with(_ host: UInt32, port: UInt16, _ body: (UnsafePointer<sockaddr>) -> Void) {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = host.bigEndian
        withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body) }
    }

    /// Sends bytes as they are; false once the target has gone.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// Exactly `count` bytes; nil when the target closes, or says nothing for too long.
    func receive(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = receive(into: &bytes[done...])
            guard got > 0 else { return nil }
            done += got
        }
        return bytes
    }

    /// Waits for the target to close, with nothing more to say.
    func isShownOut() -> Bool {
        var byte: ArraySlice<UInt8> = [0]
        let got = receive(into: &byte)
        return got == 0 || got < 0 && errno == ECONNRESET
    }

    private func receive(into bytes: inout ArraySlice<UInt8>) -> Int {
        while true {
            let got = bytes.withUnsafeMutableBytes { recv(socket, $0.baseAddress, $0.count, 0) }
            // A signal interrupts a wait with a bound.
            if got >= 0 || errno != EINTR { return got }
        }
    }

    /// The next PDU.
    func answer() -> Answer? {
        guard let header = receive(48) else { return nil }
        let length = Int(header[5]) << 16 | Int(header[6]) << 8 | Int(header[7])
        let digest = dataDigest && length > 0 ? 4 : 0
        guard let data = receive(length + (-length & 3) + digest) else { return nil }
        return Answer(header: header, data: Array(data.prefix(length)))
    }

    /// A PDU with the common fields; `fields` patches four-byte words by their offset.
    func pdu(
        _ opcode: UInt8, flags: UInt8 = 0x80, tag: UInt32, _ fields: [Int: UInt32] = [:], data: [UInt8] = []
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 48)
        bytes[0] = opcode
        bytes[1] = flags
        bytes[5] = UInt8(data.count >> 16 & 0xff)
        bytes[6] = UInt8(data.count >> 8 & 0xff)
        bytes[7] = UInt8(data.count & 0xff)
        for (offset, value) in fields.merging([16: tag], uniquingKeysWith: { first, _ in first }) {
            for index in 0..<4 { bytes[offset + index] = UInt8(value >> UInt32(24 - 8 * index) & 0xff) }
        }
        var payload = data + [UInt8](repeating: 0, count: -data.count & 3)
        if dataDigest, !data.isEmpty {
            let crc = payload.withUnsafeBytes { CRC32C.checksum($0) }
            payload += (0..<4).map { UInt8(truncatingIfNeeded: crc >> (8 * UInt32($0))) }
        }
        return bytes + payload
    }

    /// Logs in without authentication, straight to the full feature phase. CmdSN goes on at 1.
    func login(_ target: String, isid: UInt32 = 0x8000_0001, keys: [String] = []) -> Answer? {
        sendLogin(target, isid: isid, keys: keys)
        let answer = answer()
        dataDigest = keys.contains("DataDigest=CRC32C")
        return answer
    }

    func sendLogin(_ target: String, isid: UInt32 = 0x8000_0001, keys: [String] = []) {
        let text = ["InitiatorName=iqn.2026-11.org.example:raw", "SessionType=Normal", "TargetName=\(target)"] + keys
        let data = text.flatMap { [UInt8](($0 + "\0").utf8) }
        // T bit, operational stage to full feature phase.
        send(pdu(0x43, flags: 0x87, tag: 1, [8: isid, 24: 1], data: data))
    }

    /// A SCSI command with a ten-byte block.
    func command(
        _ block: [UInt8], flags: UInt8, tag: UInt32, cmdSN: UInt32, expected: UInt32, data: [UInt8] = []
    ) -> [UInt8] {
        var bytes = pdu(0x01, flags: flags, tag: tag, [20: expected, 24: cmdSN], data: data)
        bytes.replaceSubrange(32..<32 + block.count, with: block)
        return bytes
    }

    /// A WRITE (10) that announces 64 KiB of immediate data, with the first 10,000 bytes of it.
    func sendHalfAWrite(tag: UInt32, cmdSN: UInt32) {
        let block: [UInt8] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 128, 0]
        let data = [UInt8](repeating: 0x5a, count: 65536)
        let whole = command(block, flags: 0xa1, tag: tag, cmdSN: cmdSN, expected: 65536, data: data)
        // The header alone first: the rest is then received where it belongs.
        send(Array(whole[..<48]))
        send(Array(whole[48..<10_048]))
    }

    /// TEST UNIT READY until no unit attention is left.
    func settle(_ cmdSN: inout UInt32) -> Bool {
        for _ in 0..<4 {
            send(command([0], flags: 0x81, tag: 0x7000 + cmdSN, cmdSN: cmdSN, expected: 0))
            cmdSN += 1
            guard let answer = answer() else { return false }
            if answer.opcode == 0x21, answer.header[3] == 0 { return true }
        }
        return false
    }
}
