import IOLoop
import Syscall
import SystemPackage

/// An open qcow2 volume on a storage loop: carries out requests with ring operations, as its image says where things
/// are.
///
/// Confined to the loop's thread. It never blocks, and never calls a client from within a client's call. Opened and
/// closed through `OpenDisk`, which control code holds.
final class ImageDisk: Disk {
    /// Bytes of the unit in which space is allocated and given back.
    let clusterBytes: Int
    /// Why the disk takes no more writes; nil while it does.
    var failure: Errno?
    /// Requests, and what they moved, since the disk was opened.
    var statistics = DiskStatistics()

    /// The layers, the image first.
    var chain: BackingChain
    let image: Image
    var operations = Slab<Operation>(capacity: 256)
    var transfers = Slab<Transfer>(capacity: 256)
    var parts = Slab<Part>(capacity: 64)
    var loads: [Int: Load] = [:]
    var nextLoad = 0
    /// Operations (their index) and parts (its complement) that wait for something to change.
    var parked: [Int] = []
    /// Operations that have ended and whose clients have not heard yet.
    var finished: [Int] = []
    /// Buffers of one cluster for copying up, and how many may still be made.
    var copyBuffers: [UnsafeMutableRawPointer] = []
    var copyBuffersLeft: Int
    /// As many zeroes as fit into a cluster.
    let zeroes: UnsafeMutableRawPointer
    /// The header's features, on their way to the file.
    let mark = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
    var commit = CommitRun()
    var epochs = Epochs()
    var space = SpaceReturn()
    var room: RoomInFlight?
    var commitTimer: TimerID?
    /// How long a changed mapping may stay in memory alone.
    let commitDelay: Duration
    var closing: ((Errno?) -> Void)?
    var isClosed = false
    /// Hears everything that happens to the top file; for tests.
    var recorder: ((DiskEvent) -> Void)?
    var nextEvent = 1

    /// - Parameters:
    ///   - chain: what `image` builds on, itself first.
    ///   - commitDelay: the longest time that a changed mapping is in memory alone.
    ///   - health: names the disk, and hears of what goes wrong.
    init(_ image: Image, in chain: BackingChain, on loop: Loop, commitDelay: Duration, health: DiskHealth) {
        self.chain = chain
        self.image = image
        self.commitDelay = commitDelay
        clusterBytes = image.geometry.clusterBytes
        image.keepsReserve = image.isWritable
        copyBuffersLeft = max(2, min(16, (2 << 20) / clusterBytes))
        zeroes = .allocate(byteCount: clusterBytes, alignment: 4096)
        zeroes.initializeMemory(as: UInt8.self, repeating: 0, count: clusterBytes)
        super.init(
            on: loop, length: image.size, isReadOnly: !image.isWritable, granularity: clusterBytes, health: health)
    }

    deinit {
        for buffer in copyBuffers { buffer.deallocate() }
        for load in loads.values { load.bytes.deallocate() }
        zeroes.deallocate()
        mark.deallocate()
    }

    var topFile: CInt { chain.files[0].descriptor.raw }

    // MARK: Requests

    override func submit(_ request: DiskRequest, for client: DiskClient) {
        let index = operations.take(
            Operation(
                kind: request.operation, isDurable: request.durable, client: .passUnretained(client), tag: request.tag,
                epoch: epochs.enter(), offset: request.offset,
                length: request.operation == .flush ? 0 : request.length, bytes: request.buffer))
        if let error = refusal(request) {
            fail(index, error)
        } else {
            statistics.count(request)
            advance(index)
        }
        if !finished.isEmpty { loop.callAtBatchEnd(self) }
    }

    /// What is wrong with a request; the image sees only ranges within the disk.
    private func refusal(_ request: DiskRequest) -> Errno? {
        if closing != nil || isClosed { return .badFileDescriptor }
        guard request.operation != .flush else { return failure }
        guard request.length >= 0, request.offset <= length, UInt64(request.length) <= length - request.offset,
            request.offset % 512 == 0, request.length % 512 == 0
        else { return .invalidArgument }
        if request.operation != .read {
            if let failure { return failure }
            if isReadOnly { return .readOnlyFileSystem }
        }
        let movesData = request.operation == .read || request.operation == .write
        return movesData && request.buffer == nil ? .badAddress : nil
    }

    /// Ends an operation with an error, once nothing of it is in flight any more.
    func fail(_ index: Int, _ error: Errno) {
        let operation = operations.slot(index)
        if operation.pointee.error == 0 { operation.pointee.error = error.rawValue }
        operation.pointee.cursor = operation.pointee.length
        endIfDone(index)
    }

    /// Ends an operation of which nothing is left to do.
    @inline(__always)
    func endIfDone(_ index: Int) {
        let operation = operations.slot(index)
        guard operation.pointee.outstanding == 0, operation.pointee.cursor >= operation.pointee.length else { return }
        guard !operation.pointee.isParked else { return }
        if operation.pointee.isDurable, operation.pointee.error == 0, operation.pointee.kind != .read {
            operation.pointee.isDurable = false
            joinCommit(index)
            return
        }
        epochs.leave(operation.pointee.epoch)
        finished.append(index)
    }

    /// Tells clients what has ended. Only from the loop's hooks; what they start meanwhile is told in the next.
    func deliver() {
        let count = finished.count
        for place in 0..<count {
            let operation = operations[finished[place]]
            operations.give(finished[place])
            let error = operation.error == 0 ? nil : Errno(rawValue: operation.error)
            operation.client._withUnsafeGuaranteedRef { $0.diskCompleted(tag: operation.tag, error: error) }
        }
        finished.removeFirst(count)
        if space.hasWork { returnSpace() }
        if closing != nil { continueClosing() }
        // Space that comes back at once, with no hole to wait for, wakes operations that may end at once as well.
        if !finished.isEmpty { loop.callAtBatchEnd(self) }
    }

