import ArgumentParser
import Reconcile

/// Reads a manifest and says what is wrong with it; looks at nothing else.
struct ValidateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Read a manifest and report every mistake in it.",
        discussion: "Exits with 0 where there is none, else with 1. It needs no privilege and looks at no node.")

    @OptionGroup var node: NodeOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
        let kinds = Kinds.node(.looking)
        do throws(ManifestMistakes) {
            let manifest = try node.manifests.load(kinds)
            let result = ValidationDocument(node.manifests, counts: manifest.counts(kinds))
            Terminal.out(try format.output == .json ? JSONText.pretty(result) : result.text)
        } catch {
            if format.output == .json {
                Terminal.out(try JSONText.pretty(ValidationDocument(node.manifests, error)))
            } else {
                Terminal.error(error.description)
            }
            throw ExitCode(1)
        }
    }
}

/// What `validate --output json` prints.
struct ValidationDocument: Codable, Hashable, Sendable {
    struct Mistake: Codable, Hashable, Sendable {
        let file: String
        /// From 1; 0 where the file as a whole is meant.
        let line: Int
        let column: Int
        let message: String
        let hint: String
    }

    let files: [String]
    /// How many resources the manifest names, by kind.
    let resources: [String: Int]
    let mistakes: [Mistake]
    /// The line that a person reads.
    let text: String

    init(_ manifests: ManifestPaths, counts: [(kind: String, count: Int)]) {
        files = manifests.paths
        resources = Dictionary(uniqueKeysWithValues: counts.map { ($0.kind, $0.count) })
        mistakes = []
        let total = counts.map(\.count).reduce(0, +)
        let parts = counts.map { "\($0.count) \($0.kind)" }.joined(separator: ", ")
        let detail = parts.isEmpty ? "" : " (\(parts))"
        let subject = manifests.paths.joined(separator: ", ")
        text = "\(subject): \(total) resource\(total == 1 ? "" : "s"), no mistakes\(detail)\n"
    }

    init(_ manifests: ManifestPaths, _ error: ManifestMistakes) {
        files = manifests.paths
        resources = [:]
        mistakes = error.mistakes.map {
            Mistake(
                file: $0.position.file, line: $0.position.line, column: $0.position.column, message: $0.message,
                hint: $0.hint)
        }
        text = error.description
    }

    private enum CodingKeys: String, CodingKey { case files, resources, mistakes, text }
}
