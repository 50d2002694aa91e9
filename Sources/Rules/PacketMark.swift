public import Netlink

/// Bits of a packet's mark that are ours; the others are left as they are. Register 0 is theirs.
public struct PacketMark: Sendable {
    private let bits: UInt32

    /// - Parameter bits: at least one.
    public init(_ bits: UInt32) { self.bits = bits }

    /// Sets all of its bits.
    public var set: [NFExpression] { write(bits) }

    /// Sets none of them.
    public var clear: [NFExpression] { write(0) }

    /// Sets those that the other has, and no others.
    public func set(to other: PacketMark) -> [NFExpression] { write(other.bits & bits) }

    /// Goes on only where none of them is set.
    public var isAbsent: [NFExpression] { read(.equal) }

    /// Goes on only where any of them is set.
    public var isPresent: [NFExpression] { read(.notEqual) }

    /// Goes on only where those are set that the other has, and no others.
    public func equals(_ other: PacketMark) -> [NFExpression] { read(.equal, other.bits & bits) }

    private func write(_ value: UInt32) -> [NFExpression] {
        [
            .meta(.mark, into: 0), .setBits(0, Match.hostOrder(value), of: Match.hostOrder(bits)),
            .setMeta(.mark, from: 0),
        ]
    }

    private func read(_ comparison: NFComparison, _ value: UInt32 = 0) -> [NFExpression] {
        [.meta(.mark, into: 0), .mask(0, Match.hostOrder(bits)), .compare(0, comparison, Match.hostOrder(value))]
    }
}
