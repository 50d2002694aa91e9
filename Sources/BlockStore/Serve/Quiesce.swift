/// Waits until a number of tasks have come to rest, then does something once. Held by the connections of those tasks.
final class Quiesce {
    private var remaining = 1
    private let done: () -> Void

    init(_ done: @escaping () -> Void) {
        self.done = done
    }

    func add() {
        remaining += 1
    }

    func taskEnded() {
        remaining -= 1
        if remaining == 0 { done() }
    }

    /// All tasks have been added: from now on the count decides.
    func begin() {
        taskEnded()
    }
}
