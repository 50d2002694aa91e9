/// Big-endian numbers in bytes that came from a file: every read is checked, none traps.
struct BigEndianReader {
    let bytes: [UInt8]

    /// The 32-bit number at `offset`, nil past the end.
    func uint32(_ offset: Int) -> UInt32? {
        guard offset >= 0, offset <= bytes.count - 4 else { return nil }
        var value: UInt32 = 0
        for place in offset..<offset + 4 { value = value << 8 | UInt32(bytes[place]) }
        return value
    }

    /// The 64-bit number at `offset`, nil past the end.
    func uint64(_ offset: Int) -> UInt64? {
        guard offset >= 0, offset <= bytes.count - 8 else { return nil }
        var value: UInt64 = 0
        for place in offset..<offset + 8 { value = value << 8 | UInt64(bytes[place]) }
        return value
    }

    /// The text of `count` bytes at `offset`, nil past the end or if it is not UTF-8.
    func text(_ offset: Int, count: Int) -> String? {
        guard offset >= 0, count >= 0, offset <= bytes.count, count <= bytes.count - offset else { return nil }
        return String(validating: bytes[offset..<offset + count], as: UTF8.self)
    }
}

extension [UInt8] {
    /// Stores a number at `offset`, big-endian; the place must be there.
    mutating func store<Number: FixedWidthInteger>(_ number: Number, at offset: Int) {
        let width = Number.bitWidth / 8
        for place in 0..<width {
            self[offset + place] = UInt8(truncatingIfNeeded: number >> Number((width - 1 - place) * 8))
        }
    }

    /// Appends a number, big-endian.
    mutating func append<Number: FixedWidthInteger>(bigEndian number: Number) {
        let start = count
        append(contentsOf: repeatElement(0, count: Number.bitWidth / 8))
        store(number, at: start)
    }
}
