internal import CLinux
internal import Glibc
internal import SystemPackage

/// How large a loop is made.
public struct LoopConfiguration: Sendable {
    /// Operations that one call of the kernel submits.
    public var entries: UInt32 = 512
    /// Completions that fit before the kernel has to take memory for more. When there is none it drops them, and the
    /// loop cannot go on: they should never be so many.
    public var completions: UInt32 = 16_384
    /// The size classes of the buffer pool.
    public var buffers: [BufferPool.Class] = [
        .init(bytes: 4096, slots: 1024), .init(bytes: 65536, slots: 256), .init(bytes: 262_144, slots: 96),
        .init(bytes: 1_048_576, slots: 48),
    ]
    /// Buffers that connections receive into, apart from the others: however many stand idle, work finds its own.
    public var receiveBuffers = BufferPool.Class(bytes: 65536, slots: 1024)
    /// Pin the slabs for the kernel: worth it for direct I/O, and costs their memory from the start.
    public var registersBuffers = false
    /// How long a stopping loop lets operations end by themselves before it cancels them.
    public var drainLimit: Duration = .seconds(10)

    public init() {}
}

/// What happens on a storage loop: one io_uring, the handlers that use it, its buffers and timers.
///
/// Confined to the loop's thread: reached inside `StorageLoop.run`, and by handlers through `loop`.
public final class Loop {
    let ring: Ring
    var handlers = HandlerTable()
    var timers = TimerQueue()
    /// The buffers of everyone on this loop.
    public var buffers: BufferPool
    /// One for each connection, for as long as it lasts.
    public var receiveBuffers: BufferPool
    /// Nanoseconds of the monotonic clock when this batch began.
    public private(set) var now: UInt64
    /// Operations in flight, all handlers together.
    public private(set) var operationsInFlight = 0
    /// Turns since the start: each is one call of the kernel and one batch of completions.
    public private(set) var turns: UInt64 = 0
    /// Completions since the start.
    public private(set) var completions: UInt64 = 0
    var stage = Stage.running

    private let completed: UnsafeMutableBufferPointer<sda_completion>
    // Submissions that the kernel had no memory for; they complete with an error in the next turn.
    private var refused: [UInt64] = []
    private var batchEnd: [LoopHandler] = []
    private var batchEndTurn: [LoopHandler] = []
    private var waitingForBuffers: [LoopHandler] = []

    enum Stage: Equatable {
        case running
        /// Asked to stop: what is in flight may end by itself until the deadline.
        case draining(until: UInt64)
        /// The deadline has passed; everything in flight was cancelled.
        case cancelling
        case stopped
    }

    init(_ configuration: LoopConfiguration) throws(Errno) {
        ring = try Ring(entries: configuration.entries, completions: configuration.completions)
        buffers = try BufferPool(configuration.buffers)
        do throws(Errno) {
            receiveBuffers = try BufferPool([configuration.receiveBuffers])
        } catch {
            buffers.destroy()
            throw error
        }
        completed = .allocate(capacity: 256)
        now = Self.clock()
        if configuration.registersBuffers { buffers.isRegistered = ring.register(buffers.vectors) }
    }

    deinit {
        handlers.destroy()
        buffers.destroy()
        receiveBuffers.destroy()
        completed.deallocate()
    }

    /// Has `handler.batchEnded()` called after this batch, once however often it is asked for.
    public func callAtBatchEnd(_ handler: LoopHandler) {
        guard !handler.awaitsBatchEnd else { return }
        handler.awaitsBatchEnd = true
        batchEnd.append(handler)
    }

    /// Has `handler.buffersReturned()` called, in the order of asking, when buffers have come back.
    public func callWhenBuffersReturn(_ handler: LoopHandler) {
        guard !handler.awaitsBuffers else { return }
        handler.awaitsBuffers = true
        waitingForBuffers.append(handler)
    }

