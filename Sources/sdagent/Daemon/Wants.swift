/// Why the daemon should look at the node again. It only ever says "look"; what to do follows from what is seen.
enum Want: String, Sendable {
    case start
    case manifestChanged
    case signal
    case kernelEvent
    case tick
}

/// The line between those who notice something and the one loop that looks. It holds a few wants: more say no more.
struct Wants: Sendable {
    let stream: AsyncStream<Want>
    private let continuation: AsyncStream<Want>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream(of: Want.self, bufferingPolicy: .bufferingOldest(16))
    }

    func add(_ want: Want) { continuation.yield(want) }

    func finish() { continuation.finish() }
}
