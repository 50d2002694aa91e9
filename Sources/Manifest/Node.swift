/// One value of a manifest with its place: a scalar, a mapping or a sequence. Nothing is typed implicitly.
///
/// A scalar keeps the text of the file: `no`, `010`, `1:30` and `52:54:00:00:00:01` stay what the operator wrote, and
/// become a boolean, a number or an address only where a field asks for one.
public struct Node: Sendable {
    public enum Content: Sendable {
        /// The text, and whether it stood without quotes (a plain `~`, `null` or nothing means "no value").
        case scalar(String, isPlain: Bool)
        /// In the order of the file; no key twice.
        case mapping([Entry])
        case sequence([Node])
    }

    /// One `key: value` of a mapping.
    public struct Entry: Sendable {
        public let key: String
        public let keyPosition: Position
        public let value: Node

        public init(key: String, keyPosition: Position, value: Node) {
            self.key = key
            self.keyPosition = keyPosition
            self.value = value
        }
    }

    public let content: Content
    public let position: Position

    public init(_ content: Content, at position: Position) {
        self.content = content
        self.position = position
    }

    /// Whether the value was left out: `key:`, `key: ~` or `key: null`.
    public var isNull: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return text.isEmpty || text == "~" || text == "null"
    }

    /// What it is, for a message: "a mapping", "a list", "the text 'x'" or "nothing".
    public var words: String {
        switch content {
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .scalar(let text, _): isNull ? "nothing" : "'\(text.prefix(60))'"
        }
    }

    /// How many columns the caret underlines.
    var width: Int {
        guard case .scalar(let text, let isPlain) = content, !text.contains("\n") else { return 1 }
        return max(1, text.count + (isPlain ? 0 : 2))
    }
}
