import ArgumentParser

/// Makes the node what a manifest says, through the daemon where one runs.
struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Make the node what the manifest says.",
        discussion: """
            Where a daemon answers on the socket, the manifest becomes its desired state. Without one the command does \
            the network and the volumes itself, once; targets then wait for `sdagent run`. Exits with 0 where the node \
            is as the manifest says, else with 1; what could not be done does not hold up the rest.
            """)

    @OptionGroup var node: NodeOptions
    @OptionGroup var format: OutputOptions

    @Flag(help: "Show every change, however many are alike.")
    var all = false

    func run() async throws {
        let apply = try await format.telling(node) { try await NodeAccess(node).apply() }
        switch format.output {
        case .json:
            try Terminal.out(JSONText.pretty(apply))
        case .text:
            let text = ApplyText(limit: all ? nil : 20)
            try Terminal.out(text.render(apply))
            Terminal.error(text.renderTroubles(apply))
        }
        if apply.exitCode != 0 { throw ExitCode(apply.exitCode) }
    }
}
