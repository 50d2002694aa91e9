/// The rules for names of initiators and targets (RFC 7143 section 4.2.7).
public enum ISCSIName {
    /// Bytes that a name has at most.
    public static let maxBytes = 223

    /// Whether the text is a name: iqn., eui. or naa. in front, then letters, digits, dots, dashes and colons; any
    /// character beyond ASCII counts as a letter, since names may be international.
    public static func isValid(_ text: String) -> Bool {
        guard (5...maxBytes).contains(text.utf8.count) else { return false }
        guard ["iqn.", "eui.", "naa."].contains(text.prefix(4).lowercased()) else { return false }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...: true
            case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "_"): true
            default: false
            }
        }
    }
}
