public import Netlink

/// One family's part of the fence: where strangers on our bridges are kept from sending and receiving.
///
/// With names of bridges in rules (NFT_BRIDGE_META) the family bridge does it all. Without, its chains see ports only:
/// it keeps strangers from our ports, and from what the node sends; and it marks what comes from our ports, so that the
/// families behind the bridge can drop what comes to the node by a bridge of ours without the mark.
public protocol FenceSide: Sendable {
    /// The name of the kind, and of its one resource.
    static var kind: String { get }
    static var resource: String { get }
    static var family: NFTable.Family { get }
}

/// In the family bridge.
public enum BridgeFence: FenceSide {
    public static let kind = "fence"
    public static let resource = "bridge"
    public static let family = NFTable.Family.bridge
}

/// What comes to the node as IPv4 or IPv6.
public enum HostFence: FenceSide {
    public static let kind = "host-fence"
    public static let resource = "inet"
    public static let family = NFTable.Family.inet
}

/// What comes to the node as ARP.
public enum ARPFence: FenceSide {
    public static let kind = "arp-fence"
    public static let resource = "arp"
    public static let family = NFTable.Family.arp
}

/// The table of one side.
enum FenceTable {
    static let name = "sdagent-fence"
    /// The ownership mark.
    static let comment = "sdagent fence"

    /// Whether this kernel needs the side of a family.
    static func isNeeded(_ family: NFTable.Family) -> Bool { family == .bridge || !FenceRules.seesBridges }

    static func compile(_ family: NFTable.Family, _ fenced: Fenced) -> NFTable {
        let (sets, chains) = FenceRules.compile(family, fenced, seesBridges: FenceRules.seesBridges) ?? ([], [])
        return NFTable(family: family, name: name, comment: comment, sets: sets, chains: chains)
    }
}
