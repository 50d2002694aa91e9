/// The name of one resource on the node: `kind/name`, e.g. `switch/blue` or `nic/vm1/net0`.
public struct ResourceID: Hashable, Sendable, Comparable, CustomStringConvertible, Codable {
    /// The kind's name: one word, singular, as in plan and status.
    public let kind: String
    /// Unique within the kind. It may hold a `/` itself: a NIC is `VM/NIC`.
    public let name: String

    public init(_ kind: String, _ name: String) {
        self.kind = kind
        self.name = name
    }

    public var description: String { "\(kind)/\(name)" }

    /// By the name: kinds are few, and hardly two have resources of one name.
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }

    public static func < (left: ResourceID, right: ResourceID) -> Bool {
        (left.kind, left.name) < (right.kind, right.name)
    }
}
