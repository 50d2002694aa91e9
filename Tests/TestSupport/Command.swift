internal import Subprocess
internal import SystemPackage

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

/// Runs a command to its end, with a bound on its time and on its output.
///
/// - Parameter seconds: after this long it is killed, and its code is 124.
public func command(_ words: [String], seconds: Int = 60) async throws -> CommandResult {
    let limit = 16 << 20
    let ended = try await run(
        .name("timeout"), arguments: Arguments(["--kill-after=2", "\(seconds)"] + words), output: .string(limit: limit),
        error: .string(limit: limit))
    let code: Int32 =
        switch ended.terminationStatus {
        case .exited(let code): code
        case .signaled(let signal): 128 + signal
        }
    return CommandResult(code: code, output: ended.standardOutput, error: ended.standardError)
}

/// Runs a command that must succeed, and returns its standard output.
@discardableResult
public func output(of words: [String], seconds: Int = 60) async throws -> String {
    let result = try await command(words, seconds: seconds)
    guard result.succeeded else { throw CommandFailure(line: words.joined(separator: " "), result: result) }
    return result.output
}
