import Dispatch

/// Long work that blocks, kept off the threads that run tasks.
enum Blocking {
    private static let queue = DispatchQueue(label: "sdagent.blocking", attributes: .concurrent)

    static func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { waiter in
            queue.async { waiter.resume(returning: body()) }
        }
    }
}
