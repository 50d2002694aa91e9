/// A named set or map: how its keys are made up, what they map to, and its elements.
public struct NFSet: Hashable, Sendable {
    /// One field of a key, with the number that the nft command knows its type by (nftables, include/datatype.h).
    public enum Field: UInt32, Hashable, Sendable {
        case ipv4Address = 7
        case ipv6Address = 8
        case etherAddress = 9
        case internetProtocol = 12
        case port = 13
        case mark = 19
        case interfaceName = 41

        /// Bytes of the value, before it is padded to four in a concatenation.
        public var count: Int {
            switch self {
            case .internetProtocol: 1
            case .port: 2
            case .ipv4Address, .mark: 4
            case .etherAddress: 6
            case .ipv6Address, .interfaceName: 16
            }
        }

        /// Whether the value is kept in the order of the machine rather than that of the network.
        var isHostOrder: Bool { self == .mark || self == .interfaceName }
    }

    /// What a key leads to.
    public enum Target: Hashable, Sendable {
        /// Nothing: membership is all.
        case member
        /// A value of these fields.
        case value([Field])
        /// A verdict.
        case verdict
    }

    public let name: String
    /// One field, or several concatenated.
    public let key: [Field]
    public let target: Target
    public var elements: [NFKey: NFData]

    public init(_ name: String, key: [Field], target: Target = .member, elements: [NFKey: NFData] = [:]) {
        self.name = name
        self.key = key
        self.target = target
        self.elements = elements
    }

    /// The same set without elements: what must be equal for elements to be changed one by one.
    var frame: NFSet { NFSet(name, key: key, target: target) }

    /// Puts a key in that is a member.
    public mutating func insert(_ key: NFKey) { elements[key] = .member }

    /// The number by which the nft command knows fields: six bits each.
    static func typeNumber(_ fields: [Field]) -> UInt32 { fields.reduce(0) { $0 << 6 | $1.rawValue } }

    /// Bytes of a key or value of these fields: each padded to four where there are several.
    static func length(_ fields: [Field]) -> Int {
        fields.count == 1 ? fields[0].count : fields.reduce(0) { $0 + ($1.count + 3) & ~3 }
    }

    /// The fields of such a number, if they are ours.
    static func fields(_ typeNumber: UInt32) -> [Field]? {
        var rest = typeNumber
        var fields: [Field] = []
        while rest != 0 {
            guard let field = Field(rawValue: rest & 0x3f) else { return nil }
            fields.insert(field, at: 0)
            rest >>= 6
        }
        return fields.isEmpty ? nil : fields
    }
}

/// A key of a set, or a value of a map, as it lies in the kernel's registers.
///
/// Forty bytes hold the longest we use (interface name, MAC, IPv6 address), so that a set of thousands of keys needs no
/// allocation for each.
public struct NFKey: Hashable, Sendable {
    static let capacity = 40
    private var storage: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)
    private(set) var count: Int = 0

    public init() {}

    /// The bytes as the kernel has them; nil where there are more than fit.
    init?(bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= Self.capacity else { return nil }
        append(bytes)
    }

    /// The key of one value, or of several, each padded to four bytes.
    public init(_ values: NFValue...) {
        for value in values {
            value.append(to: &self)
            if values.count > 1 { count = (count + 3) & ~3 }
        }
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        precondition(count + bytes.count <= Self.capacity, "a key of our own making fits")
        let start = count
        withUnsafeMutableBytes(of: &storage) { $0[start...].copyBytes(from: bytes) }
        count += bytes.count
    }

    mutating func skip(_ bytes: Int) {
        precondition(count + bytes <= Self.capacity, "a key of our own making fits")
        count += bytes
    }

    func withBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        withUnsafeBytes(of: storage) { body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }

    /// The bytes, copied.
    public var bytes: [UInt8] { withBytes { Array($0) } }

    public static func == (left: NFKey, right: NFKey) -> Bool {
        left.storage == right.storage && left.count == right.count
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(storage.0)
        hasher.combine(storage.1)
        hasher.combine(storage.2)
        hasher.combine(storage.3)
        hasher.combine(storage.4)
    }
}

/// One value on its way into a key.
public enum NFValue: Hashable, Sendable {
    case interface(InterfaceName)
    case mac(MACAddress)
    case address(IPAddress)
    case port(UInt16)
    case byte(UInt8)

    fileprivate func append(to key: inout NFKey) {
        switch self {
        case .interface(let name):
            var text = name.description
            let length = text.withUTF8 { bytes in
                key.append(UnsafeRawBufferPointer(bytes))
                return bytes.count
            }
            // IFNAMSIZ, the rest NUL.
            key.skip(16 - length)
        case .mac(let mac):
            withUnsafeBytes(of: (mac.rawValue << 16).bigEndian) {
                key.append(UnsafeRawBufferPointer(rebasing: $0[..<6]))
            }
        case .address(.v4(let address)): withUnsafeBytes(of: address.rawValue.bigEndian) { key.append($0) }
        case .address(.v6(let address)): withUnsafeBytes(of: address.rawValue.bigEndian) { key.append($0) }
        case .port(let port): withUnsafeBytes(of: port.bigEndian) { key.append($0) }
        case .byte(let byte): withUnsafeBytes(of: byte) { key.append($0) }
        }
    }
}

/// What a key of a set leads to.
public enum NFData: Hashable, Sendable {
    case member
    case value(NFKey)
    case verdict(NFVerdict)
}