    override func close(_ done: @escaping (Errno?) -> Void) {
        precondition(closing == nil && !isClosed, "a disk is closed once")
        closing = done
        // What failed before is tried once more.
        commit.lastError = nil
        loop.callAtBatchEnd(self)
    }

    override func beginGrow(to bytes: UInt64) throws(ImageError) {
        if let failure { throw .system(operation: .write, failure) }
        guard bytes >= length, bytes % 512 == 0 else {
            throw .size(bytes, rule: "a multiple of 512, and no less than \(length)")
        }
        try image.grow(to: bytes) { offset, count throws(ImageError) in
            try chain.files[0].allocate(count, at: offset)
        }
        noteChange()
    }

    override func allocation(at offset: UInt64, length: UInt64) -> (isAllocated: Bool, length: UInt64)? {
        guard offset < self.length, length > 0 else { return nil }
        let count = Int(min(length, self.length - offset, 1 << 40))
        switch chain.map(offset, count) {
        case .data(_, _, let count): return (true, UInt64(count))
        case .zero(let count): return (false, UInt64(count))
        case .needs(let layer, let table):
            _ = load(layer, table)
            return nil
        case .fault: return nil
        }
    }

    override func completed(tag: UInt32, result: Int32, more: Bool) {
        transferEnded(Int(tag), result)
        if !finished.isEmpty || space.hasWork || closing != nil { deliver() }
    }

    override func timerFired(tag: UInt32) {
        if tag == SpaceReturn.sliceTimer {
            settle()
            if !finished.isEmpty || space.hasWork || closing != nil { deliver() }
            return
        }
        commitTimer = nil
        if commit.hasChanges { startCommit() }
        if !finished.isEmpty { deliver() }
    }

    override func batchEnded() { deliver() }

    /// A disk is closed before its loop stops; if not, at least no mapping stays in memory alone.
    override func loopStopping() {
        if commit.hasChanges { startCommit() }
    }

    // MARK: Waiting

    /// Lets an operation wait until something has changed.
    func park(_ index: Int, on load: Int = 0, awaitsCommit: Bool = false) {
        let operation = operations.slot(index)
        operation.pointee.awaitsCommit = awaitsCommit
        operation.pointee.awaited = load
        guard !operation.pointee.isParked else { return }
        operation.pointee.isParked = true
        parked.append(index)
    }

    func parkPart(_ index: Int, on load: Int = 0) {
        parts.slot(index).pointee.awaited = load
        guard !parts.slot(index).pointee.isParked else { return }
        parts.slot(index).pointee.isParked = true
        parked.append(~index)
    }

    /// Something has changed: everyone who waits looks again.
    func wake() {
        guard !parked.isEmpty else { return }
        let waiting = parked
        parked = []
        for item in waiting {
            if item >= 0 {
                operations.slot(item).pointee.isParked = false
                advance(item)
            } else {
                parts.slot(~item).pointee.isParked = false
                advancePart(~item)
            }
        }
    }

    /// Goes on with an operation as far as it gets.
    func advance(_ index: Int) {
        let kind = operations.slot(index).pointee.kind
        guard kind != .flush else { return joinCommit(index) }
        // Counts as one more in flight, so that what ends at once does not end the operation under our feet.
        operations.slot(index).pointee.outstanding += 1
        switch kind {
        case .read: advanceRead(index)
        case .write: advanceWrite(index)
        case .writeZeroes, .discard: advanceUnmap(index)
        case .flush: break
        }
        operations.slot(index).pointee.outstanding -= 1
        endIfDone(index)
    }
}

/// What a disk has done since it was opened.
struct DiskStatistics: Sendable, Equatable {
    var reads: UInt64 = 0
    var readBytes: UInt64 = 0
    var writes: UInt64 = 0
    var writtenBytes: UInt64 = 0
    var flushes: UInt64 = 0
    var unmaps: UInt64 = 0
    /// Commits of changed tables.
    var commits: UInt64 = 0

    mutating func count(_ request: DiskRequest) {
        switch request.operation {
        case .read:
            reads &+= 1
            readBytes &+= UInt64(request.length)
        case .write:
            writes &+= 1
            writtenBytes &+= UInt64(request.length)
        case .writeZeroes, .discard: unmaps &+= 1
        case .flush: flushes &+= 1
        }
    }
}

/// Counts operations by the epoch in which they began. An epoch ends with a commit that frees clusters: whoever began
/// before it may still be reading or writing them. At most two epochs are open.
struct Epochs {
    private(set) var current: UInt64 = 1
    private var counts: (UInt64, UInt64) = (0, 0)

    @inline(__always)
    mutating func enter() -> UInt64 {
        if current & 1 == 0 { counts.0 += 1 } else { counts.1 += 1 }
        return current
    }

    @inline(__always)
    mutating func leave(_ epoch: UInt64) {
        if epoch & 1 == 0 { counts.0 -= 1 } else { counts.1 -= 1 }
    }

    private func count(_ epoch: UInt64) -> UInt64 { epoch & 1 == 0 ? counts.0 : counts.1 }

    /// Begins a new epoch, if the one before the current has ended.
    mutating func advance() {
        if count(current &+ 1) == 0 { current += 1 }
    }

    /// Nobody who began in `epoch` or before is left.
    func hasEnded(_ epoch: UInt64) -> Bool {
        if epoch < current &- 1 { return true }
        if epoch == current &- 1 { return count(epoch) == 0 }
        return counts == (0, 0)
    }
}
