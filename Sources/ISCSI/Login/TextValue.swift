/// The forms that a key's value can take (RFC 7143 section 6.1); anything else is nil.
enum TextValue {
    /// A decimal constant, or a hexadecimal one after 0x.
    static func number(_ text: String) -> UInt64? {
        let bytes = Array(text.utf8)
        if let digits = stripped(bytes, prefix: "x") {
            guard !digits.isEmpty, digits.count <= 16 else { return nil }
            var value: UInt64 = 0
            for digit in digits {
                guard let nibble = nibble(digit) else { return nil }
                value = value << 4 | UInt64(nibble)
            }
            return value
        }
        guard !bytes.isEmpty, bytes.count <= 19 else { return nil }
        var value: UInt64 = 0
        for digit in bytes {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            // 19 decimal digits fit in 64 bits.
            value = value &* 10 &+ UInt64(digit &- UInt8(ascii: "0"))
        }
        return value
    }

    static func boolean(_ text: String) -> Bool? {
        switch text {
        case "Yes": true
        case "No": false
        default: nil
        }
    }

    static func list(_ text: String) -> [String] {
        text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    /// A large binary value: hexadecimal digits after 0x, base64 after 0b. At most `limit` bytes.
    static func binary(_ text: String, limit: Int) -> [UInt8]? {
        let bytes = Array(text.utf8)
        let value = stripped(bytes, prefix: "x").map(hexadecimal) ?? stripped(bytes, prefix: "b").map(base64)
        guard let value = value ?? nil, !value.isEmpty, value.count <= limit else { return nil }
        return value
    }

    /// Bytes as a hexadecimal constant.
    static func hexadecimal(of bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = Array("0x".utf8)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The beginning of a value, for words about it: who sends 8 KiB does not fill the operator's log.
    static func shown(_ text: String) -> String { String(text.unicodeScalars.prefix(60)) }

    /// What stands behind `0x` or `0b`, whose letter may be a capital.
    private static func stripped(_ bytes: [UInt8], prefix: Character) -> ArraySlice<UInt8>? {
        guard bytes.count >= 2, bytes[0] == UInt8(ascii: "0"), let letter = prefix.asciiValue,
            bytes[1] | 0x20 == letter
        else { return nil }
        return bytes[2...]
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// An odd number of digits has a zero before the first one.
    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> [UInt8]? {
        var value: [UInt8] = []
        var high: UInt8? = digits.count % 2 == 0 ? nil : 0
        for digit in digits {
            guard let low = nibble(digit) else { return nil }
            if let first = high {
                value.append(first << 4 | low)
                high = nil
            } else {
                high = low
            }
        }
        return value
    }

    private static func base64(_ digits: ArraySlice<UInt8>) -> [UInt8]? {
        let pads = digits.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        let body = digits.dropLast(pads)
        guard digits.count % 4 == 0, pads <= 2 else { return nil }
        var value: [UInt8] = []
        var bits: UInt32 = 0
        var held = 0
        for digit in body {
            guard let six = sextet(digit) else { return nil }
            bits = (bits << 6 | UInt32(six)) & 0xffff
            held += 6
            if held >= 8 {
                held -= 8
                value.append(UInt8(truncatingIfNeeded: bits >> UInt32(held)))
            }
        }
        return value
    }

    private static func sextet(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): digit - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
