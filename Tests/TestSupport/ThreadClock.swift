internal import Glibc

/// What this thread has spent on the processor, in the kernel and outside: whatever else the machine has to do.
public enum ThreadClock {
    /// - Parameter body: stays on its thread.
    public static func measure(_ body: () throws -> Void) rethrows -> Duration {
        let start = now
        try body()
        return now - start
    }

    private static var now: Duration {
        var time = timespec()
        precondition(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0, "every Linux has this clock")
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
