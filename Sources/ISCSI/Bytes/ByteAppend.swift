/// Big-endian integers at the end of a byte array, for the small answers of the cold commands.
extension [UInt8] {
    mutating func append(uint16 value: UInt16) {
        append(UInt8(truncatingIfNeeded: value >> 8))
        append(UInt8(truncatingIfNeeded: value))
    }

    mutating func append(uint32 value: UInt32) {
        append(uint16: UInt16(truncatingIfNeeded: value >> 16))
        append(uint16: UInt16(truncatingIfNeeded: value))
    }

    mutating func append(uint64 value: UInt64) {
        append(uint32: UInt32(truncatingIfNeeded: value >> 32))
        append(uint32: UInt32(truncatingIfNeeded: value))
    }

    mutating func append(zeros count: Int) {
        append(contentsOf: repeatElement(0, count: count))
    }

    /// ASCII, left-aligned, padded with spaces or cut to `width` (SPC-4 section 4.3.1). What does not print becomes a
    /// question mark: the fields of INQUIRY data hold printable ASCII only.
    mutating func append(ascii text: String, width: Int) {
        let bytes = text.utf8.prefix(width).map { (0x20...0x7e).contains($0) ? $0 : UInt8(ascii: "?") }
        append(contentsOf: bytes)
        append(contentsOf: repeatElement(UInt8(ascii: " "), count: width - bytes.count))
    }

    /// Writes the length of what follows a 16-bit length field into that field.
    mutating func patch(uint16 value: Int, at offset: Int) {
        self[offset] = UInt8(truncatingIfNeeded: value >> 8)
        self[offset + 1] = UInt8(truncatingIfNeeded: value)
    }

    /// Writes the length of what follows a 32-bit length field into that field.
    mutating func patch(uint32 value: Int, at offset: Int) {
        patch(uint16: value >> 16, at: offset)
        patch(uint16: value & 0xffff, at: offset + 2)
    }
}
