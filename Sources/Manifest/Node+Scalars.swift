extension Node {
    /// The text of a scalar; anything else is reported. `what` names the value, and is asked for a message only.
    public func string(as what: @autoclosure () -> String, _ diagnostics: Diagnostics) -> String? {
        switch content {
        case .scalar(let text, _) where !isNull: return text
        case .scalar, .mapping, .sequence:
            diagnostics.report(at: self, "\(what()) must be a text, not \(words)")
            return nil
        }
    }

    /// `true` or `false`. YAML's other spellings (`yes`, `on`) are refused rather than guessed.
    public func bool(as what: String, _ diagnostics: Diagnostics) -> Bool? {
        guard let text = string(as: what, diagnostics) else { return nil }
        switch text {
        case "true": return true
        case "false": return false
        default:
            let word = ["yes", "on", "y"].contains(text.lowercased()) ? "true" : "false"
            let known = ["yes", "on", "y", "no", "off", "n"].contains(text.lowercased())
            diagnostics.report(
                at: self, "\(what) must be true or false, not '\(text.prefix(60))'", hint: known ? "write \(word)" : "")
            return nil
        }
    }

    /// A whole number in decimal digits, within `range`.
    public func int(as what: String, in range: ClosedRange<Int>, _ diagnostics: Diagnostics) -> Int? {
        guard let text = string(as: what, diagnostics) else { return nil }
        guard Self.isDecimal(text), let number = Int(text) else {
            diagnostics.report(at: self, "\(what) must be a whole number, not '\(text.prefix(60))'")
            return nil
        }
        guard range.contains(number) else {
            diagnostics.report(at: self, "\(what) must be \(range.lowerBound) to \(range.upperBound), not \(number)")
            return nil
        }
        return number
    }

    /// Digits with an optional sign, and no leading zero: `010` is eight to some and ten to others.
    private static func isDecimal(_ text: String) -> Bool {
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }) else { return false }
        return digits == "0" || digits.first != "0"
    }

    /// Any type that reads itself from text.
    public func value<Value: LosslessStringConvertible>(
        _ type: Value.Type, as what: @autoclosure () -> String, expecting: String, _ diagnostics: Diagnostics
    ) -> Value? {
        guard let text = string(as: what(), diagnostics) else { return nil }
        if let value = Value(text) { return value }
        diagnostics.report(at: self, "\(what()) is not \(expecting): '\(text.prefix(80))'")
        return nil
    }

    /// One of the words of an enumeration.
    public func choice<Choice: CaseIterable & RawRepresentable<String>>(
        _ type: Choice.Type, as what: String, _ diagnostics: Diagnostics
    ) -> Choice? {
        guard let text = string(as: what, diagnostics) else { return nil }
        if let choice = Choice(rawValue: text) { return choice }
        let words = Choice.allCases.map(\.rawValue)
        diagnostics.report(
            at: self, "\(what) cannot be '\(text.prefix(60))'", hint: Suggestion.hint(for: text, in: words))
        return nil
    }

    /// A size with an IEC unit (1 KiB = 1,024 bytes), within `range`. A bare number is refused: bytes or GiB?
    public func bytes(as what: String, in range: ClosedRange<UInt64>, _ diagnostics: Diagnostics) -> UInt64? {
        guard let text = string(as: what, diagnostics) else { return nil }
        let units = ["B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40, "PiB": 50]
        guard let (number, unit) = Self.split(text), let shift = units[unit] else {
            diagnostics.report(
                at: self, "\(what) is not a size: '\(text.prefix(60))'",
                hint: "a whole number with B, KiB, MiB, GiB, TiB or PiB, such as 20GiB")
            return nil
        }
        let (size, overflow) = number.multipliedReportingOverflow(by: 1 << UInt64(shift))
        guard !overflow, range.contains(size) else {
            diagnostics.report(
                at: self, "\(what) must be \(ByteSize(range.lowerBound)) to \(ByteSize(range.upperBound)), not \(text)")
            return nil
        }
        return size
    }

    /// A rate with an SI unit (1 kbit = 1,000 bits), in bits per second.
    public func rate(as what: String, _ diagnostics: Diagnostics) -> UInt64? {
        guard let text = string(as: what, diagnostics) else { return nil }
        let units: [String: UInt64] = ["bit": 1, "kbit": 1_000, "Mbit": 1_000_000, "Gbit": 1_000_000_000]
        if let (number, unit) = Self.split(text), let factor = units[unit], number > 0 {
            let (rate, overflow) = number.multipliedReportingOverflow(by: factor)
            if !overflow { return rate }
        }
        diagnostics.report(
            at: self, "\(what) is not a rate: '\(text.prefix(60))'",
            hint: "a whole number with bit, kbit, Mbit or Gbit (per second), such as 100Mbit")
        return nil
    }

    /// `20GiB` or `20 GiB` as 20 and `GiB`.
    private static func split(_ text: String) -> (UInt64, String)? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard isDecimal(String(digits)), let number = UInt64(digits) else { return nil }
        return (number, String(text.dropFirst(digits.count).drop { $0 == " " }))
    }
}

/// A size in bytes as the manifest writes it: the largest IEC unit that divides it.
public struct ByteSize: Sendable, Hashable, CustomStringConvertible {
    public let bytes: UInt64

    public init(_ bytes: UInt64) { self.bytes = bytes }

    public var description: String {
        let units: [(String, UInt64)] = [("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
        for (unit, shift) in units where bytes >= 1 << shift && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)B"
    }
}

/// A rate in bits per second as the manifest writes it: the largest SI unit that divides it.
public struct BitRate: Sendable, Hashable, CustomStringConvertible {
    public let bits: UInt64

    public init(_ bits: UInt64) { self.bits = bits }

    public var description: String {
        let units: [(String, UInt64)] = [("Gbit", 1_000_000_000), ("Mbit", 1_000_000), ("kbit", 1_000)]
        for (unit, factor) in units where bits >= factor && bits % factor == 0 { return "\(bits / factor)\(unit)" }
        return "\(bits)bit"
    }
}
