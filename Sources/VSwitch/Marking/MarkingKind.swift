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

    /// The table of the network namespace of the NICs.
    ///
    /// - Parameter ledger: of the same namespace; all kinds of tables share it.
    public init(_ ledger: NFLedger) {
        owned = NFOwnedTable(in: ledger, MarkingTable.family, MarkingTable.name, mark: MarkingTable.comment)
    }

    public static func compile(_ subjects: [String: NICSpec], _ desired: Desired) -> NFTable {
        MarkingTable.compile(subjects.values, desired.specs(of: ShareKind.self).values)
            ?? NFTable(family: MarkingTable.family, name: MarkingTable.name, comment: MarkingTable.comment)
    }

    /// Adds the table where any NIC has a code point or a guarantee; those that have stand on it.
    public static let derivation = Derivation { desired, _ in
        let marked = desired.specs(of: NICKind.self).filter { $0.value.codePoint != nil || $0.value.guarantee != nil }
        guard !marked.isEmpty else { return }
        desired.add(MarkingKind.self, resourceName, compile(marked, desired))
        for name in marked.keys { desired.addReference(from: NICKind.id(name), to: id(resourceName)) }
    }

    public func adjusted(
        _ wanted: NFTable?, over seen: NFTable?, _ desired: Desired, at moment: TableMoment
    ) throws(NetlinkError) -> NFTable? { wanted }

    public func fields(from seen: NFTable?, to wanted: NFTable?, _ change: NFTableChange) -> [FieldChange] {
        switch change {
        case .none, .delete: []
        case .create:
            ["marks", "classes"].compactMap { name in
                wanted?.sets[name].map { FieldChange(name, to: "\($0.elements.count)") }
            }
        case .replace: [FieldChange("rules", from: "changed", to: "as compiled")]
        case .update(let update): update.summary.map { FieldChange($0.subject, to: $0.change) }
        }
    }
}
