internal import IOLoop
internal import SystemPackage

/// One thing to be done to a disk. The bytes belong to whoever asks, and stay until the answer.
struct DiskRequest {
    enum Operation: UInt8 {
        /// Fills the buffer.
        case read
        /// Stores the buffer.
        case write
        /// Makes every write durable that was answered before; the range does not count.
        case flush
        /// The range reads as zero afterwards; blocks may be given back for it.
        case writeZeroes
        /// The range may be given back; it reads as zero or as before.
        case discard
    }

    var operation: Operation
    /// Bytes from the start of the disk. The range lies within it.
    var offset: UInt64
    var length: Int
    /// `length` bytes for `read` and `write`; nil for the others.
    var buffer: UnsafeMutableRawPointer?
    /// Answer a write only when it is durable (FUA).
    var durable = false
    /// Comes back with the answer.
    var tag: UInt32
}

/// Whoever uses disks on a loop: hears once for each request how it went.
class DiskClient: LoopHandler {
    /// A request has been carried out, or has failed. Called by the loop, never from within `submit`.
    func diskCompleted(tag: UInt32, error: Errno?) {
        preconditionFailure("a client of disks hears their answers")
    }
}

/// A disk as a logical unit sees it: a range of bytes with reads, writes and flushes. Confined to a loop; a raw file or
/// an image stands behind it.
///
/// Requests run side by side and end in any order: who needs an order waits for the answer.
class Disk: LoopHandler {
    /// Bytes.
    private(set) final var length: UInt64
    final let isReadOnly: Bool
    /// What it gives back at once when a range is discarded, in bytes.
    final let granularity: Int
    /// What has gone wrong with it.
    final var health: DiskHealth
    /// Called with the new length when the disk has grown.
    final var whenGrown: [(UInt64) -> Void] = []

    init(on loop: Loop, length: UInt64, isReadOnly: Bool, granularity: Int, health: DiskHealth) {
        self.length = length
        self.isReadOnly = isReadOnly
        self.granularity = granularity
        self.health = health
        super.init(on: loop)
    }

    /// Starts a request; `client.diskCompleted` ends it.
    func submit(_ request: DiskRequest, for client: DiskClient) {
        preconditionFailure("a disk carries requests out")
    }

    /// Whether the disk holds data for the range at `offset`, and for how many bytes, at most `length`, that answer
    /// holds; nil when it would have to read a table first.
    func allocation(at offset: UInt64, length: UInt64) -> (isAllocated: Bool, length: UInt64)? {
        (true, length)
    }

    /// Makes everything durable and lets go of the file, when nothing is in flight any more; then `done` is called.
    func close(_ done: @escaping (Errno?) -> Void) {
        preconditionFailure("a disk can be closed")
    }

    /// Makes the file larger. A flush makes that durable; then `grow(to:)` opens the new room to requests.
    func beginGrow(to bytes: UInt64) throws(ImageError) {
        preconditionFailure("a disk can grow")
    }

    /// The disk has grown.
    final func grow(to length: UInt64) {
        self.length = length
        for hear in whenGrown { hear(length) }
    }
}
