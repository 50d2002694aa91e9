public import Netlink
public import Reconcile
public import Rules

/// Code points and classes of NICs: one table, there where any NIC has either.
public struct MarkingKind: TableKind {
    public typealias Subject = NICKind

    public static let name = "marking"
    /// The one resource of this kind: `marking/bridge`.
    public static let resourceName = "bridge"

    public let owned: NFOwnedTable
    private let links: LinkListing

    /// The table of the network namespace of the listing, which the kinds of links share.
    ///
    /// - Parameter ledger: of the same namespace; all kinds of tables share it.
    public init(links: LinkListing, _ ledger: NFLedger) {
        self.links = links
        owned = NFOwnedTable(in: ledger, MarkingTable.family, MarkingTable.name, mark: MarkingTable.comment)
    }

    public static func compile(_ subjects: [String: NICSpec], _ desired: Desired) -> NFTable {
        MarkingTable.compile(subjects.values, desired.specs(of: ShareKind.self).values)
    }

    /// Adds the table where any NIC has a code point or a guarantee; those that have stand on it.
    public static let derivation = Derivation(
        of: [NICKind.name, UplinkKind.name], amend: NICKind.indifference
    ) { desired, _ in
        let marked = desired.specs(of: NICKind.self).filter { $0.value.codePoint != nil || $0.value.guarantee != nil }
        guard !marked.isEmpty else { return }
        desired.add(MarkingKind.self, resourceName, compile(marked, desired))
        for name in marked.keys { desired.addReference(from: NICKind.id(name), to: id(resourceName)) }
    }

    /// Without ports that have the name of a NIC's and are somebody else's.
    public func adjusted(
        _ wanted: NFTable?, over seen: NFTable?, _ desired: Desired, at moment: TableMoment
    ) throws(NetlinkError) -> NFTable? {
        guard wanted != nil else { return nil }
        let nics = desired.specs(of: NICKind.self).values
        let foreign = try links.sorted().foreign.strangers(under: Set(nics.map(\.interface)))
        guard !foreign.isEmpty else { return wanted }
        return MarkingTable.compile(nics, desired.specs(of: ShareKind.self).values, except: foreign)
    }

    public func summary(of wanted: NFTable?) -> [FieldChange] {
        ["marks", "classes"].compactMap { name in
            guard let count = wanted?.sets[name]?.elements.count, count > 0 else { return nil }
            return FieldChange(name, to: "\(count)")
        }
    }
}
