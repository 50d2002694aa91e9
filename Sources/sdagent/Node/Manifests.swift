import Manifest
import Reconcile

/// A manifest without mistakes: its texts, and what they ask for.
struct LoadedManifest: Sendable {
    let sources: [Source]
    let desired: Desired
    /// Where in the texts the resources stand; nil where nobody has asked.
    var outline: ManifestOutline?
    /// Whether it was made of another by what differs, and its positions are behind.
    var isAmended = false
}

/// What is wrong with a manifest.
struct ManifestMistakes: Error, CustomStringConvertible {
    let all: [Diagnostic]
    /// Each mistake with its place and remedy, as text of several lines with a line end after the last.
    let description: String

    init(_ diagnostics: Diagnostics) {
        all = diagnostics.all
        description = diagnostics.render()
    }
}

/// The files and folders that the operator named with `-f`.
struct ManifestPaths: Hashable, Sendable {
    let paths: [String]
    /// Whether one of them may be a pipe.
    var pipes = ManifestFiles.Pipes.refused

    /// Reads and decodes them.
    func load(_ kinds: Kinds) throws(ManifestMistakes) -> LoadedManifest {
        let diagnostics = Diagnostics()
        let sources = ManifestFiles(pipes: pipes, diagnostics: diagnostics).sources(paths)
        return try LoadedManifest.load(sources, kinds, diagnostics)
    }

    /// Likewise, and notes what it takes to read other versions of them by what differs.
    func outlined(_ kinds: Kinds) throws(ManifestMistakes) -> LoadedManifest {
        let diagnostics = Diagnostics()
        let sources = ManifestFiles(pipes: pipes, diagnostics: diagnostics).sources(paths)
        return try LoadedManifest.outlined(sources, kinds, diagnostics)
    }

    /// Reads them and leaves the decoding to another.
    func read() throws(ManifestMistakes) -> [Source] {
        let diagnostics = Diagnostics()
        let sources = ManifestFiles(pipes: pipes, diagnostics: diagnostics).sources(paths)
        guard diagnostics.isEmpty else { throw ManifestMistakes(diagnostics) }
        return sources
    }
}

extension LoadedManifest {
    static func load(
        _ sources: [Source], _ kinds: Kinds, _ diagnostics: Diagnostics = Diagnostics()
    ) throws(ManifestMistakes) -> LoadedManifest {
        let desired = kinds.loader.load(sources, diagnostics)
        guard let desired, diagnostics.isEmpty else { throw ManifestMistakes(diagnostics) }
        return LoadedManifest(sources: sources, desired: desired)
    }

    /// Likewise, and notes what it takes to read another version of it by what differs.
    static func outlined(
        _ sources: [Source], _ kinds: Kinds, _ diagnostics: Diagnostics = Diagnostics()
    ) throws(ManifestMistakes) -> LoadedManifest {
        let loaded = kinds.loader.outlined(sources, diagnostics)
        guard let loaded, diagnostics.isEmpty else { throw ManifestMistakes(diagnostics) }
        return LoadedManifest(sources: sources, desired: loaded.desired, outline: loaded.outline)
    }

    /// Reads other texts by what differs from these; nil where that takes all of them, or they have mistakes.
    func amended(_ sources: [Source], _ kinds: Kinds) -> (manifest: LoadedManifest, revision: Revision)? {
        guard let (edit, outline) = outline?.edit(from: self.sources, to: sources),
            let revision = kinds.loader.amend(desired, by: edit)
        else { return nil }
        let manifest = LoadedManifest(
            sources: sources, desired: revision.desired, outline: outline, isAmended: true)
        return (manifest, revision)
    }

    /// The same, which takes from another one what is equal there.
    func sharing(with other: LoadedManifest?, _ kinds: Kinds) -> LoadedManifest {
        guard let other else { return self }
        var desired = desired
        desired.share(with: other.desired, kinds: kinds.all)
        return LoadedManifest(sources: sources, desired: desired, outline: outline)
    }

    /// How many resources of each kind it names, in the order of kinds; derived ones do not count.
    func counts(_ kinds: Kinds) -> [ValidationDocument.Count] {
        kinds.all.map { Self.count($0, desired) }.filter { $0.count > 0 }
    }

    private static func count<Kind: ResourceKind>(_ kind: Kind, _ desired: Desired) -> ValidationDocument.Count {
        let named = desired.specs(of: Kind.self).keys.filter { desired.position(of: Kind.id($0)) != nil }
        return ValidationDocument.Count(kind: Kind.name, count: named.count)
    }
}
