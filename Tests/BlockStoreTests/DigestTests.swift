import Glibc
import ISCSI
import TestSupport
import Testing

@testable import BlockStore

/// Digests and padding on the wire, in all combinations and for lengths of every remainder: the initiator checks each
/// digest over what it has really received (RFC 7143 section 11.1: a data digest covers the padding), and a stream that
/// is out of step by any number of bytes fails at the next header.
@Suite(.ownThreads) struct DigestTests {
    struct Setting: Sendable, CustomTestStringConvertible {
        let header: Bool
        let data: Bool
        /// MaxRecvDataSegmentLength of the initiator.
        let segment: Int
        /// Bytes of the sockets' buffers, on both sides: sends and receives are then cut at any byte.
        let buffer: CInt?

        var testDescription: String {
            "header \(header), data \(data), segments of \(segment), buffers of \(buffer.map { "\($0)" } ?? "any size")"
        }
    }

    static let settings: [Setting] = [true, false].flatMap { header in
        [true, false].flatMap { data in
            [512, 1001, 262_144].flatMap { segment in
                [nil, 4096].map { Setting(header: header, data: data, segment: segment, buffer: $0) }
            }
        }
    }

    private static let sizes = [1, 16, 700]

    @Test(arguments: settings) func everyDigestIsRight(_ setting: Setting) async throws {
        try await withServer(disks: [4 << 20]) { server in
            let session = try DigestSession(server.port, setting)
            if let bytes = setting.buffer { await server.shrinkSendBuffers(to: bytes) }
            try session.hearAttentions()
            var dice = SeededGenerator(seed: UInt64(setting.segment) << 2 | (setting.header ? 2 : 0))
            try session.sayLengths()
            var shadow = [UInt8](repeating: 0, count: 4 << 20)
            for _ in 0..<6 {
                let blocks = Int.random(in: 1...(Self.sizes.randomElement(using: &dice) ?? 1), using: &dice)
                let first = Int.random(in: 0...(shadow.count / 512 - blocks), using: &dice)
                let bytes = (0..<blocks * 512).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ first) }
                // An initiator may announce more than the command takes; the rest is dropped, whatever its length.
                let extra = Int.random(in: 0...5, using: &dice)
                try session.write(first, bytes + [UInt8](repeating: 0xee, count: extra), blocks, &dice)
                shadow.replaceSubrange(first * 512..<(first + blocks) * 512, with: bytes)
            }
            for _ in 0..<6 {
                let blocks = Int.random(in: 1...(Self.sizes.randomElement(using: &dice) ?? 1), using: &dice)
                let first = Int.random(in: 0...(shadow.count / 512 - blocks), using: &dice)
                // It may also expect less than the blocks, to the byte.
                let expected = blocks * 512 - Int.random(in: 0...min(600, blocks * 512 - 1), using: &dice)
                let back = try session.read(first, blocks, expected: expected)
                #expect(back[...] == shadow[first * 512..<first * 512 + expected])
            }
        }
    }
}

/// A session of one request at a time that sends and checks digests.
private final class DigestSession {
    private let wire: StressWire
    private var options = StressOptions()
    private var cmdSN: UInt32 = 1
    private var tag: UInt32 = 1

    init(_ port: UInt16, _ setting: DigestTests.Setting) throws {
        wire = try StressWire(port: port, bufferBytes: setting.buffer)
        options.headerDigest = setting.header
        options.dataDigest = setting.data
        options.receiveSegment = setting.segment
        options.maxBurst = 70_001
        options.firstBurst = 5_003
        options.r2ts = 2
        var header = RequestHeader(0x43, flags: 0x87, tag: 1)
        header.put(0x8000_0001, at: 8)
        header.put(1, at: 24)
        let text = [
            "InitiatorName=iqn.2026-11.org.example:digest", "SessionType=Normal",
            "TargetName=\(ServedFixture.target)",
        ]
        wire.append(header.bytes, data: (text + options.keys).flatMap { [UInt8](($0 + "\0").utf8) }[...])
        let answer = try next()
        guard answer.opcode == 0x23, answer.header[36] == 0 else { throw WireFault("no login: \(answer)") }
        var keys: [String: String] = [:]
        for pair in answer.data.split(separator: 0) {
            let words = String(decoding: pair, as: UTF8.self).split(separator: "=", maxSplits: 1)
            if words.count == 2 { keys[String(words[0])] = String(words[1]) }
        }
        try options.settle(keys)
        wire.headerDigest = options.headerDigest
        wire.dataDigest = options.dataDigest
    }

    /// The next PDU, within ten seconds.
    private func next() throws(WireFault) -> StressWire.PDU {
        for _ in 0..<10_000 {
            wire.pumpOut(.max)
            wire.pumpIn(3001)
            if let pdu = try wire.next() { return pdu }
            guard !wire.hasEnded else { throw WireFault("the connection has ended") }
            var wait = pollfd(fd: wire.socket, events: Int16(POLLIN | (wire.backlog > 0 ? POLLOUT : 0)), revents: 0)
            poll(&wait, 1, 1)
        }
        throw WireFault("no answer")
    }

