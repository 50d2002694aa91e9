/// Where the resources of one file stand, so that a text that differs in a few lines need not be read as a whole.
///
/// Only a file of one document knows it whose sections are keys at the beginnings of lines.
public struct SourceOutline: Sendable {
    /// One section, by the line that its key begins.
    struct Part: Sendable {
        let key: String
        /// The offset of the line, in bytes.
        var start: Int
        /// Those of its entries; none where they do not begin a line each, in one column.
        var entries: [Entry]
        /// Their column, from 1.
        let column: Int
    }

    struct Entry: Sendable {
        let name: String
        var start: Int
    }

    /// In the order of the file.
    private(set) var parts: [Part]

    /// - Parameter documents: the file as it was read, without mistakes.
    /// - Returns: nil where it is of another form.
    init?(of source: Source, _ documents: [Node]) {
        guard documents.count == 1, case .mapping(let sections) = documents[0].content,
            let lines = LineStarts(source.text)
        else { return nil }
        parts = []
        for section in sections {
            guard section.keyPosition.column == 1, let start = lines.offset(of: section.keyPosition) else { return nil }
            if let last = parts.last, last.start >= start { return nil }
            guard case .mapping(let resources) = section.value.content else {
                parts.append(Part(key: section.key, start: start, entries: [], column: 1))
                continue
            }
            let column = resources.first?.keyPosition.column ?? 1
            var entries: [Entry] = []
            var last = start
            for resource in resources {
                guard resource.keyPosition.column == column, column > 1,
                    let offset = lines.offset(of: resource.keyPosition), offset > last
                else {
                    entries = []
                    break
                }
                entries.append(Entry(name: resource.key, start: offset))
                last = offset
            }
            parts.append(Part(key: section.key, start: start, entries: entries, column: column))
        }
    }

    /// The same for a text in which everything from an offset on stands so many bytes further.
    mutating func move(from offset: Int, by distance: Int) {
        guard distance != 0 else { return }
        for index in parts.indices {
            if parts[index].start >= offset { parts[index].start += distance }
            guard let last = parts[index].entries.last, last.start >= offset else { continue }
            for entry in parts[index].entries.indices where parts[index].entries[entry].start >= offset {
                parts[index].entries[entry].start += distance
            }
        }
    }
}

/// The offsets at which the lines of a text begin, where libyaml and we agree on what a line is.
private struct LineStarts {
    private let starts: [Int]
    private let bytes: [UInt8]

    /// Nil for a text with other ends of lines than the line feed (YAML 1.1, section 4.1.4).
    init?(_ text: String) {
        let bytes = Array(text.utf8)
        var starts = [0]
        var last: UInt8 = 0
        for (index, byte) in bytes.enumerated() {
            switch (last, byte) {
            case (_, UInt8(ascii: "\n")): starts.append(index + 1)
            // U+0085, U+2028 and U+2029 begin so; texts with other characters that do are read as a whole, too.
            case (_, UInt8(ascii: "\r")), (0xc2, 0x85), (0xe2, 0x80): return nil
            default: break
            }
            last = byte
        }
        self.bytes = bytes
        self.starts = starts
    }

    /// The offset of the line of a key that is the first in it; nil where something is before the key.
    func offset(of key: Position) -> Int? {
        guard key.line >= 1, key.line <= starts.count else { return nil }
        let start = starts[key.line - 1]
        guard start + key.column - 1 <= bytes.count else { return nil }
        let isFirst = bytes[start..<start + key.column - 1].allSatisfy { $0 == UInt8(ascii: " ") }
        return isFirst ? start : nil
    }
}
