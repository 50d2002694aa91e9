/// The bytes as lower-case hex, without blanks.
func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// Annotated hex, one string per wire struct: blanks are dropped, and everything from '#' on is a comment.
func hex(_ lines: String...) -> String {
    lines.map { $0.prefix { $0 != "#" }.filter { !$0.isWhitespace } }.joined()
}

/// The bytes of a hex text without blanks.
func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.utf8.compactMap { UInt8(String(UnicodeScalar($0)), radix: 16) }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}
