/// Lets one piece of work through at a time, in the order of arrival. An actor owns it.
struct Turn {
    /// So many may wait; more are sent away.
    static let limit = 32

    private var isTaken = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// Takes the turn if it is free.
    mutating func takeIfFree() -> Bool {
        guard !isTaken else { return false }
        isTaken = true
        return true
    }

    /// Queues up; false where too many wait already, and then the continuation is not kept.
    mutating func queue(_ continuation: CheckedContinuation<Void, Never>) {
        waiting.append(continuation)
    }

    var isCrowded: Bool { waiting.count >= Self.limit }

    /// Hands the turn to the next.
    mutating func pass() {
        if waiting.isEmpty { isTaken = false } else { waiting.removeFirst().resume() }
    }
}

/// Too many requests wait for their turn.
struct CrowdedError: Error, CustomStringConvertible {
    var description: String { "\(Turn.limit) requests wait already: try again when they are done" }
}
