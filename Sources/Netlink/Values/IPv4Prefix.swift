/// An IPv4 address with a prefix length, host bits kept: 10.10.0.1/24 as an interface has it.
public struct IPv4Prefix: Hashable, Comparable, Sendable, LosslessStringConvertible {
    /// The address with its host bits.
    public let address: IPv4Address
    /// The prefix length, 0 to 32.
    public let length: Int

    /// The address with this length; nil unless the length is 0 to 32.
    public init?(address: IPv4Address, length: Int) {
        guard (0...32).contains(length) else { return nil }
        self.address = address
        self.length = length
    }

    /// The address alone: length 32.
    public init(host address: IPv4Address) {
        self.address = address
        length = 32
    }

    /// `a.b.c.d/length`; a text without a length is refused.
    public init?(_ description: String) {
        guard let (address, length) = splitPrefix(description, maximum: 32) else { return nil }
        guard let address = IPv4Address(text: address) else { return nil }
        self.init(address: address, length: length)
    }

    /// The network mask: /24 is 255.255.255.0.
    public var mask: IPv4Address { IPv4Address(rawValue: length == 0 ? 0 : UInt32.max << (32 - UInt32(length))) }

    /// The network: the same length, host bits zero.
    public var network: IPv4Prefix {
        IPv4Prefix(unchecked: IPv4Address(rawValue: address.rawValue & mask.rawValue), length)
    }

    /// The highest address of the network: the broadcast address where the length is at most 30.
    public var last: IPv4Address { IPv4Address(rawValue: address.rawValue | ~mask.rawValue) }

    /// No host bits are set.
    public var isNetwork: Bool { address.rawValue & ~mask.rawValue == 0 }

    /// Whether the address lies in this network.
    public func contains(_ other: IPv4Address) -> Bool { (other.rawValue ^ address.rawValue) & mask.rawValue == 0 }

    /// Whether the whole other network lies in this one.
    public func contains(_ other: IPv4Prefix) -> Bool { other.length >= length && contains(other.address) }

    /// `a.b.c.d/length`.
    public var description: String { "\(address)/\(length)" }

    public static func < (left: IPv4Prefix, right: IPv4Prefix) -> Bool {
        (left.address, left.length) < (right.address, right.length)
    }

    private init(unchecked address: IPv4Address, _ length: Int) {
        self.address = address
        self.length = length
    }
}

/// The text before the one '/', and the decimal length after it.
func splitPrefix(_ text: String, maximum: Int) -> (address: Substring.UTF8View, length: Int)? {
    let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard parts.count == 2, let length = decimalNumber(parts[1], maximum: maximum) else { return nil }
    return (parts[0], length)
}
