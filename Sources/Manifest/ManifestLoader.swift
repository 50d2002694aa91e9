/// One resource of a manifest as it was read: the section it stands in, its name and its value.
public struct ManifestEntry: Sendable {
    /// The top-level key: `switches`.
    public let section: String
    /// The name and the value below it.
    public let entry: Node.Entry
    /// The folder that relative paths in it start from; absolute.
    public let directory: String

    public var name: String { entry.key }
}

/// The texts of files put together into one manifest.
public struct ManifestLoader {
    /// The top-level keys that mean something.
    public let sections: [String]

    public init(sections: [String]) { self.sections = sections }

    /// All resources of all files, each name once in its section. What is wrong goes to `diagnostics`.
    public func load(_ sources: [Source], _ diagnostics: Diagnostics) -> [ManifestEntry] {
        load(sources, diagnostics) { _, _ in }
    }

    /// The same with what it takes to read another version of these texts by what differs; that costs a second look at
    /// each byte.
    public func outlined(
        _ sources: [Source], _ diagnostics: Diagnostics
    ) -> (entries: [ManifestEntry], outline: ManifestOutline) {
        var outlines: [SourceOutline?] = []
        let entries = load(sources, diagnostics) { outlines.append(SourceOutline(of: $0, $1)) }
        return (entries, ManifestOutline(outlines))
    }

    private func load(
        _ sources: [Source], _ diagnostics: Diagnostics, _ noting: (Source, [Node]) -> Void
    ) -> [ManifestEntry] {
        var entries: [ManifestEntry] = []
        var seen: [String: [String: Position]] = [:]
        for source in sources {
            diagnostics.keep(source)
            let documents = YAMLReader.read(source, diagnostics)
            noting(source, documents)
            for document in documents where !document.isNull {
                guard case .mapping(let top) = document.content else {
                    diagnostics.report(
                        at: document, "a manifest is a mapping of sections, not \(document.words)", hint: sectionHint)
                    continue
                }
                for section in top { read(section, source, &seen, &entries, diagnostics) }
            }
        }
        return entries
    }

    private var sectionHint: String { "sections: " + sections.joined(separator: ", ") }

    private func read(
        _ section: Node.Entry, _ source: Source, _ seen: inout [String: [String: Position]],
        _ entries: inout [ManifestEntry], _ diagnostics: Diagnostics
    ) {
        guard sections.contains(section.key) else {
            diagnostics.report(
                at: section, "unknown section '\(section.key)'", hint: Suggestion.hint(for: section.key, in: sections))
            return
        }
        guard !section.value.isNull else { return }
        guard case .mapping(let resources) = section.value.content else {
            diagnostics.report(
                at: section.value, "'\(section.key)' must be a mapping of names, not \(section.value.words)",
                hint: "write each as 'name: { … }'")
            return
        }
        for resource in resources {
            if let first = seen[section.key]?[resource.key] {
                diagnostics.report(
                    at: resource, "'\(resource.key)' is named twice in '\(section.key)'",
                    hint: "the first one is at \(first.file):\(first.line)")
                continue
            }
            seen[section.key, default: [:]][resource.key] = resource.keyPosition
            entries.append(ManifestEntry(section: section.key, entry: resource, directory: source.directory))
        }
    }
}
