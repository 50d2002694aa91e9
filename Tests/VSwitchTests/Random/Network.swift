/// The two families of addresses.
enum Family: Int, CaseIterable, Sendable {
    case v4, v6

    var width: Int { self == .v4 ? 32 : 128 }
    /// The prefix length of every subnet.
    var subnetLength: Int { self == .v4 ? 24 : 64 }
}

/// A network, or an address alone, which is one of full length. The tests' own arithmetic, so that it is not the
/// product's that is asked whether the product is right.
struct Network: Hashable, Sendable, CustomStringConvertible {
    let family: Family
    let bits: UInt128
    let length: Int

    /// The network of that length that the address is in.
    init(_ family: Family, _ bits: UInt128, length: Int) {
        self.family = family
        let shift = UInt128(family.width - length)
        self.bits = shift == 128 ? 0 : (bits >> shift) << shift
        self.length = length
    }

    /// A host: 10.SUBNET.0.NUMBER, fd00 + SUBNET :: NUMBER.
    static func host(_ family: Family, subnet: Int, number: Int) -> Network {
        let (subnet, number) = (UInt128(subnet), UInt128(number))
        let bits = family == .v4 ? 10 << 24 | subnet << 16 | number : (0xfd00 + subnet) << 112 | number
        return Network(family, bits, length: family.width)
    }

    static func subnet(_ family: Family, _ subnet: Int) -> Network {
        host(family, subnet: subnet, number: 0).widened(to: family.subnetLength)
    }

    func widened(to length: Int) -> Network { Network(family, bits, length: length) }

    func contains(_ other: Network) -> Bool {
        family == other.family && length <= other.length && other.widened(to: length) == self
    }

    /// Without the length.
    var address: String {
        switch family {
        case .v4: [24, 16, 8, 0].map { "\(bits >> UInt128($0) & 0xff)" }.joined(separator: ".")
        case .v6:
            stride(from: 112, through: 0, by: -16).map { String(bits >> UInt128($0) & 0xffff, radix: 16) }
                .joined(separator: ":")
        }
    }

    var description: String { length == family.width ? address : "\(address)/\(length)" }
}
