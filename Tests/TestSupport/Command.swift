internal import Dispatch
internal import Synchronization

/// What a command said before it ended.
public struct CommandResult: Sendable {
    /// The exit code; 128 + N where signal N ended it; 124 where its time was up.
    public let code: Int32
    /// All of its standard output.
    public let output: String
    /// All of its standard error.
    public let error: String

    /// Whether it ended with code 0.
    public var succeeded: Bool { code == 0 }
}

/// A command that a test counted on did not succeed.
public struct CommandFailure: Error, CustomStringConvertible {
    let line: String
    let result: CommandResult

    public var description: String { "`\(line)` ended with \(result.code): \(result.error)\(result.output)" }
}

/// Runs a command to its end, with a bound on its time.
///
/// - Parameter seconds: after this long it is killed, and its code is 124.
/// - Throws: `MissingProgram` where there was nothing to run: that is no answer.
public func command(_ words: [String], seconds: Int = 60) async throws -> CommandResult {
    try MissingProgram.check(words)
    return try CommandResult(await Launch(words, seconds: seconds).lastEvent(), of: words)
}

/// The same for those who cannot await; holds the thread until the command has ended.
public func commandHere(_ words: [String], seconds: Int = 60) throws -> CommandResult {
    try MissingProgram.check(words)
    let last = Mutex<Launcher.Event?>(nil)
    let isOver = DispatchSemaphore(value: 0)
    _ = try Launcher.own().launch(words, seconds: seconds, log: nil) { event in
        if case .started = event { return }
        last.withLock { $0 = event }
        isOver.signal()
    }
    isOver.wait()
    return try CommandResult(last.withLock { $0 }, of: words)
}

/// Runs a command that must succeed, and returns its standard output.
@discardableResult
public func output(of words: [String], seconds: Int = 60) async throws -> String {
    let result = try await command(words, seconds: seconds)
    guard result.succeeded else { throw CommandFailure(line: words.joined(separator: " "), result: result) }
    return result.output
}

extension CommandResult {
    /// What the last event of a program says; nil where its test was cancelled.
    init(_ event: Launcher.Event?, of words: [String]) throws {
        guard case .ended(let end, let output, let error) = event else { throw Launch.failure(event, of: words) }
        switch end {
        // Shells, nsenter(1) and env(1) say so of a program that they do not find or must not run.
        case .exited(126), .exited(127):
            throw MissingProgram(program: words.joined(separator: " "), detail: error + output)
        case .exited(let code): self.init(code: code, output: output, error: error)
        case .signaled(let signal): self.init(code: 128 + signal, output: output, error: error)
        }
    }
}
