/// A sequence number in 32-bit serial arithmetic (RFC 1982, as RFC 7143 section 4.2.2.1 asks): it wraps from
/// 2^32 - 1 to 0, and "before" means by less than half the circle.
public struct SerialNumber: Equatable, Sendable, CustomStringConvertible {
    public var value: UInt32

    public init(_ value: UInt32) {
        self.value = value
    }

    public static func + (left: SerialNumber, right: UInt32) -> SerialNumber {
        SerialNumber(left.value &+ right)
    }

    /// How far `self` lies after `other`; negative when it lies before.
    public func distance(after other: SerialNumber) -> Int {
        Int(Int32(bitPattern: value &- other.value))
    }

    public static func < (left: SerialNumber, right: SerialNumber) -> Bool {
        left.distance(after: right) < 0
    }

    public var description: String { String(value) }
}
