/// Whoever starts operations on a `Loop` and hears how they ended: a listener, a connection, an image file.
///
/// Confined to the loop's thread. The loop's table owns it from `init` until it has retired and its last operation has
/// completed, so the memory that an operation names may simply belong to the handler. All hooks are called by the loop
/// itself, never from within a call that the handler made.
open class LoopHandler {
    /// The loop that it lives on.
    public unowned let loop: Loop
    /// Its place in the loop's table.
    final let index: UInt32
    /// Operations started and not completed.
    public final internal(set) var operationsInFlight = 0
    final var hasRetired = false
    final var awaitsBatchEnd = false
    final var awaitsBuffers = false
    final var hasTimers = false

    /// Enters the loop's table.
    public init(on loop: Loop) {
        self.loop = loop
        index = loop.handlers.reserve()
        loop.handlers.fill(index, with: self)
    }

    /// An operation has completed.
    /// - Parameters:
    ///   - tag: as it was given with the operation.
    ///   - result: what the system call would have returned: a count, or a negated errno.
    ///   - more: a multishot operation goes on, and this was not its last completion.
    open func completed(tag: UInt32, result: Int32, more: Bool) {
        preconditionFailure("a handler that starts operations hears of their end")
    }

    /// A timer that this handler set has run out.
    open func timerFired(tag: UInt32) {}

    /// The batch of completions is through, as `loop.callAtBatchEnd` asked for: the place to send what has gathered,
    /// and to answer what could be answered at once.
    open func batchEnded() {}

    /// Buffers have come back to the pool, as `loop.callWhenBuffersReturn` asked for.
    open func buffersReturned() {}

    /// The loop is asked to stop: end what would otherwise wait for ever (accept, receive). The loop goes on until
    /// nothing is in flight.
    open func loopStopping() {}

    /// Leaves the table once nothing is in flight; starts nothing from now on.
    public final func retire() {
        guard !hasRetired else { return }
        hasRetired = true
        if hasTimers { loop.timers.cancelAll(of: index) }
        if operationsInFlight == 0 { loop.handlers.noteRetired(index) }
    }
}
