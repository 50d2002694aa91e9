import ArgumentParser

/// Says what this kernel and this node lack, and what to type; touches nothing.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Say what this kernel and this node lack, and what to do about it.",
        discussion: """
            It tries the kernel in a network namespace that is gone afterwards, looks at what other programs have set \
            up, and weighs both against the manifest. ! mend, ? not looked at, - missing and not asked for, ~ with a \
            fallback, i to know, + fine. Exits with 0 where there is nothing to mend, else with 1.
            """)

    @OptionGroup var node: NodeOptions
    @OptionGroup var format: OutputOptions

    @Flag(help: "Name what is fine as well.")
    var all = false

    func run() async throws {
        let document = try await format.telling(node) { try Examination(options: node).run() }
        switch format.output {
        case .json: try Terminal.out(JSONText.pretty(document))
        case .text: try Terminal.out(DoctorText(all: all).render(document))
        }
        if document.exitCode != 0 { throw ExitCode(document.exitCode) }
    }
}
