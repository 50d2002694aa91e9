internal import IOLoop
internal import ISCSI
internal import Logging
internal import Syscall
internal import SystemPackage

/// What the next bytes from the initiator are.
enum Incoming {
    /// A header, with what belongs to it.
    case header
    /// A data segment on its way to where it belongs.
    case data(DataSink)
    /// Data for a task that has no buffer yet: nothing is parsed, and TCP holds the initiator back.
    case stalled(UInt16)
}

/// Where a data segment goes: some bytes to keep, the rest to drop, then padding and digest.
struct DataSink {
    /// Nil drops everything.
    var target: UnsafeMutableRawPointer?
    var keep: Int
    var drop: Int
    /// Padding and data digest; they are read together, from the receive buffer.
    var trailer: Int
    var padding: Int
    var crc: UInt32 = 0
    /// The task whose data it is; nil for a segment that is collected as a whole.
    var task: UInt16?
    /// The PDU ends a burst.
    var final = false
    /// Memory for a segment that does not fit into the receive buffer.
    var collected: UnsafeMutableRawBufferPointer?
}

/// The receiving side: framing, digests, and the way of each data segment to its place.
extension Connection {
    /// From this length on the rest of a payload is received where it belongs, and not copied there.
    private static let directBytes = 2048

    /// Asks the kernel for more, into the payload's place or into the buffer.
    func receive() {
        guard !isReceiving, phase == .login || phase == .fullFeature else { return }
        if case .stalled = incoming { return }
        isReceiving = true
        if case .data(let sink) = incoming, start == end, let target = sink.target, sink.keep >= Self.directBytes {
            loop.receive(socket.raw, into: target, count: sink.keep, whole: true, for: self, tag: Tag.receive)
            return
        }
        if start == end {
            start = 0
            end = 0
        } else if receiveBuffer.capacity - end < 4096 {
            let bytes = receiveBuffer.start
            bytes.copyMemory(from: bytes + start, byteCount: end - start)
            end -= start
            start = 0
        }
        loop.receive(
            socket.raw, into: receiveBuffer.start + end, count: receiveBuffer.capacity - end, for: self,
            tag: Tag.receive)
    }

    func received(_ result: Int32) {
        isReceiving = false
        guard phase == .login || phase == .fullFeature else { return letGoOfSegment() }
        guard result > 0 else {
            if result < 0, result != -Errno.connectionReset.rawValue {
                registry.log.info("\(who): receive failed: \(Errno(rawValue: -result))")
            }
            return close()
        }
        if case .data(var sink) = incoming, start == end, let target = sink.target, sink.keep >= Self.directBytes {
            let count = Int(result)
            if framing.dataDigest {
                sink.crc = CRC32C.checksum(UnsafeRawBufferPointer(start: target, count: count), continuing: sink.crc)
            }
            sink.target = target + count
            sink.keep -= count
            incoming = .data(sink)
        } else {
            end += Int(result)
        }
        parse()
    }

    /// The kernel has let go of the place of a segment that nobody reads to its end any more: the task whose data it
    /// was may end.
    private func letGoOfSegment() {
        guard case .data(let sink) = incoming, let slot = sink.task else { return }
        incoming = .header
        endIfIdle(slot)
    }

    /// Parses what is there, then asks for more. Called again when what it waited for has come.
    func parse() {
        if phase == .login, established != nil {
            // The initiator may answer the last login response before we hear that it was sent; that there is a session
            // says that it was made, which may have to wait for the end of an old one.
            guard session != nil, queue.isEmpty else { return }
            beginFullFeature()
        }
        while phase == .login || phase == .fullFeature {
            switch incoming {
            case .header:
                // Answers that the initiator does not fetch, and commands beyond the window, hold the reading back.
                guard controlBytes < 1 << 18, !tasks.isFull else { return waitForSend() }
                guard takeHeader() else { return receive() }
            case .data(let sink):
                guard take(sink) else { return receive() }
            case .stalled:
                return
            }
        }
    }

    /// Reads on after the next send.
    private func waitForSend() {
        if !isSending { flush() }
    }

