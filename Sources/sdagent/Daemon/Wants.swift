/// A reason to look at the node again. It only ever says "look"; what to do follows from what is seen.
struct Want: Sendable {
    enum Reason: String, Sendable {
        case start
        case manifestChanged
        case signal
        case kernelEvent
        case diskEvent
        case tick

        /// It may come again and again, by our own doing.
        var isFrequent: Bool { self == .kernelEvent || self == .diskEvent }
    }

    let reason: Reason
    /// A look that began later has answered it.
    let time: ContinuousClock.Instant
}

/// The line between those who notice something and the one loop that looks. It holds a few wants: more say no more.
struct Wants: Sendable {
    let stream: AsyncStream<Want>
    private let continuation: AsyncStream<Want>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream(of: Want.self, bufferingPolicy: .bufferingOldest(16))
    }

    func add(_ reason: Want.Reason) { add(Want(reason: reason, time: .now)) }

    func add(_ want: Want) { continuation.yield(want) }

    func finish() { continuation.finish() }
}
