internal import Netlink

/// Copies of what a NIC sends or receives, for another NIC.
public struct MirrorSpec: Hashable, Sendable {
    /// Which way the packets go that are copied, seen from the NIC.
    public enum Direction: String, CaseIterable, Sendable {
        case ingress, egress, both
    }

    /// The NIC whose packets are copied, by its resource's name.
    public let source: String
    /// The NIC that receives the copies.
    public let target: String
    public let direction: Direction

    public init(from source: String, to target: String, direction: Direction = .both) {
        self.source = source
        self.target = target
        self.direction = direction
    }

    /// The filters at the source's port that make copies at the target's. What a NIC sends is what its port receives.
    func filters(at port: Int32, to target: Int32) -> [TrafficFilter] {
        Self.places(of: direction).map {
            TrafficFilter(on: port, $0, priority: MirrorMark.priority, .mirror(to: target))
        }
    }

    private static func places(of direction: Direction) -> [TrafficFilter.Direction] {
        switch direction {
        case .ingress: [.egress]
        case .egress: [.ingress]
        case .both: [.ingress, .egress]
        }
    }
}

/// The mark of a mirror on the port whose packets it copies: an alternative name such as `sdagent.mirror.7.tap`, with
/// the port's index, since no two links have one alternative name. It comes before the filters, and goes after them.
struct MirrorMark: Hashable {
    /// Of our filters: before those of a rate, which send packets elsewhere.
    static let priority: UInt16 = 0x5da1

    private static let prefix = "sdagent.mirror."

    let name: String
    let text: String

    init(_ name: String, on port: Int32) {
        self.name = name
        text = "\(Self.prefix)\(port).\(name)"
    }

    /// The mark in an alternative name, if it is one.
    init?(_ text: String) {
        guard text.hasPrefix(Self.prefix) else { return nil }
        let parts = text.dropFirst(Self.prefix.count).split(
            separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, Int32(parts[0]) != nil, !parts[1].isEmpty else { return nil }
        name = String(parts[1])
        self.text = text
    }
}
