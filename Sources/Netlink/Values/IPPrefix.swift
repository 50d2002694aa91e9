/// An IPv4 or IPv6 address with a prefix length, host bits kept.
public enum IPPrefix: Hashable, Comparable, Sendable, LosslessStringConvertible {
    case v4(IPv4Prefix)
    case v6(IPv6Prefix)

    /// `address/length` of either family; a text without a length is refused.
    public init?(_ description: String) {
        if let prefix = IPv4Prefix(description) {
            self = .v4(prefix)
        } else if let prefix = IPv6Prefix(description) {
            self = .v6(prefix)
        } else {
            return nil
        }
    }

    /// What is wrong with the length, where the text is an address with a `/` and something behind it: half a sentence
    /// about the text. Nil where anything else is wrong, or nothing.
    public static func lengthFault(in text: String) -> String? {
        guard IPPrefix(text) == nil, let slash = text.firstIndex(of: "/") else { return nil }
        guard let address = IPAddress(String(text[..<slash])) else { return nil }
        return "has no prefix length of \(address.isIPv4 ? "IPv4" : "IPv6"), which is /0 to /\(address.bitWidth)"
    }

    /// The address with this length; nil if the length is longer than the address or negative.
    public init?(address: IPAddress, length: Int) {
        switch address {
        case .v4(let address):
            guard let prefix = IPv4Prefix(address: address, length: length) else { return nil }
            self = .v4(prefix)
        case .v6(let address):
            guard let prefix = IPv6Prefix(address: address, length: length) else { return nil }
            self = .v6(prefix)
        }
    }

    /// The address alone: length 32 or 128.
    public init(host address: IPAddress) {
        switch address {
        case .v4(let address): self = .v4(IPv4Prefix(host: address))
        case .v6(let address): self = .v6(IPv6Prefix(host: address))
        }
    }

    /// The address with its host bits.
    public var address: IPAddress {
        switch self {
        case .v4(let prefix): .v4(prefix.address)
        case .v6(let prefix): .v6(prefix.address)
        }
    }

    /// The prefix length in bits.
    public var length: Int {
        switch self {
        case .v4(let prefix): prefix.length
        case .v6(let prefix): prefix.length
        }
    }

    /// The network: the same length, host bits zero.
    public var network: IPPrefix {
        switch self {
        case .v4(let prefix): .v4(prefix.network)
        case .v6(let prefix): .v6(prefix.network)
        }
    }

    /// The highest address of the network.
    public var last: IPAddress {
        switch self {
        case .v4(let prefix): .v4(prefix.last)
        case .v6(let prefix): .v6(prefix.last)
        }
    }

    /// Whether it is one address: its length is the whole width.
    public var isHost: Bool { length == address.bitWidth }

    /// No host bits are set.
    public var isNetwork: Bool {
        switch self {
        case .v4(let prefix): prefix.isNetwork
        case .v6(let prefix): prefix.isNetwork
        }
    }

    /// Which family it is of.
    public var isIPv4: Bool { if case .v4 = self { true } else { false } }

    /// Whether the address is of this family and lies in this network.
    public func contains(_ other: IPAddress) -> Bool {
        switch (self, other) {
        case (.v4(let prefix), .v4(let address)): prefix.contains(address)
        case (.v6(let prefix), .v6(let address)): prefix.contains(address)
        default: false
        }
    }

    /// Whether the whole other network is of this family and lies in this one.
    public func contains(_ other: IPPrefix) -> Bool {
        switch (self, other) {
        case (.v4(let prefix), .v4(let other)): prefix.contains(other)
        case (.v6(let prefix), .v6(let other)): prefix.contains(other)
        default: false
        }
    }

    /// `address/length`.
    public var description: String {
        switch self {
        case .v4(let prefix): prefix.description
        case .v6(let prefix): prefix.description
        }
    }

    /// IPv4 before IPv6, then by address and length.
    public static func < (left: IPPrefix, right: IPPrefix) -> Bool {
        (left.address, left.length) < (right.address, right.length)
    }
}
