/// A program that was launched, and what becomes of it.
struct Launch: Sendable {
    private let words: [String]
    private let id: Int
    private let events: AsyncStream<Launcher.Event>

    /// - Parameters:
    ///   - seconds: after this long it is killed.
    ///   - log: the file that takes all that it says; else its end brings that.
    init(_ words: [String], seconds: Int? = nil, log: String? = nil) throws {
        let (events, feed) = AsyncStream.makeStream(of: Launcher.Event.self)
        self.words = words
        self.events = events
        id = try Launcher.own().launch(words, seconds: seconds, log: log) { event in
            feed.yield(event)
            if case .started = event { return }
            feed.finish()
        }
    }

    /// Waits until it runs, and returns the number of its process, which is that of its process group too.
    func pid() async throws -> Int32 {
        let first = await events.first { _ in true }
        guard case .started(let pid) = first else { throw Self.failure(first, of: words) }
        return pid
    }

    /// Waits until nothing more becomes of it; where the test is cancelled before, kills it and returns nil.
    func lastEvent() async throws -> Launcher.Event? {
        let last = await events.first { if case .started = $0 { false } else { true } }
        if last == nil { try Launcher.own().end(id) }
        return last
    }

    /// Why there is no end to tell of.
    static func failure(_ event: Launcher.Event?, of words: [String]) -> any Error {
        if case .refused(let reason) = event { return MissingProgram(program: words[0], detail: reason) }
        return CancellationError()
    }
}
