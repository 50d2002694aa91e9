import ArgumentParser
import Syscall
import UnixSignals

/// What a person is told who interrupts long work: the command ends at once, and what it has done stays.
enum Interruption {
    /// Does the work; an interrupt or a SIGTERM ends the process with words and with the code that shells know.
    static func telling<Value>(_ words: String, during work: () async throws -> Value) async rethrows -> Value {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let watch = Task.detached {
            for await signal in signals {
                Terminal.error("sdagent: interrupted: \(words)\n")
                SDAgent.exit(withError: ExitCode(signal == .sigint ? 130 : 143))
            }
        }
        defer { watch.cancel() }
        return try await work()
    }
}
