/// Who refused a packet of a NIC.
public enum DenialReason: Hashable, Sendable, CaseIterable {
    /// A guard: the NIC sent it in another's name, or acted as a router or a DHCP server.
    case guarded(Guard)
    /// The guard as a whole: it sent neither ARP nor IPv4 nor IPv6, or with the tag of a VLAN that is none of its own.
    case ethertype
    /// No group lets the NIC send it.
    case egress
    /// No group lets it in.
    case ingress
    /// It is part of a connection that nobody knows, or that has ended.
    case invalid

    public static let allCases = Guard.allCases.map { .guarded($0) } + [ethertype, egress, ingress, invalid]

    /// The word for it in what is shown, and in the names of sets and chains.
    public var word: String {
        switch self {
        case .guarded(let guardian): guardian.rawValue
        case .ethertype: "ethertype"
        case .egress: "egress"
        case .ingress: "ingress"
        case .invalid: "invalid"
        }
    }

    /// Whether the guard refuses for it; else groups do, which takes a NIC that has any.
    public var isOfGuard: Bool {
        switch self {
        case .guarded, .ethertype: true
        case .egress, .ingress, .invalid: false
        }
    }

    /// Whether it is that no group allows a packet.
    var isOfGroups: Bool { self == .egress || self == .ingress }

    /// The ways of the packets that are refused for it.
    var directions: [Direction] {
        switch self {
        case .guarded, .ethertype, .egress: [.egress]
        case .ingress: [.ingress]
        case .invalid: Direction.allCases
        }
    }
}
