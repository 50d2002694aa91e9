/// An Ethernet hardware address, six bytes.
public struct MACAddress: Hashable, Comparable, Sendable, LosslessStringConvertible {
    /// The address in the low 48 bits, first byte on the wire highest.
    public let rawValue: UInt64

    /// The address in the low 48 bits of a number; the rest is dropped.
    public init(rawValue: UInt64) { self.rawValue = rawValue & 0xffff_ffff_ffff }

    /// The address in exactly six bytes, as on the wire.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 6 else { return nil }
        rawValue = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Six pairs of hexadecimal digits with ':' between them, either case.
    public init?(_ description: String) {
        let text = Array(description.utf8)
        guard text.count == 17 else { return nil }
        var value: UInt64 = 0
        for (index, byte) in text.enumerated() {
            if index % 3 == 2 {
                guard byte == UInt8(ascii: ":") else { return nil }
            } else {
                guard let digit = hexadecimalDigit(byte) else { return nil }
                value = value << 4 | UInt64(digit)
            }
        }
        rawValue = value
    }

    /// The address for a text such as "vm1/net0": locally administered, unicast, first byte 02, forty bits of hash.
    ///
    /// The same text gives the same address on every node and in every release.
    public static func derived(from text: String) -> MACAddress {
        MACAddress(rawValue: 0x0200_0000_0000 | StableHash(text).value & 0xff_ffff_ffff)
    }

    /// This address with its first byte replaced.
    public func replacingFirstByte(with byte: UInt8) -> MACAddress {
        MACAddress(rawValue: rawValue & 0xff_ffff_ffff | UInt64(byte) << 40)
    }

    /// The six bytes as on the wire.
    public var bytes: [UInt8] { (0..<6).map { UInt8(truncatingIfNeeded: rawValue >> (40 - 8 * $0)) } }

    /// A group address (the I/G bit): no interface may have it.
    public var isMulticast: Bool { rawValue >> 40 & 1 == 1 }

    /// All six bytes are zero: no interface may have it.
    public var isZero: Bool { rawValue == 0 }

    /// Lower-case pairs with ':' between them.
    public var description: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(17)
        for byte in bytes {
            if !text.isEmpty { text.append(UInt8(ascii: ":")) }
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    public static func < (left: MACAddress, right: MACAddress) -> Bool { left.rawValue < right.rawValue }
}

/// The value of one hexadecimal digit, either case.
func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
