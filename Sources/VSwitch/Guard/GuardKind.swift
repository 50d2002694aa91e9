public import Netlink
public import Reconcile
public import Rules

/// The guard of all NICs: one table, changed as one transaction.
///
/// Every NIC refers to it, so that no port is made whose rules the kernel has refused.
public struct GuardKind: TableKind {
    public typealias Subject = NICKind

    public static let name = "guard"
    /// The one resource of this kind: `guard/bridge`.
    public static let resourceName = "bridge"

    public let owned: NFOwnedTable
    let links: LinkListing
    /// The namespace whose conntrack is told of flows that end; a test names one that is not there.
    let tracking: NetworkLocation

    /// The guard of the network namespace of the listing, which the kinds of links share.
    ///
    /// - Parameter ledger: of the same namespace; all kinds of tables share it.
    public init(links: LinkListing, _ ledger: NFLedger) { self.init(links: links, ledger, tracking: ledger.location) }

    init(links: LinkListing, _ ledger: NFLedger, tracking: NetworkLocation) {
        self.links = links
        self.tracking = tracking
        owned = NFOwnedTable(in: ledger, GuardTable.family, GuardTable.name, mark: GuardTable.comment)
    }

    /// With a ledger of its own, as a command has it.
    public init(links: LinkListing) { self.init(links: links, NFLedger(in: links.location, tenure: .passing)) }

    public static let sources: Set<String> = [
        NICKind.name, GroupKind.name, AddressSetKind.name, SwitchKind.name, UplinkKind.name, OverlayKind.name,
    ]

    public static func amend(_ table: NFTable, _ revision: Revision, _ amendment: Amendment) -> NFTable? {
        PolicyAmendment(revision, amendment)?.guarding(table)
    }

    public static func compile(_ subjects: [String: NICSpec], _ desired: Desired) -> NFTable {
        GuardTable.compile(subjects.values, Policy(desired))
    }

    /// A name that a foreign link has is left out. A link of ours that is to go, or to give its name to another NIC, is
    /// guarded until it has gone: as it was, or shut where the name stands for another NIC already.
    public func adjusted(
        _ wanted: NFTable?, over seen: NFTable?, _ desired: Desired, at moment: TableMoment
    ) throws(NetlinkError) -> NFTable? {
        // What the kernel has refused stays closed, but is tried again with the next change.
        let policy = Policy(desired)
        return try adjusted(
            wanted, over: seen, desired, at: moment, moment == .planning ? policy.closing(as: seen) : policy)
    }

    func adjusted(
        _ wanted: NFTable?, over seen: NFTable?, _ desired: Desired, at moment: TableMoment, _ policy: Policy
    ) throws(NetlinkError) -> NFTable? {
        let nics = desired.specs(of: NICKind.self)
        var placed = nics
        var leaving: Set<InterfaceName> = []
        var shut: Set<InterfaceName> = []
        // Links that are not the NIC of their name, with the NIC whose mark they have: few, where thousands are.
        let sorted = try links.sorted()
        var others: [InterfaceName: String?] = [:]
        for link in sorted.others { others.updateValue(nil, forKey: link.name) }
        for (owner, link) in sorted.nics {
            guard let nic = nics[owner], nic.interface == link.name else {
                others.updateValue(owner, forKey: link.name)
                continue
            }
            guard nic.refusal != nil else { continue }
            // It stays as it is, and so do its rules.
            placed[owner] = nil
            leaving.insert(link.name)
        }
        let taken = nics.lazy.filter { others[$1.interface] != nil }.map { ($1.interface, $0) }
        let names = Dictionary(taken) { first, _ in first }
        for (interface, owner) in others {
            if let name = names[interface] {
                placed[name] = nil
                if owner != nil { shut.insert(interface) }
            } else if let owner, moment == .committing || nics[owner] != nil {
                leaving.insert(interface)
            }
        }
        if placed.count == nics.count, leaving.isEmpty, policy.isWhole || wanted == nil { return wanted }
        return GuardTable.compile(placed.values, policy, keeping: leaving, of: seen, shutting: shut)
    }

    /// Nobody has plugged or taken anything since.
    public func isSettled() throws -> Bool { try links.isUnchanged() }

    public func fields(from seen: NFTable?, to wanted: NFTable?, _ change: NFTableChange) -> [FieldChange] {
        let guards = Guard.allCases.flatMap { $0.changes(from: seen, to: wanted) }
        switch change {
        case .none, .delete: return []
        case .create: return [FieldChange("ports", to: "\(wanted?.sets["ports"]?.elements.count ?? 0)")] + guards
        case .replace: return [FieldChange("rules", from: "changed", to: "as compiled")] + guards
        case .update(let update):
            let told = Set(Guard.allCases.map(\.exceptions) + GuardTable.free)
            return guards
                + update.summary.filter { !told.contains($0.subject) }
                .map { PolicyNarrowing.field($0.subject, to: $0.change) }
        }
    }
}
