/// What lies between two texts of a manifest that differ in a few lines: the resources that these lines are of.
public struct ManifestEdit: Sendable {
    /// As the older text has them.
    public let before: [ManifestEntry]
    /// As the newer text has them: the same names in the same order.
    public let after: [ManifestEntry]
}

/// The outlines of all files of a manifest.
public struct ManifestOutline: Sendable {
    private var outlines: [SourceOutline?]

    init(_ outlines: [SourceOutline?]) { self.outlines = outlines }

    /// Reads only what differs between the texts of this outline and others.
    ///
    /// It says nothing of the rest, which is taken to be without mistakes, and nothing of mistakes: a text that has any
    /// is one to be read as a whole.
    ///
    /// - Returns: what differs, with the outline of the newer texts; nil where that cannot be told so, or is more than
    ///   values of resources that are there.
    public func edit(from old: [Source], to new: [Source]) -> (edit: ManifestEdit, outline: ManifestOutline)? {
        guard old.count == new.count, old.count == outlines.count else { return nil }
        var changed: Int?
        for (index, (old, new)) in zip(old, new).enumerated() {
            guard old.file == new.file, old.directory == new.directory else { return nil }
            if old.text == new.text { continue }
            guard changed == nil else { return nil }
            changed = index
        }
        guard let changed, let outline = outlines[changed], new[changed].text.utf8.count <= Source.byteLimit else {
            return nil
        }
        guard let slice = outline.slice(from: old[changed].text, to: new[changed].text),
            let before = slice.entries(slice.old, of: old[changed]),
            let after = slice.entries(slice.new, of: new[changed]),
            before.map(\.name) == after.map(\.name), slice.names.isEmpty || before.map(\.name) == slice.names
        else { return nil }
        var next = self
        next.outlines[changed] = outline.moved(over: slice)
        return (ManifestEdit(before: before, after: after), next)
    }
}

/// The lines in which two texts differ, as whole entries of a section, or as a whole section.
struct SourceSlice {
    let section: String
    /// The names of its entries in the older text; none for a whole section.
    let names: [String]
    /// The column in which its entries begin; 1 for a whole section.
    let column: Int
    /// Where it begins, in both texts, in bytes.
    let start: Int
    let old: String
    let new: String

    /// The entries of one of the two; nil where it is not a section of such entries, without mistakes.
    func entries(_ text: String, of source: Source) -> [ManifestEntry]? {
        // The end of a document is a mistake where the rest of the text comes behind it, which is not read here.
        guard !text.utf8.split(separator: UInt8(ascii: "\n")).contains(where: { $0.starts(with: "...".utf8) }) else {
            return nil
        }
        // So is a byte order mark anywhere but at the beginning of the whole.
        guard !text.utf8.starts(with: "\u{FEFF}".utf8) else { return nil }
        let diagnostics = Diagnostics()
        let lines = column > 1 ? "\(section):\n" + text : text
        let documents = YAMLReader.read(
            Source(file: source.file, directory: source.directory, text: lines), diagnostics)
        guard diagnostics.isEmpty, documents.count == 1, case .mapping(let sections) = documents[0].content,
            sections.count == 1, sections[0].key == section, sections[0].keyPosition.column == 1,
            case .mapping(let entries) = sections[0].value.content
        else { return nil }
        if column > 1 {
            // Behind the end of a block scalar, a comment would be a part of that: the slice begins with a key.
            guard entries.first?.keyPosition.line == 2, entries.allSatisfy({ $0.keyPosition.column == column }) else {
                return nil
            }
        }
        return entries.map { ManifestEntry(section: section, entry: $0, directory: source.directory) }
    }
}

extension SourceOutline {
    /// Nil where the texts differ in more than one section, or in more than entries.
    func slice(from old: String, to new: String) -> SourceSlice? {
        let ends = EqualEnds(old, new)
        let (oldCount, newCount) = (old.utf8.count, new.utf8.count)
        // The section in which the first difference is, and in which the last one must be.
        guard let index = parts.lastIndex(where: { $0.start <= ends.prefix }) else { return nil }
        let part = parts[index]
        let end = index + 1 < parts.count ? parts[index + 1].start : oldCount
        let last = oldCount - ends.suffix
        guard last <= end else { return nil }
        var (from, upTo, names, column) = (part.start, end, [String](), 1)
        if let first = part.entries.lastIndex(where: { $0.start <= ends.prefix }) {
            let next = part.entries[first...].dropFirst().firstIndex { $0.start >= last }
            from = part.entries[first].start
            upTo = next.map { part.entries[$0].start } ?? end
            names = part.entries[first..<(next ?? part.entries.count)].map(\.name)
            column = part.column
        }
        let newUpTo = newCount - (oldCount - upTo)
        guard newUpTo >= from, let oldText = Self.lines(old, from, upTo), let newText = Self.lines(new, from, newUpTo)
        else { return nil }
        return SourceSlice(
            section: part.key, names: names, column: column, start: from, old: oldText, new: newText)
    }

    /// The outline of the newer text; nil where entries may have moved against each other within the slice.
    func moved(over slice: SourceSlice) -> SourceOutline? {
        var outline = self
        let distance = slice.new.utf8.count - slice.old.utf8.count
        let isWhole = slice.names.isEmpty && parts.contains { $0.start == slice.start && $0.entries.isEmpty }
        guard isWhole || slice.names.count == 1 else { return nil }
        outline.move(from: slice.start + slice.old.utf8.count, by: distance)
        return outline
    }

    /// A part of a text that ends with a line, or with the text.
    private static func lines(_ text: String, _ from: Int, _ upTo: Int) -> String? {
        let bytes = text.utf8
        let start = bytes.index(bytes.startIndex, offsetBy: from)
        let end = bytes.index(start, offsetBy: upTo - from)
        let part = String(text[start..<end])
        return end == bytes.endIndex || part.utf8.last == UInt8(ascii: "\n") ? part : nil
    }
}
