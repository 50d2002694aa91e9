/// The right to change the node: the lock of the state directory and, where the network is at stake, the claim of the
/// network namespace. Always in this order, so that no two can wait for each other.
struct NodeLock: ~Copyable, Sendable {
    private let state: StateLock
    private let network: NetworkClaim?

    private init(state: consuming StateLock, network: NetworkClaim?) {
        self.state = state
        self.network = network
    }

    /// Takes it, waiting at most `patience` in all.
    ///
    /// - Parameter onWait: told, in words, for whom it waits.
    static func take(
        in directory: StateDirectory, ofNetwork isNetworked: Bool, patience: Duration,
        onWait: @Sendable (String) -> Void
    ) async throws -> NodeLock {
        let deadline = ContinuousClock.now + patience
        let state = try await StateLock.take(.apply, in: directory, patience: patience) {
            onWait($0.map { "process \($0)" } ?? "another process")
        }
        guard isNetworked else { return NodeLock(state: state, network: nil) }
        let network = try await NetworkClaim.take(.apply, until: deadline) { onWait("\($0)") }
        return NodeLock(state: state, network: network)
    }

    /// Gives it up.
    consuming func release() {}
}
