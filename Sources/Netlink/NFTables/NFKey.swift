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
    public init(_ values: NFValue...) { self.init(values) }

    init(_ values: [NFValue]) {
        for value in values {
            value.append(to: &self)
            if values.count > 1 { pad() }
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

    /// Leaves so many bytes of it, if there are more.
    public mutating func shorten(to count: Int) {
        guard count < self.count else { return }
        withUnsafeMutableBytes(of: &storage) { bytes in
            for index in count..<Self.capacity { bytes[index] = 0 }
        }
        self.count = count
    }

    /// To four bytes, as each value of a concatenation is.
    mutating func pad() { count = (count + 3) & ~3 }

    func withBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        withUnsafeBytes(of: storage) { body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }

    /// The bytes, copied.
    public var bytes: [UInt8] { withBytes { Array($0) } }

    /// The next key, the bytes taken as one big-endian number; nil after the last.
    var successor: NFKey? {
        var next = self
        let last = count - 1
        let isCarried = withUnsafeMutableBytes(of: &next.storage) { bytes in
            for index in stride(from: last, through: 0, by: -1) {
                bytes[index] &+= 1
                if bytes[index] != 0 { return false }
            }
            return true
        }
        return isCarried ? nil : next
    }

    /// The key before, likewise; nil before the first.
    var predecessor: NFKey? {
        var next = self
        let last = count - 1
        let isBorrowed = withUnsafeMutableBytes(of: &next.storage) { bytes in
            for index in stride(from: last, through: 0, by: -1) {
                bytes[index] &-= 1
                if bytes[index] != 0xff { return false }
            }
            return true
        }
        return isBorrowed ? nil : next
    }

    /// The last key of this width: all ones.
    var last: NFKey {
        var key = self
        let width = count
        withUnsafeMutableBytes(of: &key.storage) { bytes in
            for index in 0..<width { bytes[index] = 0xff }
        }
        return key
    }

    public static func == (left: NFKey, right: NFKey) -> Bool {
        left.storage == right.storage && left.count == right.count
    }

    public func hash(into hasher: inout Hasher) {
        // Bytes beyond the count are zero, in every key: words beyond it tell nothing.
        hasher.combine(storage.0)
        if count > 8 { hasher.combine(storage.1) }
        if count > 16 { hasher.combine(storage.2) }
        if count > 24 { hasher.combine(storage.3) }
        if count > 32 { hasher.combine(storage.4) }
    }
}

extension NFKey: Comparable {
    /// By the bytes, as the kernel orders keys of one set.
    public static func < (left: NFKey, right: NFKey) -> Bool {
        let (l, r) = (left.storage, right.storage)
        if l.0 != r.0 { return l.0.bigEndian < r.0.bigEndian }
        if l.1 != r.1 { return l.1.bigEndian < r.1.bigEndian }
        if l.2 != r.2 { return l.2.bigEndian < r.2.bigEndian }
        if l.3 != r.3 { return l.3.bigEndian < r.3.bigEndian }
        if l.4 != r.4 { return l.4.bigEndian < r.4.bigEndian }
        return left.count < right.count
    }
}

/// One value on its way into a key.
public enum NFValue: Hashable, Sendable {
    case interface(InterfaceName)
    case mac(MACAddress)
    case address(IPAddress)
    case port(UInt16)
    /// A protocol, an ICMP type or code.
    case byte(UInt8)
    /// Two bytes in network order: an ethertype, a VLAN id.
    case number(UInt16)
    /// A mark, a class, a connection state: four bytes in the machine's order.
    case mark(UInt32)
    /// A conntrack zone: two bytes in the machine's order.
    case zone(UInt16)

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
        case .port(let number), .number(let number): withUnsafeBytes(of: number.bigEndian) { key.append($0) }
        case .byte(let byte): withUnsafeBytes(of: byte) { key.append($0) }
        case .mark(let mark): withUnsafeBytes(of: mark) { key.append($0) }
        case .zone(let zone): withUnsafeBytes(of: zone) { key.append($0) }
        }
    }
}

/// What a key of a set leads to.
public enum NFData: Hashable, Sendable {
    case member
    /// Few maps lead to values: the others' elements need not have room for one.
    indirect case value(NFKey)
    case verdict(NFVerdict)
    /// A named counter of the table.
    case counter(String)
}
