internal import Dispatch
public import Testing

/// Runs tests on threads of their own.
///
/// There are as many threads that run tasks as processors. A test that waits in a system call, for a socket or a tool,
/// would hold one of them, and with it all other tests: some peers of theirs are patient for two seconds only.
public struct OwnThreads: SuiteTrait, TestTrait, TestScoping {
    private static let executor = Threads()

    public let isRecursive = true

    public func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(Self.executor) { try await function() }
    }
}

extension Trait where Self == OwnThreads {
    /// Runs tests on threads of their own.
    public static var ownThreads: Self { Self() }
}

/// Runs each job on a thread that may block: more come when all do.
private final class Threads: TaskExecutor {
    private let queue = DispatchQueue(label: "tests that wait", attributes: .concurrent)

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
