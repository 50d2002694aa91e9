/// How often a line may stand in the log that a peer or a disk can cause at will. Owned by whoever writes the line.
struct LogThrottle {
    /// In nanoseconds.
    private let interval: UInt64
    /// How many lines an interval may have.
    private let lines: Int
    private var begin: UInt64?
    private var written = 0
    private var pending = 0

    init(lines: Int = 1, seconds: UInt64) {
        self.lines = lines
        interval = seconds &* 1_000_000_000
    }

    /// Notes one event.
    /// - Parameter now: the loop's time, in nanoseconds.
    /// - Returns: how many events a line has to tell of, this one included; nil if it is too early for one.
    mutating func note(at now: UInt64) -> Int? {
        pending += 1
        if begin.map({ now &- $0 >= interval }) ?? true {
            begin = now
            written = 0
        }
        guard written < lines else { return nil }
        written += 1
        defer { pending = 0 }
        return pending
    }
}
