/// An IPv4 address.
public struct IPv4Address: Hashable, Comparable, Sendable, LosslessStringConvertible {
    /// The address as a number: 10.0.0.1 is 0x0a000001.
    public let rawValue: UInt32

    /// The address with this number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The address in exactly four bytes, network order.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 else { return nil }
        rawValue = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Four decimal numbers 0 to 255 without leading zeros, '.' between them (RFC 6943 section 3.1.1, the strict form).
    public init?(_ description: String) { self.init(text: description.utf8[...]) }

    init?(text: Substring.UTF8View) {
        let fields = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard fields.count == 4 else { return nil }
        var value: UInt32 = 0
        for field in fields {
            guard let number = decimalNumber(field, maximum: 255) else { return nil }
            value = value << 8 | UInt32(number)
        }
        rawValue = value
    }

    /// 0.0.0.0.
    public static let unspecified = IPv4Address(rawValue: 0)

    /// The four bytes in network order.
    public var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: rawValue >> (24 - 8 * $0)) } }

    /// 0.0.0.0.
    public var isUnspecified: Bool { rawValue == 0 }

    /// In 127.0.0.0/8.
    public var isLoopback: Bool { rawValue >> 24 == 127 }

    /// In 224.0.0.0/4.
    public var isMulticast: Bool { rawValue >> 28 == 0xe }

    /// In 169.254.0.0/16.
    public var isLinkLocal: Bool { rawValue >> 16 == 0xa9fe }

    /// Dotted decimal.
    public var description: String {
        "\(rawValue >> 24).\(rawValue >> 16 & 255).\(rawValue >> 8 & 255).\(rawValue & 255)"
    }

    public static func < (left: IPv4Address, right: IPv4Address) -> Bool { left.rawValue < right.rawValue }
}

/// A decimal number of one to three digits without a leading zero, at most `maximum` (below 1000).
func decimalNumber(_ text: Substring.UTF8View, maximum: Int) -> Int? {
    guard (1...3).contains(text.count), let first = text.first else { return nil }
    guard text.count == 1 || first != UInt8(ascii: "0") else { return nil }
    var value = 0
    for byte in text {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
        value = value * 10 + Int(byte - UInt8(ascii: "0"))
    }
    return value <= maximum ? value : nil
}
