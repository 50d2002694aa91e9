import Manifest
import Syscall
import SystemPackage

/// The two streams of a command: results on standard output, errors and progress on standard error.
enum Terminal {
    /// - Throws: where it cannot be written: a full disk behind a redirection. A reader that has gone away (EPIPE) has
    ///   had enough.
    static func out(_ text: String) throws(CommandError) {
        do {
            try write(text, .standardOutput)
        } catch let error as Errno {
            guard error != .brokenPipe else { return }
            throw CommandError("the result cannot be written to standard output: \(error)")
        } catch {
            throw CommandError(error)
        }
    }

    static func error(_ text: String) {
        // There is nobody left to tell.
        _ = try? write(text, .standardError)
    }

    /// Whether somebody watches standard error, so that progress is worth its lines.
    static var isWatched: Bool { OwnProcess.isTerminal(FileDescriptor.standardError.rawValue) }

    private static func write(_ text: String, _ stream: FileDescriptor) throws {
        guard !text.isEmpty else { return }
        _ = try stream.writeAll(Printable.text(text, keeping: ["\n", "\t"]).utf8)
    }
}
