/// An IPv6 address with a prefix length, host bits kept: fd00:10::1/64 as an interface has it.
public struct IPv6Prefix: Hashable, Comparable, Sendable, LosslessStringConvertible {
    /// The address with its host bits.
    public let address: IPv6Address
    /// The prefix length, 0 to 128.
    public let length: Int

    /// The address with this length; nil unless the length is 0 to 128.
    public init?(address: IPv6Address, length: Int) {
        guard (0...128).contains(length) else { return nil }
        self.address = address
        self.length = length
    }

    /// The address alone: length 128.
    public init(host address: IPv6Address) {
        self.address = address
        length = 128
    }

    /// `address/length`; a text without a length is refused.
    public init?(_ description: String) {
        guard let (address, length) = splitPrefix(description, maximum: 128) else { return nil }
        guard let address = IPv6Address(text: address) else { return nil }
        self.init(address: address, length: length)
    }

    /// The network mask: /64 is ffff:ffff:ffff:ffff::.
    public var mask: IPv6Address { IPv6Address(rawValue: length == 0 ? 0 : UInt128.max << (128 - UInt128(length))) }

    /// The network: the same length, host bits zero.
    public var network: IPv6Prefix {
        IPv6Prefix(unchecked: IPv6Address(rawValue: address.rawValue & mask.rawValue), length)
    }

    /// The highest address of the network.
    public var last: IPv6Address { IPv6Address(rawValue: address.rawValue | ~mask.rawValue) }

    /// No host bits are set.
    public var isNetwork: Bool { address.rawValue & ~mask.rawValue == 0 }

    /// Whether the address lies in this network.
    public func contains(_ other: IPv6Address) -> Bool { (other.rawValue ^ address.rawValue) & mask.rawValue == 0 }

    /// Whether the whole other network lies in this one.
    public func contains(_ other: IPv6Prefix) -> Bool { other.length >= length && contains(other.address) }

    /// `address/length`.
    public var description: String { "\(address)/\(length)" }

    public static func < (left: IPv6Prefix, right: IPv6Prefix) -> Bool {
        (left.address, left.length) < (right.address, right.length)
    }

    private init(unchecked address: IPv6Address, _ length: Int) {
        self.address = address
        self.length = length
    }
}
