/// An IPv4 or an IPv6 address.
public enum IPAddress: Hashable, Comparable, Sendable, LosslessStringConvertible {
    case v4(IPv4Address)
    case v6(IPv6Address)

    /// An address of either family in its text form.
    public init?(_ description: String) {
        if let address = IPv4Address(description) {
            self = .v4(address)
        } else if let address = IPv6Address(description) {
            self = .v6(address)
        } else {
            return nil
        }
    }

    /// The address in four or sixteen bytes, network order.
    public init?(bytes: some Collection<UInt8>) {
        if let address = IPv4Address(bytes: bytes) {
            self = .v4(address)
        } else if let address = IPv6Address(bytes: bytes) {
            self = .v6(address)
        } else {
            return nil
        }
    }

    /// The bytes in network order: four or sixteen.
    public var bytes: [UInt8] {
        switch self {
        case .v4(let address): address.bytes
        case .v6(let address): address.bytes
        }
    }

    /// Which family it is of.
    public var isIPv4: Bool { if case .v4 = self { true } else { false } }

    /// The width in bits: 32 or 128.
    public var bitWidth: Int { isIPv4 ? 32 : 128 }

    /// 0.0.0.0 or ::.
    public var isUnspecified: Bool {
        switch self {
        case .v4(let address): address.isUnspecified
        case .v6(let address): address.isUnspecified
        }
    }

    /// A group address, which no interface may have.
    public var isMulticast: Bool {
        switch self {
        case .v4(let address): address.isMulticast
        case .v6(let address): address.isMulticast
        }
    }

    /// Why no host may have the address, as half a sentence; nil where one may. Link-local addresses are hosts'.
    ///
    /// 0.0.0.0/8, 127.0.0.0/8 and 240.0.0.0/4 with the broadcast address: RFC 6890 section 2.2.2. `::ffff:0:0/96`: RFC
    /// 4291 section 2.5.5.2.
    public var hostFault: String? {
        if isUnspecified { return "it is the unspecified address" }
        if isMulticast { return "it is a group address" }
        switch self {
        case .v4(let v4):
            if v4.isLoopback { return "it is a loopback address" }
            return v4.rawValue >> 28 == 0xf || v4.rawValue >> 24 == 0 ? "it is reserved" : nil
        case .v6(let v6):
            if v6.isLoopback { return "it is the loopback address" }
            return v6.isIPv4Mapped ? "it is an IPv4 address in disguise" : nil
        }
    }

    public var description: String {
        switch self {
        case .v4(let address): address.description
        case .v6(let address): address.description
        }
    }

    /// IPv4 before IPv6, then by number.
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        switch (left, right) {
        case (.v4(let left), .v4(let right)): left < right
        case (.v6(let left), .v6(let right)): left < right
        case (.v4, .v6): true
        case (.v6, .v4): false
        }
    }
}