    /// Takes one header, and its data segment if all of that is here. False if more bytes are needed.
    private func takeHeader() -> Bool {
        let available = end - start
        guard available >= BasicHeader.size else { return false }
        let header = UnsafeRawBufferPointer(start: receiveBuffer.start + start, count: BasicHeader.size)
        let basic = BasicHeader(header)
        let headerLength = basic.headerLength(framing)
        guard available >= headerLength else { return false }
        if framing.headerDigest {
            let covered = headerLength - CRC32C.size
            let bytes = UnsafeRawBufferPointer(start: header.baseAddress, count: headerLength)
            let crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<covered]))
            guard CRC32C.load(bytes, at: covered) == crc else {
                // Nothing in the header can be believed, not even its length (RFC 7143 section 7.7).
                fail("header digest error")
                return true
            }
        }
        let pdu: InitiatorPDU
        do throws(PDUError) {
            pdu = try InitiatorPDU(header, framing: framing)
        } catch {
            refuse(.protocolError, header, closing: "\(error)")
            return true
        }
        pendingHeader.copyMemory(from: header.baseAddress ?? UnsafeRawPointer(pendingHeader), byteCount: header.count)
        start += headerLength
        switch pdu {
        case .scsiCommand(let command) where phase == .fullFeature:
            arrived(command, basic)
        case .dataOut(let data) where phase == .fullFeature:
            arrived(data, basic)
        default:
            collect(pdu, basic)
        }
        return true
    }

    /// Has a PDU handled with its whole data segment at hand: from the receive buffer, or from memory of its own.
    func collect(_ pdu: InitiatorPDU, _ basic: BasicHeader) {
        let length = basic.dataLength(framing)
        guard length <= end - start else {
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: basic.dataBytes, alignment: 16)
            incoming = .data(
                DataSink(
                    target: memory.baseAddress, keep: basic.dataBytes, drop: 0,
                    trailer: length - basic.dataBytes, padding: basic.padding, collected: memory))
            return
        }
        let data = UnsafeRawBufferPointer(start: receiveBuffer.start + start, count: basic.dataBytes)
        start += length
        if framing.dataDigest, basic.dataBytes > 0 {
            let covered = basic.dataBytes + basic.padding
            let bytes = UnsafeRawBufferPointer(start: data.baseAddress, count: length)
            let crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<covered]))
            guard CRC32C.load(bytes, at: covered) == crc else { return dataDigestFailed() }
        }
        handle(pdu, data)
    }

    /// Moves bytes of a data segment from the buffer to their place. False if more are needed.
    private func take(_ sink: DataSink) -> Bool {
        var sink = sink
        if sink.keep > 0 {
            let count = min(sink.keep, end - start)
            let bytes = UnsafeRawBufferPointer(start: receiveBuffer.start + start, count: count)
            if framing.dataDigest { sink.crc = CRC32C.checksum(bytes, continuing: sink.crc) }
            if let target = sink.target, let source = bytes.baseAddress {
                target.copyMemory(from: source, byteCount: count)
                sink.target = target + count
            }
            start += count
            sink.keep -= count
        }
        if sink.keep == 0, sink.drop > 0 {
            let count = min(sink.drop, end - start)
            let bytes = UnsafeRawBufferPointer(start: receiveBuffer.start + start, count: count)
            if framing.dataDigest { sink.crc = CRC32C.checksum(bytes, continuing: sink.crc) }
            start += count
            sink.drop -= count
        }
        guard sink.keep == 0, sink.drop == 0, end - start >= sink.trailer else {
            incoming = .data(sink)
            return false
        }
        finish(sink)
        return true
    }

    private func finish(_ sink: DataSink) {
        incoming = .header
        let trailer = UnsafeRawBufferPointer(start: receiveBuffer.start + start, count: sink.trailer)
        start += sink.trailer
        defer { sink.collected?.deallocate() }
        if framing.dataDigest {
            let padding = UnsafeRawBufferPointer(rebasing: trailer[..<sink.padding])
            let crc = CRC32C.checksum(padding, continuing: sink.crc)
            guard CRC32C.load(trailer, at: sink.padding) == crc else {
                guard let slot = sink.task else { return dataDigestFailed() }
                reject(.dataDigestError, pendingHeaderBytes)
                loseData(slot)
                return segmentEnded(slot, final: sink.final)
            }
        }
        if let collected = sink.collected {
            let header = UnsafeRawBufferPointer(start: pendingHeader, count: BasicHeader.size)
            if let pdu = try? InitiatorPDU(header, framing: framing) { handle(pdu, UnsafeRawBufferPointer(collected)) }
        } else if let slot = sink.task {
            segmentEnded(slot, final: sink.final)
        }
    }

    /// A request without its data cannot be answered, and its place in the order of commands cannot be left open: at
    /// error recovery level 0 that costs the session (RFC 7143 section 7.8). Data of a SCSI command costs only the
    /// command.
    private func dataDigestFailed() {
        refuse(.dataDigestError, pendingHeaderBytes, closing: "data digest error")
    }
}