    /// Sets a timer for `handler`; it runs out not before `delay`, and is forgotten when the handler retires.
    public func setTimer(after delay: Duration, for handler: LoopHandler, tag: UInt32) -> TimerID {
        handler.hasTimers = true
        return timers.set(deadline: Self.clock() &+ Self.nanoseconds(delay), handler: handler.index, tag: tag)
    }

    public func cancel(_ timer: TimerID) {
        timers.cancel(timer)
    }

    /// Counts an operation of `handler` and names it; for the submissions only.
    @inline(__always)
    func begin(_ handler: LoopHandler, _ tag: UInt32) -> UInt64 {
        precondition(stage != .stopped, "an operation on a loop that has stopped")
        handler.operationsInFlight &+= 1
        operationsInFlight &+= 1
        return UInt64(handler.index) << 32 | UInt64(tag)
    }

    /// Notes a submission that found no room: its handler hears ENOMEM.
    @inline(__always)
    func note(_ accepted: Bool, _ name: UInt64) {
        if !accepted { refused.append(name) }
    }

    /// One turn: submit, wait if there is nothing else to do, run what has completed.
    /// - Parameter mayWait: sleep for a completion if none is there.
    func turn(mayWait: Bool) throws(Errno) {
        // Control code may have retired some since the last batch.
        handlers.releaseRetired()
        let hasWork = !batchEnd.isEmpty || !refused.isEmpty || (buffers.hasReturns && !waitingForBuffers.isEmpty)
        let waits = mayWait && !hasWork
        let limit = timers.nextDeadline().map { $0 > now ? $0 - now : 0 }
        try ring.enter(waits: waits && limit != 0, limit: limit)
        turns &+= 1
        now = Self.clock()
        var count = ring.reap(into: completed)
        while count > 0 {
            for index in 0..<count {
                let completion = completed[index]
                dispatch(
                    completion.user_data, completion.result, more: completion.flags & UInt32(SDA_COMPLETION_MORE) != 0)
            }
            completions &+= UInt64(count)
            count = count == completed.count ? ring.reap(into: completed) : 0
        }
        if !refused.isEmpty { failRefused() }
        while let timer = timers.takeExpired(now: now) {
            handlers[timer.handler]?._withUnsafeGuaranteedRef { $0.timerFired(tag: timer.tag) }
        }
        endBatch()
    }

    private func dispatch(_ name: UInt64, _ result: Int32, more: Bool) {
        let index = UInt32(truncatingIfNeeded: name >> 32)
        guard let handler = handlers[index] else { return }
        handler._withUnsafeGuaranteedRef { handler in
            handler.completed(tag: UInt32(truncatingIfNeeded: name), result: result, more: more)
            guard !more else { return }
            handler.operationsInFlight &-= 1
            operationsInFlight &-= 1
            if handler.hasRetired && handler.operationsInFlight == 0 { handlers.noteRetired(index) }
        }
    }

    private func failRefused() {
        let names = refused
        refused = []
        for name in names {
            dispatch(name, -Errno.noMemory.rawValue, more: false)
        }
    }

    private func endBatch() {
        if buffers.hasReturns && !waitingForBuffers.isEmpty {
            buffers.hasReturns = false
            let waiting = waitingForBuffers
            waitingForBuffers = []
            for handler in waiting {
                handler.awaitsBuffers = false
                if !handler.hasRetired { handler.buffersReturned() }
            }
        }
        // What a hook asks for comes in the next round; a few rounds save turns, a bound keeps the loop fair.
        for _ in 0..<4 where !batchEnd.isEmpty {
            swap(&batchEnd, &batchEndTurn)
            for handler in batchEndTurn {
                handler.awaitsBatchEnd = false
                handler.batchEnded()
            }
            batchEndTurn.removeAll(keepingCapacity: true)
        }
        handlers.releaseRetired()
    }

    static func nanoseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }

    /// Nanoseconds of the monotonic clock, now.
    static func clock() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
