/// A place in a manifest file.
public struct Position: Hashable, Sendable {
    /// The file as the operator named it.
    public let file: String
    /// From 1.
    public let line: Int
    /// From 1, in Unicode scalars.
    public let column: Int

    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// The place behind a text that a file begins with.
    init(file: String, after text: String) {
        let lines = Self.lines(text)
        self.init(file: file, line: lines.count, column: (lines.last?.unicodeScalars.count ?? 0) + 1)
    }

    /// The lines as libyaml counts them: a carriage return alone ends one, too (YAML 1.1, section 4.1.4).
    static func lines(_ text: String) -> [Substring] {
        text.split(omittingEmptySubsequences: false) { character in
            switch character {
            case "\n", "\r", "\r\n", "\u{85}", "\u{2028}", "\u{2029}": true
            default: false
            }
        }
    }
}
