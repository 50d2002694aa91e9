/// Text of others made fit for a terminal: what would steer it is shown as an escape instead.
///
/// A manifest and a node's own names may hold any character; one that moves the cursor, changes colours or turns the
/// direction of writing must not make a message say what it does not.
public enum Printable {
    /// The text with control characters (C0, DEL, C1) and those of the bidirectional algorithm as `\u001b`, which YAML
    /// and JSON read as the character again.
    ///
    /// - Parameter keeping: control characters that stay, such as the line ends of a text of several lines.
    public static func text(_ text: String, keeping: Set<Unicode.Scalar> = []) -> String {
        guard text.unicodeScalars.contains(where: { steers($0) && !keeping.contains($0) }) else { return text }
        var shown = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if steers(scalar), !keeping.contains(scalar) {
                shown.append(contentsOf: escape(scalar).unicodeScalars)
            } else {
                shown.append(scalar)
            }
        }
        return String(shown)
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16)
        return "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    private static func steers(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0...0x1f, 0x7f...0x9f: true
        // Embeddings, overrides and isolates (UAX #9, section 2).
        case 0x202a...0x202e, 0x2066...0x2069: true
        default: false
        }
    }
}
