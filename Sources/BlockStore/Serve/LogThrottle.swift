/// How often a line may stand in the log that a peer or a disk can cause at will. Owned by whoever writes the line.
struct LogThrottle {
    /// Between two lines, in nanoseconds.
    private let interval: UInt64
    private var last: UInt64?
    private var pending = 0

    init(seconds: UInt64) {
        interval = seconds &* 1_000_000_000
    }

    /// Notes one event.
    /// - Parameter now: the loop's time, in nanoseconds.
    /// - Returns: how many events a line has to tell of, this one included; nil if it is too early for one.
    mutating func note(at now: UInt64) -> Int? {
        pending += 1
        if let last, now &- last < interval { return nil }
        last = now
        defer { pending = 0 }
        return pending
    }
}
