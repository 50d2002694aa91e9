import Manifest
import Syscall
import SystemPackage

/// The two streams of a command: results on standard output, errors and progress on standard error.
enum Terminal {
    static func out(_ text: String) { write(text, .standardOutput) }

    static func error(_ text: String) { write(text, .standardError) }

    /// Whether somebody watches standard error, so that progress is worth its lines.
    static var isWatched: Bool { OwnProcess.isTerminal(FileDescriptor.standardError.rawValue) }

    private static func write(_ text: String, _ stream: FileDescriptor) {
        guard !text.isEmpty else { return }
        // A reader that has gone away (EPIPE) or a full disk behind a redirection: there is nobody left to tell.
        _ = try? stream.writeAll(Printable.text(text, keeping: ["\n", "\t"]).utf8)
    }
}
