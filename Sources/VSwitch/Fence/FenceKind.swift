public import Netlink
public import Reconcile
public import Rules

/// The fence around our switches: a link that somebody else plugs into one of our bridges carries nothing, neither to a
/// neighbour nor to the node.
///
/// It is there for switches without NICs, too: they have uplinks and routers.
public struct FenceKind<Side: FenceSide>: TableKind {
    public typealias Subject = SwitchKind

    public static var name: String { Side.position.kind }
    public static var resourceName: String { Side.position.resource }

    public let owned: NFOwnedTable
    private let links: LinkListing

    /// The fence of the network namespace of the listing, which the kinds of links share.
    ///
    /// - Parameter ledger: of the same namespace; all kinds of tables share it.
    public init(links: LinkListing, _ ledger: NFLedger) {
        self.links = links
        owned = NFOwnedTable(in: ledger, Side.position.family, FenceTable.name, mark: FenceTable.comment)
    }

    public static func compile(_ subjects: [String: SwitchSpec], _ desired: Desired) -> NFTable {
        FenceTable.compile(Side.position, Fenced(desired))
    }

    /// Adds the table where there is any switch and the kernel needs this side of it. NICs stand on it. An uplink
    /// does not: the node may be reached by it.
    public static var derivation: Derivation {
        Derivation(of: GuardKind.sources, amend: NICKind.indifference) { desired, _ in
            guard FenceTable.isNeeded(Side.position), !desired.specs(of: SwitchKind.self).isEmpty else { return }
            desired.add(Self.self, resourceName, compile(desired.specs(of: SwitchKind.self), desired))
            let fence = id(resourceName)
            for name in desired.specs(of: NICKind.self).keys { desired.addReference(from: NICKind.id(name), to: fence) }
        }
    }

    /// A link that has the name of a port of ours and is somebody else's is a stranger like any other.
    public func adjusted(
        _ wanted: NFTable?, over seen: NFTable?, _ desired: Desired, at moment: TableMoment
    ) throws(NetlinkError) -> NFTable? {
        guard let wanted else { return nil }
        let foreign = try links.sorted().foreign
        guard Fenced.isAny(of: foreign, in: wanted, desired) else { return wanted }
        var fenced = Fenced(desired)
        return fenced.exclude(foreign, desired) ? FenceTable.compile(Side.position, fenced) : wanted
    }

    public func summary(of wanted: NFTable?) -> [FieldChange] {
        [FieldChange("rules", to: "what others plug into our bridges carries nothing")]
    }
}
