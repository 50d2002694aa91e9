internal import Glibc
internal import Synchronization
internal import Syscall
internal import SystemPackage

/// Runs the jobs of a `StorageLoop` on its thread: an inbox that other threads fill, and the eventfd that wakes the
/// loop.
///
/// `@unchecked Sendable`: the inbox is behind a mutex, the rest is set before the thread starts or used only by it.
final class LoopExecutor: SerialExecutor, @unchecked Sendable {
    private struct Inbox {
        var jobs: [UnownedJob] = []
        var owner: pthread_t?
        // The thread sleeps in the kernel, or is about to: a job must be announced.
        var sleeps = false
        var hasEnded = false
    }

    private let inbox = Mutex(Inbox())
    let wakeUp: EventFD
    private var running: [UnownedJob] = []

    init() throws(Errno) {
        wakeUp = try EventFD()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let (mustWake, mustRun) = inbox.withLock { inbox -> (Bool, Bool) in
            inbox.jobs.append(job)
            if inbox.hasEnded { return (false, inbox.owner == nil) }
            defer { inbox.sleeps = false }
            return (inbox.sleeps, false)
        }
        if mustWake { wakeUp.signal() }
        // The loop's thread has gone, and with it all that this could disturb: whoever comes runs the rest, one at a
        // time.
        if mustRun { runAfterEnd() }
    }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    func checkIsolated() {
        let isOwner = inbox.withLock { inbox in
            inbox.owner.map { pthread_equal($0, pthread_self()) != 0 } ?? false
        }
        precondition(isOwner, "the storage loop was entered from another thread")
    }

    /// The calling thread is the loop's from now on.
    func bind() {
        inbox.withLock { $0.owner = pthread_self() }
    }

    /// Runs what others have put in; on the loop's thread.
    func runJobs() {
        inbox.withLock { inbox in swap(&inbox.jobs, &running) }
        for job in running {
            job.runSynchronously(on: asUnownedSerialExecutor())
        }
        running.removeAll(keepingCapacity: true)
    }

    /// Announces that the thread goes to sleep; false if there are jobs.
    func mayGoToSleep() -> Bool {
        inbox.withLock { inbox in
            inbox.sleeps = inbox.jobs.isEmpty
            return inbox.sleeps
        }
    }

    func hasWokenUp() {
        inbox.withLock { $0.sleeps = false }
    }

    /// The thread is about to end: jobs that come later run on the threads that bring them.
    func end() {
        inbox.withLock { inbox in
            inbox.hasEnded = true
            inbox.owner = nil
        }
        runAfterEnd()
    }

    private func runAfterEnd() {
        while true {
            let job = inbox.withLock { inbox -> UnownedJob? in
                guard inbox.owner == nil, !inbox.jobs.isEmpty else { return nil }
                inbox.owner = pthread_self()
                return inbox.jobs.removeFirst()
            }
            guard let job else { return }
            job.runSynchronously(on: asUnownedSerialExecutor())
            inbox.withLock { $0.owner = nil }
        }
    }
}
