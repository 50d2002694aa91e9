public import Netlink
public import Reconcile
public import Rules

/// What may be routed to NICs with groups: one table, changed as one transaction. It comes before the guard's, which
/// stands on it.
public struct RoutedKind: TableKind {
    public typealias Subject = NICKind

    public static let name = "routed"
    /// The one resource of this kind: `routed/inet`.
    public static let resourceName = "inet"

    public let owned: NFOwnedTable

    /// The table of the network namespace of the NICs.
    ///
    /// - Parameter ledger: of the same namespace; all kinds of tables share it.
    public init(_ ledger: NFLedger) {
        owned = NFOwnedTable(in: ledger, RoutedTable.family, RoutedTable.name, mark: RoutedTable.comment)
    }

    public static func compile(_ subjects: [String: NICSpec], _ desired: Desired) -> NFTable {
        RoutedTable.compile(subjects.values, Policy(desired))
    }

    public static let sources = GuardKind.sources

    public static func amend(_ table: NFTable, _ revision: Revision, _ amendment: Amendment) -> NFTable? {
        PolicyAmendment(revision, amendment)?.routed(table)
    }

    public static let derivation = Derivation(of: sources, amend: amend) { desired, _ in
        let nics = desired.specs(of: NICKind.self)
        guard nics.values.contains(where: { !$0.groups.isEmpty }) else { return }
        desired.add(RoutedKind.self, resourceName, compile(nics, desired))
        desired.addReference(from: GuardKind.id(GuardKind.resourceName), to: id(resourceName))
    }

    /// It follows the manifest alone.
    public func isSettled() -> Bool { true }

    public func adjusted(
        _ wanted: NFTable?, over seen: NFTable?, _ desired: Desired, at moment: TableMoment
    ) throws(NetlinkError) -> NFTable? {
        let policy = Policy(desired).closing(as: seen)
        if wanted == nil || policy.isWhole || moment == .committing { return wanted }
        return RoutedTable.compile(desired.specs(of: NICKind.self).values, policy)
    }

    public func perform(_ steps: [Step<NFTable, TableObservation>], desired: Desired) async -> [StepOutcome] {
        steps.map { step in
            let sight = step.observation?.sight
            let draft = Draft(owned: owned, sight: sight, desired: desired) { (policy) throws(NFError) in
                guard step.spec != nil, !policy.isWhole else { return step.spec }
                return RoutedTable.compile(desired.specs(of: NICKind.self).values, policy)
            }
            do throws(NFError) {
                try draft.contained { (policy) throws(NFError) in
                    try owned.change(from: sight, to: draft.table(policy))
                }
                return .done
            } catch {
                return StepOutcome(error)
            }
        }
    }
}
