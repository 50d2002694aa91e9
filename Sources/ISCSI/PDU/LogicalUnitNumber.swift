/// The eight bytes by which an initiator addresses a logical unit (SAM-5 section 4.7).
public struct LogicalUnitNumber: Equatable, Hashable, Sendable, CustomStringConvertible {
    public let raw: UInt64

    public init(raw: UInt64) {
        self.raw = raw
    }

    /// The address of a unit by its number: peripheral addressing up to 255, flat space addressing above.
    public init(number: UInt16) {
        precondition(number < 0x4000, "a flat space address has 14 bits")
        raw = UInt64(number < 256 ? number : number | 0x4000) << 48
    }

    /// The number of the unit, when this is a single-level address in peripheral (bus 0) or flat space form; the forms
    /// that a target with one level of units never hands out give nil.
    public var number: UInt16? {
        let first = UInt16(truncatingIfNeeded: raw >> 48)
        guard raw & 0xffff_ffff_ffff == 0 else { return nil }
        switch first >> 14 {
        case 0: return first < 256 ? first : nil
        case 1: return first & 0x3fff
        default: return nil
        }
    }

    /// The well-known unit REPORT LUNS (C101h), which answers for the target itself.
    public static let reportLUNs = LogicalUnitNumber(raw: 0xc101 << 48)

    public var description: String {
        if let number { return "LUN \(number)" }
        return "LUN address \(String(raw, radix: 16))h"
    }
}
