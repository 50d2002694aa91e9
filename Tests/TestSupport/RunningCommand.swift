internal import Glibc

/// A command that runs beside a test: a daemon, a load. It and its children are ended when the body ends.
public struct RunningCommand: Sendable {
    /// What ended a command.
    public enum End: Sendable, Equatable {
        case exited(Int32)
        case signaled(Int32)
    }

    /// Its process id, which is also that of its process group.
    public let id: Int32

    /// Starts a command in a process group of its own and runs the body beside it.
    ///
    /// When the body ends, what is still there of the group is killed: a body that wants the command's own end signals
    /// it and awaits `isGone`.
    ///
    /// - Parameter log: the file that takes its output and its errors; what is there stays.
    /// - Returns: the body's value, and what ended the command.
    /// - Throws: `MissingProgram` where there was nothing to run; the body's error.
    @discardableResult
    public static func with<Value: Sendable>(
        _ words: [String], log: String, _ body: @Sendable (RunningCommand) async throws -> Value
    ) async throws -> (value: Value, end: End) {
        try MissingProgram.check(words)
        let launch = try Launch(words, log: log)
        let running = RunningCommand(id: try await launch.pid())
        let value: Value
        do {
            value = try await body(running)
        } catch {
            running.signal(SIGKILL)
            _ = try await launch.lastEvent()
            throw error
        }
        running.signal(SIGKILL)
        let last = try await launch.lastEvent()
        guard case .ended(let end, _, _) = last else { throw Launch.failure(last, of: words) }
        return (value, end)
    }

    /// Sends a signal to its process group.
    public func signal(_ signal: Int32) { kill(-id, signal) }

    /// Waits until the command has ended by itself.
    ///
    /// - Returns: whether it did so within the time.
    public func isGone(within seconds: Int) async throws -> Bool {
        try await eventually(within: seconds) {
            // A process that ended and was not waited for is a zombie: state Z, the third word.
            guard let state = try? text(ofFile: "/proc/\(id)/stat") else { return true }
            return state.drop { $0 != ")" }.dropFirst(2).first == "Z"
        }
    }
}

/// Asks again and again until the answer is yes.
///
/// - Returns: whether it was so within the time.
public func eventually(within seconds: Int, _ condition: () async throws -> Bool) async throws -> Bool {
    let clock = ContinuousClock()
    let end = clock.now + .seconds(seconds)
    while clock.now < end {
        if try await condition() { return true }
        try await clock.sleep(for: .milliseconds(50))
    }
    return try await condition()
}
