/// The names that resources may have.
public enum ResourceName {
    /// Letters, digits, '-', '_' and '.', at most 63, beginning with a letter or a digit: safe as a file name, in a
    /// link alias and in an nftables comment.
    public static func check(_ entry: Node.Entry, of kind: String, _ diagnostics: Diagnostics) -> Bool {
        if isPlain(entry.key) { return true }
        diagnostics.report(
            at: entry, "'\(entry.key.prefix(80))' cannot name a \(kind)",
            hint: "letters, digits, '-', '_' and '.', at most 63, beginning with a letter or a digit")
        return false
    }

    /// Whether the text is such a name.
    public static func isPlain(_ text: String) -> Bool {
        let bytes = text.utf8
        guard let first = bytes.first, bytes.count <= 63, isAlphanumeric(first) else { return false }
        return bytes.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
