internal import CLinux
/// Operations on files. Each ends in `handler.completed(tag:result:more:)` with what the system call would return; the
/// memory it names stays untouched until then, and the descriptor open.
extension Loop {
    /// Reads up to `count` bytes at `offset`; fewer at the end of the file, perhaps fewer elsewhere.
    public func read(
        _ file: CInt, into bytes: UnsafeMutableRawPointer, count: Int, at offset: UInt64, for handler: LoopHandler,
        tag: UInt32
    ) {
        let name = begin(handler, tag)
        note(sda_ring_read(ring.handle, name, file, bytes, UInt32(count), offset, -1), name)
    }

    /// Reads into a buffer of the pool, from its byte `start` on.
    public func read(
        _ file: CInt, into buffer: Buffer, from start: Int = 0, count: Int, at offset: UInt64,
        for handler: LoopHandler, tag: UInt32
    ) {
        precondition(start >= 0 && count >= 0 && start + count <= buffer.capacity, "a read past its buffer")
        let name = begin(handler, tag)
        note(
            sda_ring_read(ring.handle, name, file, buffer.start + start, UInt32(count), offset, fixed(buffer)), name)
    }

    /// Writes `count` bytes at `offset`; the result may be fewer.
    /// - Parameter durable: completes only when the data and what is needed to find it are durable (RWF_DSYNC).
    public func write(
        _ file: CInt, from bytes: UnsafeRawPointer, count: Int, at offset: UInt64, durable: Bool = false,
        for handler: LoopHandler, tag: UInt32
    ) {
        let name = begin(handler, tag)
        note(sda_ring_write(ring.handle, name, file, bytes, UInt32(count), offset, -1, durable), name)
    }

    /// Writes from a buffer of the pool, from its byte `start` on.
    public func write(
        _ file: CInt, from buffer: Buffer, from start: Int = 0, count: Int, at offset: UInt64, durable: Bool = false,
        for handler: LoopHandler, tag: UInt32
    ) {
        precondition(start >= 0 && count >= 0 && start + count <= buffer.capacity, "a write past its buffer")
        let name = begin(handler, tag)
        note(
            sda_ring_write(
                ring.handle, name, file, buffer.start + start, UInt32(count), offset, fixed(buffer), durable), name)
    }

    /// Reads into several pieces. The vectors too must stay until the operation has ended.
    public func read(
        _ file: CInt, into vectors: UnsafeBufferPointer<IOVector>, at offset: UInt64, for handler: LoopHandler,
        tag: UInt32
    ) {
        let name = begin(handler, tag)
        note(sda_ring_readv(ring.handle, name, file, vectors.baseAddress, UInt32(vectors.count), offset), name)
    }

    /// Writes several pieces. The vectors too must stay until the operation has ended.
    public func write(
        _ file: CInt, from vectors: UnsafeBufferPointer<IOVector>, at offset: UInt64, for handler: LoopHandler,
        tag: UInt32
    ) {
        let name = begin(handler, tag)
        note(sda_ring_writev(ring.handle, name, file, vectors.baseAddress, UInt32(vectors.count), offset), name)
    }

    /// Makes everything durable whose write has completed before: fdatasync(2). It is not ordered with what is in
    /// flight.
    public func syncData(_ file: CInt, for handler: LoopHandler, tag: UInt32) {
        let name = begin(handler, tag)
        note(sda_ring_fsync(ring.handle, name, file, true), name)
    }

    /// As `syncData`, with the file's attributes: fsync(2).
    public func sync(_ file: CInt, for handler: LoopHandler, tag: UInt32) {
        let name = begin(handler, tag)
        note(sda_ring_fsync(ring.handle, name, file, false), name)
    }

    /// What to do to a range of a file: the modes of fallocate(2).
    public enum Space: Sendable {
        /// Give it blocks; the file grows if it ends before.
        case allocate
        /// Take its blocks; it reads as zero, and the length stays.
        case punchHole
        /// Make it read as zero and keep blocks for it; the length stays.
        case zeroRange

        var mode: CInt {
            switch self {
            case .allocate: 0
            case .punchHole: 0x02 | 0x01  // FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, linux/falloc.h
            case .zeroRange: 0x10 | 0x01  // FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE
            }
        }
    }

    /// Changes the space behind a range; EOPNOTSUPP where the file system cannot.
    public func changeSpace(
        _ file: CInt, _ space: Space, at offset: UInt64, length: UInt64, for handler: LoopHandler, tag: UInt32
    ) {
        let name = begin(handler, tag)
        note(sda_ring_fallocate(ring.handle, name, file, space.mode, offset, length), name)
    }

    private func fixed(_ buffer: Buffer) -> CInt {
        buffers.isRegistered ? CInt(buffer.place >> 16) : -1
    }
}
