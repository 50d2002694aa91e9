/// An IPv6 address, without a zone.
public struct IPv6Address: Hashable, Comparable, Sendable, LosslessStringConvertible {
    /// The address as a number, first byte on the wire highest.
    public let rawValue: UInt128

    /// The address with this number.
    public init(rawValue: UInt128) { self.rawValue = rawValue }

    /// The address in exactly sixteen bytes, network order.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        rawValue = bytes.reduce(0) { $0 << 8 | UInt128($1) }
    }

    /// The text forms of RFC 4291 section 2.2: eight groups, '::' once for one or more of them, an IPv4 tail.
    public init?(_ description: String) { self.init(text: description.utf8[...]) }

    init?(text: Substring.UTF8View) {
        guard let value = IPv6Text.parse(text) else { return nil }
        rawValue = value
    }

    /// `::`.
    public static let unspecified = IPv6Address(rawValue: 0)

    /// The link-local address that a host with this MAC forms by itself (RFC 4291 appendix A, modified EUI-64).
    public static func linkLocal(of mac: MACAddress) -> IPv6Address {
        let upper = UInt128(mac.rawValue >> 24) ^ 0x02_0000
        let lower = UInt128(mac.rawValue & 0xff_ffff)
        return IPv6Address(rawValue: 0xfe80 << 112 | upper << 40 | 0xfffe << 24 | lower)
    }

    /// The sixteen bytes in network order.
    public var bytes: [UInt8] { (0..<16).map { UInt8(truncatingIfNeeded: rawValue >> (120 - 8 * $0)) } }

    /// `::`.
    public var isUnspecified: Bool { rawValue == 0 }

    /// `::1`.
    public var isLoopback: Bool { rawValue == 1 }

    /// In ff00::/8.
    public var isMulticast: Bool { rawValue >> 120 == 0xff }

    /// In fe80::/10.
    public var isLinkLocal: Bool { rawValue >> 118 == 0xfe80 >> 6 }

    /// In ::ffff:0:0/96: an IPv4 address in disguise, which no interface may have.
    public var isIPv4Mapped: Bool { rawValue >> 32 == 0xffff }

    /// The canonical text of RFC 5952: lower case, the longest run of zero groups shortened, IPv4-mapped in mixed form.
    public var description: String { IPv6Text.canonical(rawValue) }

    public static func < (left: IPv6Address, right: IPv6Address) -> Bool { left.rawValue < right.rawValue }
}

/// The text of IPv6 addresses, read and written.
private enum IPv6Text {
    static func parse(_ text: Substring.UTF8View) -> UInt128? {
        // The longest text is six full groups and an IPv4 tail.
        guard (2...45).contains(text.count) else { return nil }
        let fields = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard fields.count >= 3, fields.count <= 9 else { return nil }
        var head: [UInt16] = []
        var tail: [UInt16]?
        for (index, field) in fields.enumerated() {
            if field.isEmpty {
                // An empty field is the gap '::', or its partner at the very start or end.
                if index == 0 || index == fields.count - 1 {
                    let partner = index == 0 ? fields[1] : fields[fields.count - 2]
                    guard partner.isEmpty else { return nil }
                    continue
                }
                guard tail == nil else { return nil }
                tail = []
                continue
            }
            guard let groups = groups(field, isLast: index == fields.count - 1) else { return nil }
            if tail == nil { head += groups } else { tail? += groups }
        }
        return assemble(head, tail)
    }

    private static func groups(_ field: Substring.UTF8View, isLast: Bool) -> [UInt16]? {
        if isLast, field.contains(UInt8(ascii: ".")) {
            guard let v4 = IPv4Address(text: field) else { return nil }
            return [UInt16(v4.rawValue >> 16), UInt16(v4.rawValue & 0xffff)]
        }
        guard field.count <= 4 else { return nil }
        var value: UInt16 = 0
        for byte in field {
            guard let digit = hexadecimalDigit(byte) else { return nil }
            value = value << 4 | UInt16(digit)
        }
        return [value]
    }

    private static func assemble(_ head: [UInt16], _ tail: [UInt16]?) -> UInt128? {
        let count = head.count + (tail?.count ?? 0)
        // '::' stands for at least one group.
        guard tail == nil ? count == 8 : count <= 7 else { return nil }
        let all = head + Array(repeating: 0, count: 8 - count) + (tail ?? [])
        return all.reduce(0) { $0 << 16 | UInt128($1) }
    }

    static func canonical(_ value: UInt128) -> String {
        if value >> 32 == 0xffff {
            return "::ffff:\(IPv4Address(rawValue: UInt32(truncatingIfNeeded: value)))"
        }
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: value >> (112 - 16 * $0)) }
        guard let gap = longestZeroRun(groups) else { return join(groups[...]) }
        return join(groups[..<gap.lowerBound]) + "::" + join(groups[gap.upperBound...])
    }

    /// The first longest run of two or more zero groups (RFC 5952 section 4.2).
    private static func longestZeroRun(_ groups: [UInt16]) -> Range<Int>? {
        var best: Range<Int>?
        var start: Int?
        for index in 0...groups.count {
            if index < groups.count, groups[index] == 0 {
                start = start ?? index
            } else if let first = start {
                if index - first >= 2, index - first > best?.count ?? 0 { best = first..<index }
                start = nil
            }
        }
        return best
    }

    private static func join(_ groups: ArraySlice<UInt16>) -> String {
        groups.map { String($0, radix: 16) }.joined(separator: ":")
    }
}
