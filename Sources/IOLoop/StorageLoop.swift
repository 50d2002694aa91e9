internal import CLinux
internal import Glibc
internal import Synchronization
internal import Syscall
public import SystemPackage

/// A storage loop: an actor whose executor is one thread around one io_uring.
///
/// Control code awaits it (`run`); the thread enters the actor's isolation once for each batch of completions, and what
/// runs inside is synchronous. It lives until `stop`, which its maker must call.
public actor StorageLoop {
    nonisolated let executor: LoopExecutor
    private let loop: Loop
    private nonisolated let drainLimit: Duration
    private nonisolated let life = Mutex(Life())

    private struct Life {
        var thread: pthread_t?
        var hasEnded = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Makes the ring and starts the thread.
    public init(_ configuration: LoopConfiguration = LoopConfiguration()) throws(Errno) {
        executor = try LoopExecutor()
        loop = try Loop(configuration)
        drainLimit = configuration.drainLimit
        try start()
    }

    /// Runs `body` on the loop's thread between two batches, and gives its result. Its side effects are those of
    /// control code: it may allocate, but must not block.
    public func run<Value: Sendable, Failure: Error>(
        _ body: @Sendable (Loop) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try body(loop)
    }

    /// Lets what is in flight end, cancels what does not, and joins the thread. Calling it again waits for the same
    /// end.
    public nonisolated func stop() async {
        await askToStop()
        await withCheckedContinuation { continuation in
            let hasEnded = life.withLock { life in
                if !life.hasEnded { life.waiters.append(continuation) }
                return life.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
        let thread = life.withLock { $0.thread.take() }
        // It has said its last word and is on its way out.
        if let thread { pthread_join(thread, nil) }
    }

    private func askToStop() {
        guard loop.stage == .running else { return }
        loop.beginStop(within: Loop.nanoseconds(drainLimit))
    }

    private nonisolated func start() throws(Errno) {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let error = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<StorageLoop>.fromOpaque(context).takeRetainedValue().threadMain()
                return nil
            }, context.toOpaque())
        guard error == 0 else {
            context.release()
            throw Errno(rawValue: error)
        }
        let started = thread
        life.withLock { $0.thread = started }
    }

    private nonisolated func threadMain() {
        sda_thread_prepare("storage-loop")
        executor.bind()
        assumeIsolated { $0.loop.open(wakeUp: executor.wakeUp.descriptor.raw) }
        var goesOn = true
        while goesOn {
            executor.runJobs()
            let mayWait = executor.mayGoToSleep()
            goesOn = assumeIsolated { $0.loop.turnOrEnd(mayWait: mayWait) }
            executor.hasWokenUp()
        }
        let waiters = life.withLock { life in
            life.hasEnded = true
            return life.waiters
        }
        executor.end()
        for waiter in waiters { waiter.resume() }
    }
}

/// Something that lives on a loop, in the hands of code that does not: it can be held and passed, and opened only with
/// the loop in hand, which only code on its thread has.
///
/// `@unchecked Sendable`: `Loop` is not Sendable and is reached only inside the isolation of its `StorageLoop`.
public struct Confined<Value>: @unchecked Sendable {
    private let value: Value
    private unowned let loop: Loop

    public init(_ value: Value, to loop: Loop) {
        self.value = value
        self.loop = loop
    }

    /// The thing itself.
    public func open(on loop: Loop) -> Value {
        precondition(loop === self.loop, "opened on another loop than its own")
        return value
    }
}
