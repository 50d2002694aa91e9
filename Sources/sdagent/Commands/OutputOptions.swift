import ArgumentParser

/// How a result is printed.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    /// For a person.
    case text
    /// For a program; fields are only ever added.
    case json
}

/// The choice of the form of a result.
struct OutputOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: ArgumentHelp("How to print the result.", valueName: "form"))
    var output = OutputFormat.text
}

extension OutputOptions {
    /// Does the work of a command. What goes wrong is told a program on standard output, as it reads results there;
    /// the words for a person go their way to standard error.
    func telling<Value>(_ node: NodeOptions, _ work: () async throws -> Value) async throws -> Value {
        do {
            return try await work()
        } catch let error as CommandError {
            if output == .json { try Terminal.out(Self.document(error, node)) }
            throw error
        }
    }

    /// Mistakes in the form of `validate`, whoever has found them; anything else as the control socket says it.
    private static func document(_ error: CommandError, _ node: NodeOptions) throws -> String {
        switch error.cause {
        case let mistakes as ManifestMistakes:
            return try JSONText.pretty(ValidationDocument(node.manifests, mistakes))
        case let refusal as ControlError:
            guard case .refused(let message, let lines?) = refusal.cause else { break }
            // The daemon answers with text; the same files have the same mistakes here, unless they were just mended.
            if let mistakes = try mistakes(node) {
                return try JSONText.pretty(ValidationDocument(node.manifests, mistakes))
            }
            return try JSONText.pretty(ErrorDocument(message, mistakes: lines))
        default: break
        }
        return try JSONText.pretty(ErrorDocument(error.message))
    }

    private static func mistakes(_ node: NodeOptions) throws -> ManifestMistakes? {
        let kinds = Kinds.node(try node.stateDirectory)
        do throws(ManifestMistakes) {
            _ = try node.manifests.load(kinds)
            return nil
        } catch {
            return error
        }
    }
}
