internal import Glibc

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

/// Files and folders read into one manifest.
public struct ManifestLoader {
    /// The top-level keys that mean something.
    public let sections: [String]

    public init(sections: [String]) { self.sections = sections }

    /// Reads files from disk: a folder stands for its `*.yaml` and `*.yml`, sorted, not those below it.
    public static func sources(_ paths: [String], _ diagnostics: Diagnostics) -> [Source] {
        paths.flatMap { path in folder(path, diagnostics) ?? [path] }
            .compactMap { source($0, diagnostics) }
    }

    /// All resources of all files, each name once in its section. What is wrong goes to `diagnostics`.
    public func load(_ sources: [Source], _ diagnostics: Diagnostics) -> [ManifestEntry] {
        var entries: [ManifestEntry] = []
        var seen: [String: [String: Position]] = [:]
        for source in sources {
            diagnostics.keep(source)
            for document in YAMLReader.read(source, diagnostics) where !document.isNull {
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

// MARK: Files

extension ManifestLoader {
    /// The manifest files of a folder; nil where the path is none.
    private static func folder(_ path: String, _ diagnostics: Diagnostics) -> [String]? {
        guard let handle = opendir(path) else { return nil }
        defer { closedir(handle) }
        var names: [String] = []
        while let item = readdir(handle) {
            let name = withUnsafePointer(to: &item.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix("."), name.hasSuffix(".yaml") || name.hasSuffix(".yml") { names.append(name) }
        }
        if names.isEmpty {
            diagnostics.report(
                at: Position(file: path, line: 0, column: 0), "the folder holds no manifest",
                hint: "manifests are files named *.yaml or *.yml")
        }
        return names.sorted().map { path.hasSuffix("/") ? path + $0 : path + "/" + $0 }
    }

    private static func source(_ path: String, _ diagnostics: Diagnostics) -> Source? {
        let place = Position(file: path, line: 0, column: 0)
        guard let file = fopen(path, "re") else {
            let reason = String(cString: strerror(errno))
            diagnostics.report(at: place, "cannot be read: \(reason)", hint: "name a manifest with -f FILE or -f DIR")
            return nil
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count <= YAMLReader.byteLimit {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        guard ferror(file) == 0 else {
            diagnostics.report(at: place, "cannot be read: \(String(cString: strerror(errno)))")
            return nil
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let line = bytes.prefix(validPrefix(bytes)).count { $0 == UInt8(ascii: "\n") } + 1
            diagnostics.report(
                at: Position(file: path, line: line, column: 1), "the line is not UTF-8 text", hint: "save it as UTF-8")
            return nil
        }
        guard let real = realpath(path, nil) else { return Source(file: path, directory: "/", text: text) }
        defer { free(real) }
        let directory = String(cString: real).split(separator: "/").dropLast().joined(separator: "/")
        return Source(file: path, directory: "/" + directory, text: text)
    }

    /// How many bytes at the start are whole lines of UTF-8.
    private static func validPrefix(_ bytes: [UInt8]) -> Int {
        var start = 0
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            guard String(validating: line, as: UTF8.self) != nil else { break }
            start = line.endIndex + 1
        }
        return min(start, bytes.count)
    }
}
