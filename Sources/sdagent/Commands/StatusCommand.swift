import ArgumentParser
import Reconcile

/// Shows how every resource stands.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show how every resource stands.",
        discussion: """
            Where a daemon answers, its view is shown; otherwise the command looks itself and compares with the \
            manifest. Exits with 0 where all is as the manifest says, else with 1.
            """)

    @OptionGroup var node: NodeOptions
    @OptionGroup var format: OutputOptions

    @Flag(help: "Print it anew whenever it has changed, until interrupted.")
    var watch = false

    func run() async throws {
        let access = NodeAccess(node)
        var shown: StatusDocument?
        while true {
            let status = try await format.telling(node) { try await access.status() }
            let text = try format.output == .json ? JSONText.pretty(status) : StatusText().render(status)
            guard watch else {
                try Terminal.out(text)
                if status.exitCode != 0 { throw ExitCode(status.exitCode) }
                return
            }
            if shown.map({ !Self.isSame($0, status) }) ?? true {
                try Terminal.out((shown == nil || format.output == .json ? "" : "\n") + text)
            }
            shown = status
            try await Task.sleep(for: .seconds(1))
        }
    }

    /// Equal but for the time of the look.
    private static func isSame(_ old: StatusDocument, _ new: StatusDocument) -> Bool {
        old.resources == new.resources && old.rules == new.rules && old.failures == new.failures
            && old.daemon?.pid == new.daemon?.pid && old.daemon?.manifest == new.daemon?.manifest
    }
}
