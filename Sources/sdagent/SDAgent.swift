import ArgumentParser
import Capabilities
import Manifest
import SystemPackage

/// The program: one verb each for looking, changing and keeping.
@main
struct SDAgent: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "sdagent",
        abstract: "One manifest makes a node: switches, routers, volumes, targets and the NICs of VMs.",
        discussion: """
            validate reads a manifest, plan shows what would change, apply makes the node so, run keeps it so, \
            status says how it stands, doctor what is in the way. The manifest is what lies in /etc/sdagent, or \
            what -f names.

            Results go to standard output, errors and progress to standard error. Each verb's help tells its exit \
            codes; a command line with a mistake exits with 64.
            """,
        version: version,
        subcommands: [
            ValidateCommand.self, PlanCommand.self, ApplyCommand.self, StatusCommand.self, DeniedCommand.self,
            DoctorCommand.self, RunCommand.self,
        ])

    static func main() async {
        // Swift reads them from /proc/self/cmdline; without any it would be the help that was asked for.
        guard !CommandLine.arguments.isEmpty else {
            Terminal.error("sdagent: the arguments cannot be read: /proc is not mounted here\n")
            exit(withError: ExitCode(1))
        }
        if let word = CommandLine.arguments.dropFirst().first, let remark = remark(onVerb: word) {
            Terminal.error(remark)
            exit(withError: ExitCode.validationFailure)
        }
        Capabilities.keep(at: "/run/sdagent/capabilities")
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

extension SDAgent {
    /// What to say of a first word that is no verb; nil for a verb or an option.
    static func remark(onVerb word: String) -> String? {
        let verbs = configuration.subcommands.compactMap { $0.configuration.commandName }
        guard !word.hasPrefix("-"), word != "help", !verbs.contains(word) else { return nil }
        let hint = Fields.suggestion(for: word, in: verbs)
        return "sdagent: there is no verb '\(word.prefix(60))'\(hint.isEmpty ? "" : ": \(hint)")\n"
            + "  See 'sdagent --help' for more information.\n"
    }
}

/// Why a command could not do what it was asked: what, where, why and what to do, for a person.
struct CommandError: Error, CustomStringConvertible {
    /// Whole lines.
    let description: String
    /// What has happened, in its own type; nil where it is only a sentence.
    let cause: (any Error)?
    /// What is said of it where no place stands in front.
    let message: String

    init(_ sentence: String) { self.init(sentence, cause: nil) }

    /// Any error of ours, in its own words.
    init(_ error: any Error) {
        switch error {
        case let error as CommandError: self = error
        // Mistakes in a manifest come with places of their own in front, also those that the daemon has found.
        case let error as ManifestMistakes: self.init("\(error)", cause: error, lines: error.description)
        case let error as ControlError: self.init("\(error)", cause: error, lines: error.mistakes)
        default: self.init("\(error)", cause: error)
        }
    }

    private init(_ message: String, cause: (any Error)?, lines: String? = nil) {
        self.message = message
        self.cause = cause
        description = lines ?? "sdagent: \(message)\n"
    }
}
