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
        var shown = ""
        while true {
            let status = try await access.status()
            let text = try format.output == .json ? JSONText.pretty(status) : StatusText().render(status)
            guard watch else {
                Terminal.out(text)
                if status.exitCode != 0 { throw ExitCode(status.exitCode) }
                return
            }
            let isNew = status.resources.description != shown
            if isNew { Terminal.out((shown.isEmpty || format.output == .json ? "" : "\n") + text) }
            shown = status.resources.description
            try await Task.sleep(for: .seconds(1))
        }
    }
}
