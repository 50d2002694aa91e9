import ArgumentParser
import Manifest
import Reconcile

/// Reads a manifest and says what is wrong with it; looks at nothing else.
struct ValidateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Read a manifest and report every mistake in it.",
        discussion: "Exits with 0 where there is none, else with 1. It needs no privilege and looks at no node.")

    @OptionGroup var node: NodeOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
        let result = try validate()
        switch format.output {
        case .json: try Terminal.out(JSONText.pretty(result))
        case .text: try Terminal.out(result.text)
        }
        if !result.mistakes.isEmpty { throw ExitCode(1) }
    }

    private func validate() throws -> ValidationDocument {
        let kinds = Kinds.node(try node.stateDirectory)
        do throws(ManifestMistakes) {
            let manifest = try node.manifests.load(kinds)
            return ValidationDocument(node.manifests, counts: manifest.counts(kinds))
        } catch {
            guard format.output == .json else { throw CommandError(error) }
            return ValidationDocument(node.manifests, error)
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

    struct Count: Codable, Hashable, Sendable {
        let kind: String
        let count: Int
    }

    /// As they were named with `-f`.
    let files: [String]
    /// How many resources the manifest names, in the order of kinds.
    let resources: [Count]
    let mistakes: [Mistake]

    init(_ manifests: ManifestPaths, counts: [Count]) {
        files = manifests.paths
        resources = counts
        mistakes = []
    }

    init(_ manifests: ManifestPaths, _ error: ManifestMistakes) {
        files = manifests.paths
        resources = []
        mistakes = error.all.map {
            Mistake(
                file: $0.position.file, line: $0.position.line, column: $0.position.column, message: $0.message,
                hint: $0.hint)
        }
    }

    /// The line that a person reads where there is no mistake.
    var text: String {
        let total = resources.map(\.count).reduce(0, +)
        let parts = resources.map { "\($0.count) \(Self.noun($0))" }.joined(separator: ", ")
        let sum = "\(total) resource\(total == 1 ? "" : "s"), no mistakes"
        return "\(files.joined(separator: ", ")): \(sum)\(parts.isEmpty ? "" : " (\(parts))")\n"
    }

    /// switch, switches; volume, volumes.
    private static func noun(_ count: Count) -> String {
        guard count.count != 1 else { return count.kind }
        return count.kind + (count.kind.hasSuffix("ch") ? "es" : "s")
    }
}
