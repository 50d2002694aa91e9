internal import IOLoop
internal import ISCSI

/// The PDUs of one vectored send of a connection: headers, digests and padding in cells of its own, payloads where they
/// lie. Filled from the send queue, in the kernel's hands until the send has ended, then emptied.
struct SendBatch {
    /// PDUs in one send, and payload after which no further one is added.
    static let maxPDUs = 48
    static let enoughBytes = 1 << 18

    // A cell: header and its digest (52 bytes), a small payload (64), padding and data digest (8).
    private static let cellBytes = 128
    private static let inlineOffset = 52
    static let inlineCapacity = 64
    private static let trailerOffset = 116

    private let cells: UnsafeMutableRawPointer
    private let header: UnsafeMutableRawPointer
    private let vectors: UnsafeMutablePointer<IOVector>
    private var cellCount = 0
    private var vectorCount = 0
    private var heap: [UnsafeMutableRawPointer] = []
    /// Bytes of the batch.
    private(set) var byteCount = 0
    /// Vectors and bytes that an earlier, short send has taken.
    private var firstVector = 0

    init() {
        cells = .allocate(byteCount: Self.cellBytes * Self.maxPDUs, alignment: 64)
        header = .allocate(byteCount: Loop.messageHeaderBytes, alignment: 16)
        vectors = .allocate(capacity: Self.maxPDUs * 3)
    }

    func deallocate() {
        for memory in heap { memory.deallocate() }
        cells.deallocate()
        header.deallocate()
        vectors.deallocate()
    }

    var isEmpty: Bool { cellCount == 0 }
    var isFull: Bool { cellCount == Self.maxPDUs || byteCount >= Self.enoughBytes }

    /// The 48 bytes in which the next PDU's header is to be written, before `append`.
    var nextHeader: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: cells + cellCount * Self.cellBytes, count: BasicHeader.size)
    }

    /// Room for a small payload of the next PDU.
    var nextInline: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(
            start: cells + cellCount * Self.cellBytes + Self.inlineOffset, count: Self.inlineCapacity)
    }

    /// Adds the PDU whose header was written, with its payload, which must stay until the send has ended.
    mutating func append(payload: UnsafeRawBufferPointer, digests: (header: Bool, data: Bool)) {
        let cell = cells + cellCount * Self.cellBytes
        cellCount += 1
        var headerBytes = BasicHeader.size
        if digests.header {
            let crc = CRC32C.checksum(UnsafeRawBufferPointer(start: cell, count: BasicHeader.size))
            CRC32C.store(crc, into: UnsafeMutableRawBufferPointer(start: cell, count: 52), at: BasicHeader.size)
            headerBytes += CRC32C.size
        }
        add(cell, headerBytes)
        guard !payload.isEmpty else { return }
        add(UnsafeMutableRawPointer(mutating: payload.baseAddress), payload.count)
        let trailer = cell + Self.trailerOffset
        trailer.storeBytes(of: 0, as: UInt64.self)
        let padding = -payload.count & 3
        var trailerBytes = padding
        if digests.data {
            var crc = CRC32C.checksum(payload)
            crc = CRC32C.checksum(UnsafeRawBufferPointer(start: trailer, count: padding), continuing: crc)
            CRC32C.store(crc, into: UnsafeMutableRawBufferPointer(start: trailer, count: 8), at: padding)
            trailerBytes += CRC32C.size
        }
        if trailerBytes > 0 { add(trailer, trailerBytes) }
    }

    /// As `append`, with a copy of the payload.
    mutating func append(copying payload: [UInt8], digests: (header: Bool, data: Bool)) {
        guard !payload.isEmpty else {
            return append(payload: UnsafeRawBufferPointer(start: nil, count: 0), digests: digests)
        }
        let copy = UnsafeMutableRawPointer.allocate(byteCount: payload.count, alignment: 8)
        payload.withUnsafeBytes { copy.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(copy), byteCount: $0.count) }
        heap.append(copy)
        append(payload: UnsafeRawBufferPointer(start: copy, count: payload.count), digests: digests)
    }

    private mutating func add(_ start: UnsafeMutableRawPointer?, _ count: Int) {
        vectors[vectorCount] = IOVector(start, count)
        vectorCount += 1
        byteCount += count
    }

    /// Hands the batch to the kernel.
    func send(on loop: Loop, _ socket: CInt, for handler: LoopHandler, tag: UInt32) {
        loop.send(
            socket, vectors + firstVector, count: vectorCount - firstVector, header: header, for: handler, tag: tag)
    }

    /// Takes note of bytes that were sent. True when nothing is left.
    mutating func advance(_ count: Int) -> Bool {
        var left = count
        while firstVector < vectorCount {
            if left < vectors[firstVector].count {
                vectors[firstVector].start = vectors[firstVector].start.map { $0 + left }
                vectors[firstVector].count -= left
                return false
            }
            left -= vectors[firstVector].count
            firstVector += 1
        }
        return true
    }

    /// Empties it for the next send.
    mutating func reset() {
        for memory in heap { memory.deallocate() }
        heap.removeAll(keepingCapacity: true)
        cellCount = 0
        vectorCount = 0
        firstVector = 0
        byteCount = 0
    }
}
