/// One mistake in a manifest: where, what, and what to do.
public struct Diagnostic: Sendable, Hashable {
    public let position: Position
    /// How many columns from the position on it is about.
    public let width: Int
    public let message: String
    /// The remedy, printed behind the caret; empty where the message says it all.
    public let hint: String

    public init(at position: Position, width: Int = 1, _ message: String, hint: String = "") {
        self.position = position
        self.width = width
        self.message = message
        self.hint = hint
    }
}

/// The mistakes found so far, and the texts they were found in. All are collected before any is printed.
///
/// One loader owns it; it is never shared between threads.
public final class Diagnostics {
    /// As many are kept; the rest is only counted.
    public static let limit = 100

    /// In the order of finding.
    public private(set) var all: [Diagnostic] = []
    private var dropped = 0
    private var texts: [String: String] = [:]

    public init() {}

    public var isEmpty: Bool { all.isEmpty }

    /// Keeps the text of a file, so that a mistake in it can be shown with its line.
    public func keep(_ source: Source) { texts[source.file] = source.text }

    public func report(_ diagnostic: Diagnostic) {
        if all.count < Self.limit { all.append(diagnostic) } else { dropped += 1 }
    }

    public func report(at position: Position, width: Int = 1, _ message: String, hint: String = "") {
        report(Diagnostic(at: position, width: width, message, hint: hint))
    }

    /// Reports a mistake in a value, underlined as far as it goes.
    public func report(at node: Node, _ message: String, hint: String = "") {
        report(at: node.position, width: node.width, message, hint: hint)
    }

    /// Reports a mistake in the key of an entry.
    public func report(at entry: Node.Entry, _ message: String, hint: String = "") {
        report(at: entry.keyPosition, width: max(1, entry.key.count), message, hint: hint)
    }

    /// All of them as a person reads them, by file and line, ending with a count.
    public func render() -> String {
        let sorted = all.sorted {
            ($0.position.file, $0.position.line, $0.position.column)
                < ($1.position.file, $1.position.line, $1.position.column)
        }
        var lines: [String: [Substring]] = [:]
        for file in Set(sorted.map(\.position.file)) {
            lines[file] = texts[file].map { Position.lines($0) }
        }
        var text = sorted.map { render($0, lines[$0.position.file] ?? []) }.joined()
        let count = all.count + dropped
        if dropped > 0 { text += "… and \(dropped) more.\n" }
        text += "\(count) mistake\(count == 1 ? "" : "s"); nothing has been changed.\n"
        return text
    }

    private func render(_ diagnostic: Diagnostic, _ lines: [Substring]) -> String {
        let position = diagnostic.position
        // Line 0 stands for the file as a whole.
        let file = Printable.text(position.file)
        let place = position.line > 0 ? "\(file):\(position.line):\(position.column)" : file
        let hint = Printable.text(diagnostic.hint)
        var text = "\(place): error: \(Printable.text(diagnostic.message))\n"
        guard lines.indices.contains(position.line - 1), position.column >= 1 else {
            if !hint.isEmpty { text += "  \(hint)\n" }
            return text
        }
        // A manifest may be one endless line: show what is near the mistake.
        let window = 160
        let line = lines[position.line - 1].unicodeScalars
        let start = position.column > window ? position.column - window / 2 : 1
        let shown = line.dropFirst(start - 1).prefix(window)
        let before = shown.prefix(position.column - start)
        let meant = shown.dropFirst(before.count).prefix(diagnostic.width)
        let number = "\(position.line)"
        let margin = String(repeating: " ", count: number.count)
        // Tabs stay tabs and escapes are as wide as they are shown, so that the caret stands under its character.
        let indent = String(Self.shown(before).map { $0 == "\t" ? "\t" : " " })
        let width = diagnostic.width + Self.shown(meant).count - String(meant).count
        let underline = "^" + String(repeating: "~", count: max(0, min(width, window) - 1))
        text += "  \(number) | \(Self.shown(shown))\n"
        text += "  \(margin) | \(indent)\(underline)\(hint.isEmpty ? "" : " " + hint)\n"
        return text
    }

    private static func shown(_ part: Substring.UnicodeScalarView.SubSequence) -> String {
        Printable.text(String(part), keeping: ["\t"])
    }
}
