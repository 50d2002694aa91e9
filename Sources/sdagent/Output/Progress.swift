import Reconcile
import Synchronization

/// Tells whoever watches a terminal that long work goes on, and how far it is. Into a pipe it says nothing.
final class Progress: Sendable {
    private static let first = Duration.seconds(2)
    private static let interval = Duration.seconds(5)

    private let made = Mutex(0)
    private let lastID = Mutex<ResourceID?>(nil)
    private let subject: String

    /// - Parameter subject: who is at work: "the daemon".
    init(_ subject: String) { self.subject = subject }

    /// One more change was attempted.
    func count(_ id: ResourceID) {
        made.withLock { $0 += 1 }
        lastID.withLock { $0 = id }
    }

    func during<Value>(_ work: () async throws -> Value) async rethrows -> Value {
        guard Terminal.isWatched else { return try await work() }
        let ticker = Task.detached { [self] in
            try await Task.sleep(for: Self.first)
            while true {
                Terminal.error("sdagent: \(words) …\n")
                try await Task.sleep(for: Self.interval)
            }
        }
        defer { ticker.cancel() }
        return try await work()
    }

    private var words: String {
        guard let last = lastID.withLock({ $0 }) else { return "\(subject) is still at work" }
        let count = made.withLock { $0 }
        return "\(subject) is still at work; \(count) change\(count == 1 ? "" : "s") so far, \(last) was the last"
    }
}
