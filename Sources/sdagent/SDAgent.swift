import ArgumentParser

/// The program: one verb each for looking, changing and keeping.
@main
struct SDAgent: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "sdagent",
        abstract: "One manifest makes a node: switches, routers, volumes, targets and the NICs of VMs.",
        discussion: """
            validate reads a manifest, plan shows what would change, apply makes the node so, run keeps it so, \
            status says how it stands. Results go to standard output, errors and progress to standard error.
            """,
        version: version,
        subcommands: [ValidateCommand.self, PlanCommand.self, ApplyCommand.self, StatusCommand.self, RunCommand.self])

    static func main() async {
        do {
            var command = try parseAsRoot(nil)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let error as CommandError {
            Terminal.error(error.description)
            exit(withError: ExitCode(1))
        } catch {
            exit(withError: error)
        }
    }
}

/// Why a command could not do what it was asked: what, where, why and what to do, for a person.
struct CommandError: Error, CustomStringConvertible {
    /// Whole lines.
    let description: String

    init(_ sentence: String) { description = "sdagent: \(sentence)\n" }

    /// Any error of ours, in its own words.
    init(_ error: any Error) {
        switch error {
        case let error as CommandError: self = error
        // Mistakes in a manifest come with places of their own in front, also those that the daemon has found.
        case let error as ManifestMistakes: self.init(whole: error.description)
        case let error as ControlError: self = error.mistakes.map { Self(whole: $0) } ?? Self("\(error)")
        default: self.init("\(error)")
        }
    }

    private init(whole lines: String) { description = lines }
}