    private func command(_ flags: UInt8, expected: Int, _ block: (inout RequestHeader) -> Void) -> RequestHeader {
        tag += 1
        var header = RequestHeader(0x01, flags: flags | 1, tag: tag)
        header.put(UInt32(expected), at: 20)
        header.put(cmdSN, at: 24)
        block(&header)
        cmdSN += 1
        return header
    }

    /// Collects a command's Data-In, up to its status, which must be good.
    private func collect() throws(WireFault) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let pdu = try next()
            guard pdu.tag == tag else { throw WireFault("an answer to another: \(pdu.header)") }
            if pdu.opcode == 0x25 { bytes += pdu.data }
            if pdu.opcode == 0x21 || pdu.flags & 1 != 0 {
                guard pdu.header[3] == 0 else { throw WireFault("status \(pdu.header[3]): \(Array(pdu.data))") }
                return bytes
            }
        }
    }

    func hearAttentions() throws(WireFault) {
        for _ in 0..<2 {
            wire.append(command(0x80, expected: 0) { _ in }.bytes)
            _ = try next()
        }
    }

    /// Answers of every length from nothing on: of pings, of INQUIRY, of the text exchange.
    func sayLengths() throws(WireFault) {
        for length in Array(0...70) + [255, 1000, 1001, 1002, 1003] {
            tag += 1
            var header = RequestHeader(0x40, tag: tag)
            header.put(.max, at: 20)
            header.put(cmdSN, at: 24)
            let echo = (0..<min(length, options.receiveSegment)).map { UInt8(truncatingIfNeeded: $0 &+ length) }
            wire.append(header.bytes, data: echo[...])
            let ping = try next()
            guard ping.opcode == 0x20, Array(ping.data) == echo else { throw WireFault("a ping of \(length) bytes") }
            let allocation = UInt8(clamping: length)
            let inquiry = command(0xc0, expected: Int(allocation)) {
                $0.bytes.replaceSubrange(32..<37, with: [0x12, 0, 0, 0, allocation])
            }
            wire.append(inquiry.bytes)
            let told = try collect()
            guard told.count == min(Int(allocation), 96), told.count < 15 || told[8..<15].elementsEqual("SDAGENT".utf8)
            else { throw WireFault("INQUIRY of \(allocation) bytes gives \(told)") }
        }
        tag += 1
        var text = RequestHeader(0x04, tag: tag)
        text.put(.max, at: 20)
        text.put(cmdSN, at: 24)
        cmdSN += 1
        wire.append(text.bytes, data: Array("SendTargets=\0".utf8)[...])
        let list = try next()
        guard list.opcode == 0x24, String(decoding: list.data, as: UTF8.self).contains(ServedFixture.target) else {
            throw WireFault("SendTargets: \(list.header)")
        }
    }

    /// Writes with immediate data and Data-Out PDUs of any length.
    func write(_ first: Int, _ data: [UInt8], _ blocks: Int, _ dice: inout SeededGenerator) throws(WireFault) {
        let immediate = Int.random(in: 0...min(options.firstBurst, data.count), using: &dice)
        let header = command(0xa0, expected: data.count) {
            $0.put(block: 0x2a, lba: UInt32(first), count: UInt16(blocks))
        }
        wire.append(header.bytes, data: data[..<immediate])
        while true {
            let pdu = try next()
            guard pdu.opcode == 0x31 else {
                guard pdu.opcode == 0x21, pdu.tag == tag, pdu.header[3] == 0 else {
                    throw WireFault("a write ends with \(pdu.header) \(Array(pdu.data))")
                }
                return
            }
            var offset = Int(pdu.number(40))
            let end = offset + Int(pdu.number(44))
            var dataSN: UInt32 = 0
            while offset < end {
                // After some PDUs of a few bytes the rest may go at once.
                let most = [7, 999, 40_000].randomElement(using: &dice) ?? 7
                let left = end - offset
                let length = dataSN < 40 ? Int.random(in: 1...min(left, most), using: &dice) : left
                var out = RequestHeader(0x05, flags: length == left ? 0x80 : 0, tag: tag)
                out.put(pdu.number(20), at: 20)
                out.put(dataSN, at: 36)
                out.put(UInt32(offset), at: 40)
                wire.append(out.bytes, data: data[offset..<offset + length])
                offset += length
                dataSN += 1
            }
        }
    }

    func read(_ first: Int, _ blocks: Int, expected: Int) throws(WireFault) -> [UInt8] {
        let header = command(0xc0, expected: expected) {
            $0.put(block: 0x28, lba: UInt32(first), count: UInt16(blocks))
        }
        wire.append(header.bytes)
        return try collect()
    }
}
