/// A strict reader of one mapping: each field is asked for by name, and `finish` reports those nobody asked for.
///
/// A field that is missing or wrong yields nil and a diagnostic; reading goes on, so that all mistakes come together.
public struct Fields {
    /// What the mapping describes, for messages: "volume 'vm1-root'".
    public let subject: String
    /// Where the mapping stands.
    public let position: Position
    public let diagnostics: Diagnostics
    private let entries: [Node.Entry]
    private var asked: [String] = []

    /// Opens a mapping. `key:` with nothing behind it counts as an empty one; anything else is reported.
    public init(_ node: Node, of subject: String, _ diagnostics: Diagnostics) {
        self.subject = subject
        self.diagnostics = diagnostics
        position = node.position
        switch node.content {
        case .mapping(let entries): self.entries = entries
        case .scalar where node.isNull: entries = []
        case .scalar, .sequence:
            entries = []
            diagnostics.report(
                at: node, "\(subject) must be a mapping, not \(node.words)", hint: "write 'field: value' lines")
        }
    }

    /// The value of a field as it stands; nil where it is left out.
    public mutating func node(_ key: String, required: Bool = false) -> Node? {
        asked.append(key)
        if let entry = entries.first(where: { $0.key == key }), !entry.value.isNull { return entry.value }
        if required {
            diagnostics.report(at: position, "\(subject) needs '\(key)'", hint: "add '\(key): …'")
        }
        return nil
    }

    /// Whether the file names the field, with or without a value.
    public func has(_ key: String) -> Bool { entries.contains { $0.key == key } }

    /// Reports every field that was not asked for. Call it last.
    public consuming func finish() {
        for entry in entries where !asked.contains(entry.key) {
            diagnostics.report(
                at: entry, "unknown field '\(entry.key)' in \(subject)",
                hint: Suggestion.hint(for: entry.key, in: asked))
        }
    }
}

// MARK: Scalars

extension Fields {
    public mutating func string(_ key: String, required: Bool = false) -> String? {
        node(key, required: required)?.string(as: name(key), diagnostics)
    }

    /// `true` or `false`, in those words.
    public mutating func bool(_ key: String, required: Bool = false) -> Bool? {
        node(key, required: required)?.bool(as: name(key), diagnostics)
    }

    /// A whole number in decimal digits.
    public mutating func int(_ key: String, in range: ClosedRange<Int>, required: Bool = false) -> Int? {
        node(key, required: required)?.int(as: name(key), in: range, diagnostics)
    }

    /// A size in bytes: `20GiB`, `512MiB`, `4096B`.
    public mutating func bytes(_ key: String, in range: ClosedRange<UInt64>, required: Bool = false) -> UInt64? {
        node(key, required: required)?.bytes(as: name(key), in: range, diagnostics)
    }

    /// A rate in bits per second: `100Mbit`, `1Gbit`.
    public mutating func rate(_ key: String, required: Bool = false) -> UInt64? {
        node(key, required: required)?.rate(as: name(key), diagnostics)
    }

    /// Any type that reads itself from text; `expecting` says in words what it looks like.
    public mutating func value<Value: LosslessStringConvertible>(
        _ key: String, _ type: Value.Type, expecting: String, required: Bool = false
    ) -> Value? {
        node(key, required: required)?.value(type, as: name(key), expecting: expecting, diagnostics)
    }

    /// One of the words of an enumeration.
    public mutating func choice<Choice: CaseIterable & RawRepresentable<String>>(
        _ key: String, _ type: Choice.Type, required: Bool = false
    ) -> Choice? {
        node(key, required: required)?.choice(type, as: name(key), diagnostics)
    }

    /// The name of another resource, and where it stands; whether it exists is checked when all is read.
    public mutating func reference(_ key: String, required: Bool = false) -> (name: String, position: Position)? {
        guard let node = node(key, required: required), let name = node.string(as: name(key), diagnostics) else {
            return nil
        }
        return (name, node.position)
    }

    private func name(_ key: String) -> String { "'\(key)' of \(subject)" }
}

// MARK: Collections

extension Fields {
    /// The items of a list that `read` accepts; a single value counts as a list of one.
    public mutating func list<Item>(
        _ key: String, required: Bool = false, _ read: (_ item: Node, _ diagnostics: Diagnostics) -> Item?
    ) -> [Item] {
        guard let node = node(key, required: required) else { return [] }
        guard case .sequence(let items) = node.content else { return read(node, diagnostics).map { [$0] } ?? [] }
        return items.compactMap { read($0, diagnostics) }
    }

    /// The entries of a nested mapping, in the order of the file.
    public mutating func map<Value>(
        _ key: String, required: Bool = false, _ read: (_ entry: Node.Entry, _ diagnostics: Diagnostics) -> Value?
    ) -> [Value] {
        guard let node = node(key, required: required) else { return [] }
        guard case .mapping(let entries) = node.content else {
            diagnostics.report(at: node, "'\(key)' of \(subject) must be a mapping, not \(node.words)")
            return []
        }
        return entries.compactMap { read($0, diagnostics) }
    }

    /// A nested mapping with fields of its own; nil where it is left out.
    public mutating func fields(_ key: String, of subject: String? = nil, required: Bool = false) -> Fields? {
        guard let node = node(key, required: required) else { return nil }
        return Fields(node, of: subject ?? name(key), diagnostics)
    }
}
