internal import Netlink

/// One family's part of the fence: where strangers on our bridges are kept from sending and receiving.
///
/// With names of bridges in rules (NFT_BRIDGE_META) the family bridge does it all. Without, its chains see ports only:
/// it keeps strangers from our ports, and from what the node sends; and it marks what comes from our ports, so that the
/// families behind the bridge can drop what comes to the node by a bridge of ours without the mark.
public enum FencePosition: Sendable {
    /// In the family bridge.
    case bridge
    /// What comes to the node as IPv4 or IPv6.
    case host
    /// What comes to the node as ARP.
    case arp

    /// The name of the kind.
    var kind: String {
        switch self {
        case .bridge: "fence"
        case .host: "host-fence"
        case .arp: "arp-fence"
        }
    }

    /// The name of its one resource.
    var resource: String {
        switch self {
        case .bridge: "bridge"
        case .host: "inet"
        case .arp: "arp"
        }
    }

    var family: NFTable.Family {
        switch self {
        case .bridge: .bridge
        case .host: .inet
        case .arp: .arp
        }
    }

    /// Whether a kernel needs it whose rules can, or cannot, name bridges.
    func isNeeded(seesBridges: Bool) -> Bool { self == .bridge || !seesBridges }
}

/// A position as a type, since each is a kind of its own.
public protocol FenceSide: Sendable {
    static var position: FencePosition { get }
}

/// The fence in the family bridge.
public enum BridgeFence: FenceSide {
    public static let position = FencePosition.bridge
}

/// The fence before IPv4 and IPv6 of the node.
public enum HostFence: FenceSide {
    public static let position = FencePosition.host
}

/// The fence before ARP of the node.
public enum ARPFence: FenceSide {
    public static let position = FencePosition.arp
}

/// The table of one side.
enum FenceTable {
    static let name = "sdagent-fence"
    /// The ownership mark.
    static let comment = "sdagent fence"

    static func isNeeded(_ position: FencePosition) -> Bool {
        position.isNeeded(seesBridges: FenceRules.seesBridges)
    }

    static func compile(_ position: FencePosition, _ fenced: Fenced) -> NFTable {
        let (sets, chains) = FenceRules.compile(position, fenced, seesBridges: FenceRules.seesBridges)
        return NFTable(family: position.family, name: name, comment: comment, sets: sets, chains: chains)
    }
}
