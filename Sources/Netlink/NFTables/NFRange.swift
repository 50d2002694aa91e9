/// The keys between two, both included; in a concatenation, between the two in each field.
public struct NFRange: Hashable, Sendable {
    public let first: NFKey
    public let last: NFKey

    public init(from first: NFKey, through last: NFKey) {
        precondition(first.count == last.count, "the ends of a range are equally wide")
        self.first = first
        self.last = last
    }

    /// One span, or several concatenated.
    public init(_ spans: NFSpan...) {
        self.init(from: NFKey(spans.map(\.first)), through: NFKey(spans.map(\.last)))
    }
}

/// The values between two, on their way into a range.
public enum NFSpan: Hashable, Sendable {
    case one(NFValue)
    case network(IPPrefix)
    case ports(ClosedRange<UInt16>)
    /// Protocols, ICMP types or codes.
    case bytes(ClosedRange<UInt8>)

    fileprivate var first: NFValue {
        switch self {
        case .one(let value): value
        case .network(let prefix): .address(prefix.network.address)
        case .ports(let ports): .port(ports.lowerBound)
        case .bytes(let bytes): .byte(bytes.lowerBound)
        }
    }

    fileprivate var last: NFValue {
        switch self {
        case .one(let value): value
        case .network(.v4(let prefix)): .address(.v4(prefix.last))
        case .network(.v6(let prefix)):
            .address(.v6(IPv6Address(rawValue: prefix.address.rawValue | ~prefix.mask.rawValue)))
        case .ports(let ports): .port(ports.upperBound)
        case .bytes(let bytes): .byte(bytes.upperBound)
        }
    }
}

/// A set of ranges as few as can be: the kernel refuses ranges that overlap.
///
/// The result depends on nothing but the keys that are covered: overlapping and adjacent ranges are one, and
/// concatenations that overlap are cut along their first fields. Two manifests that mean the same give the same set.
struct RangeUnion {
    private struct Span: Hashable {
        let low: UInt128
        let high: UInt128
    }

    private let fields: [NFSet.Field]

    init(_ fields: [NFSet.Field]) { self.fields = fields }

    func merge(_ ranges: some Sequence<NFRange>) -> [NFRange] {
        cut(ranges.map { spans(of: $0) }, field: 0).map { range(of: $0) }
    }

    /// The areas covered in this field and those after it, in order and disjoint.
    private func cut(_ boxes: [[Span]], field: Int) -> [[Span]] {
        let isLast = field == fields.count - 1
        let sorted = boxes.sorted { $0[field].low < $1[field].low }
        var areas: [(span: Span, rest: [[Span]])] = []
        var active: [[Span]] = []
        var next = 0
        var low: UInt128 = 0
        while next < sorted.count || !active.isEmpty {
            if active.isEmpty { low = sorted[next][field].low }
            while next < sorted.count, sorted[next][field].low <= low {
                active.append(sorted[next])
                next += 1
            }
            // Up to where the first of them ends, or before the next one begins.
            var high = active.reduce(UInt128.max) { min($0, $1[field].high) }
            if next < sorted.count { high = min(high, sorted[next][field].low - 1) }
            let rest = isLast ? [[]] : cut(active, field: field + 1)
            if let last = areas.last, last.span.high < low, last.span.high + 1 == low, last.rest == rest {
                areas[areas.count - 1].span = Span(low: last.span.low, high: high)
            } else {
                areas.append((Span(low: low, high: high), rest))
            }
            active.removeAll { $0[field].high == high }
            guard high < UInt128.max else { break }
            low = high + 1
        }
        return areas.flatMap { area in area.rest.map { [area.span] + $0 } }
    }

    private func spans(of range: NFRange) -> [Span] {
        zip(numbers(of: range.first), numbers(of: range.last)).map { Span(low: min($0, $1), high: max($0, $1)) }
    }

    /// The fields of a key as numbers.
    private func numbers(of key: NFKey) -> [UInt128] {
        key.withBytes { bytes in
            var offset = 0
            return fields.map { field in
                let end = min(offset + field.count, bytes.count)
                let number = bytes[min(offset, end)..<end].reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
                offset += (field.count + 3) & ~3
                return number
            }
        }
    }

    private func range(of spans: [Span]) -> NFRange {
        NFRange(from: key(spans.map(\.low)), through: key(spans.map(\.high)))
    }

    private func key(_ numbers: [UInt128]) -> NFKey {
        var key = NFKey()
        for (field, number) in zip(fields, numbers) {
            withUnsafeBytes(of: number.bigEndian) {
                key.append(UnsafeRawBufferPointer(rebasing: $0.suffix(field.count)))
            }
            if fields.count > 1 { key.pad() }
        }
        return key
    }
}
