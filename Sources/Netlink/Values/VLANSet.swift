/// One VLAN id, `20`, or several in a row, `30-40`: 1 to 4094 (IEEE 802.1Q-2018, table 9-2).
public struct VLANRange: Hashable, Sendable, LosslessStringConvertible {
    public let first: UInt16
    /// Not below the first.
    public let last: UInt16

    /// All ids there are.
    public static let all = VLANRange(1, 4094)

    /// From the first to the last.
    public init(_ first: UInt16, _ last: UInt16) {
        precondition(1 <= first && first <= last && last <= 4094, "a range of VLANs is one of ids, and not empty")
        self.first = first
        self.last = last
    }

    public init?(_ description: String) {
        // Ids are written as ports are; there are fewer of them.
        guard let ports = PortRange(description), ports.last <= VLANRange.all.last else { return nil }
        self.init(ports.first, ports.last)
    }

    public var description: String { first == last ? "\(first)" : "\(first)-\(last)" }
}

/// Some VLAN ids, as few ranges as there can be.
public struct VLANSet: Hashable, Sendable, CustomStringConvertible {
    /// In order, with an id between any two that is in neither.
    public private(set) var ranges: [VLANRange] = []

    /// No VLAN.
    public init() {}

    /// The VLANs of these ranges, which may overlap.
    public init(_ ranges: some Sequence<VLANRange>) {
        for range in ranges.sorted(by: { $0.first < $1.first }) {
            guard let before = self.ranges.last, range.first <= before.last + 1 else {
                self.ranges.append(range)
                continue
            }
            self.ranges[self.ranges.count - 1] = VLANRange(before.first, max(before.last, range.last))
        }
    }

    /// One VLAN.
    public init(_ id: UInt16) { ranges = [VLANRange(id, id)] }

    public var isEmpty: Bool { ranges.isEmpty }

    public func contains(_ id: UInt16) -> Bool { ranges.contains { $0.first <= id && id <= $0.last } }

    public func union(_ other: VLANSet) -> VLANSet { VLANSet(ranges + other.ranges) }

    public func subtracting(_ other: VLANSet) -> VLANSet {
        var left = self
        for taken in other.ranges {
            left.ranges = left.ranges.flatMap { range -> [VLANRange] in
                guard taken.first <= range.last, range.first <= taken.last else { return [range] }
                var rest: [VLANRange] = []
                if range.first < taken.first { rest.append(VLANRange(range.first, taken.first - 1)) }
                if taken.last < range.last { rest.append(VLANRange(taken.last + 1, range.last)) }
                return rest
            }
        }
        return left
    }

    public func intersection(_ other: VLANSet) -> VLANSet { subtracting(subtracting(other)) }

    /// All ids, in order.
    public var ids: [UInt16] { ranges.flatMap { Array($0.first...$0.last) } }

    public var description: String { ranges.map(\.description).joined(separator: ", ") }
}
