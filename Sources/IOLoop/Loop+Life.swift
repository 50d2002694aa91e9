internal import SystemPackage

/// The beginning and the end of a loop.
extension Loop {
    /// Ties the ring to this thread and begins to listen for wake-ups.
    func open(wakeUp: CInt) {
        do throws(Errno) {
            try ring.enable()
        } catch {
            preconditionFailure("the kernel does not enable a ring that it has made: \(error)")
        }
        _ = WakeUp(on: self, descriptor: wakeUp)
    }

    /// A turn, and on the way to the end what the stage asks for. False when the loop has ended.
    func turnOrEnd(mayWait: Bool) -> Bool {
        do throws(Errno) {
            try turn(mayWait: mayWait)
        } catch {
            preconditionFailure("the kernel refuses a ring that it has made: \(error)")
        }
        switch stage {
        case .running: return true
        case .stopped: return false
        case .draining(let deadline):
            if operationsInFlight == 0 { return end() }
            if now >= deadline { cancelEverything() }
            return true
        case .cancelling:
            return operationsInFlight == 0 ? end() : true
        }
    }

    /// Tells every handler, and sets the time after which what is still in flight is cancelled.
    func beginStop(within nanoseconds: UInt64) {
        let deadline = Self.clock() &+ nanoseconds
        stage = .draining(until: deadline)
        for handler in handlers.all where !handler.hasRetired {
            handler.loopStopping()
        }
        if let stopper = handlers.all.first(where: { $0 is WakeUp }) {
            _ = setTimer(after: .nanoseconds(Int64(clamping: nanoseconds)), for: stopper, tag: 0)
        }
    }

    private func cancelEverything() {
        stage = .cancelling
        if let stopper = handlers.all.first(where: { $0 is WakeUp }) {
            cancelEverything(for: stopper)
        }
    }

    private func end() -> Bool {
        stage = .stopped
        return false
    }
}

/// Hears the wake-up of a loop: reads its eventfd again and again. Owned by the loop's table.
final class WakeUp: LoopHandler {
    private let descriptor: CInt
    private let counter = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)

    private static let readTag: UInt32 = 1
    private static let cancelTag: UInt32 = 2

    init(on loop: Loop, descriptor: CInt) {
        self.descriptor = descriptor
        super.init(on: loop)
        listen()
    }

    deinit { counter.deallocate() }

    private func listen() {
        loop.read(descriptor, into: counter, count: 8, at: 0, for: self, tag: Self.readTag)
    }

    override func completed(tag: UInt32, result: Int32, more: Bool) {
        // The signal itself is all there is to it: the thread looks into its inbox on every turn.
        if tag == Self.readTag && loop.stage == .running { listen() }
    }

    override func loopStopping() {
        loop.cancel(Self.readTag, of: self, tag: Self.cancelTag)
    }
}
