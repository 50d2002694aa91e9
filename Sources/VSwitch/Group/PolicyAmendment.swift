internal import Netlink
internal import Reconcile

/// What an amendment of groups, address sets, and addresses and groups of NICs makes of tables that were compiled
/// before it: the same as if they were compiled anew, at the cost of what differs.
///
/// It knows tables as `GuardTable` and `RoutedTable` make them. Where a chain or a set would come or go, it says that
/// they have to.
struct PolicyAmendment {
    private let revision: Revision
    private let groups: [SpecChange<GroupSpec>]
    private let sets: [SpecChange<AddressSetSpec>]
    private let nics: [SpecChange<NICSpec>]

    /// Nil where it takes more than these.
    init?(_ revision: Revision, _ amendment: Amendment) {
        guard amendment.concernsOnly(NICPolicy.kinds), let nics = amendment.repolicedNICs else { return nil }
        self.revision = revision
        self.nics = nics
        groups = amendment.changes(of: GroupKind.self)
        sets = amendment.changes(of: AddressSetKind.self)
    }

    /// The bridge's table.
    func guarding(_ table: NFTable) -> NFTable? {
        amended(table, Direction.allCases) { nics, table in
            for nic in nics {
                guard rebind(nic, in: &table) else { return false }
                guard nic.before.groups != nic.after.groups else { continue }
                for direction in Direction.allCases {
                    guard let chain = chain(of: nic.after.groups, direction, in: table) else { return false }
                    table.sets[PolicyTable.dispatch(direction)]?.edit(
                        removing: [], inserting: [NFKey(.interface(nic.after.interface)): .verdict(.jump(chain))])
                }
            }
            return true
        }
    }

    /// The one of what is routed.
    func routed(_ table: NFTable) -> NFTable? {
        amended(table, [.ingress]) { nics, table in
            for nic in nics where !nic.after.groups.isEmpty {
                guard let chain = chain(of: nic.after.groups, .ingress, in: table) else { return false }
                let bridge = NFValue.interface(SwitchSpec.bridge(of: nic.after.switchName))
                for (name, isIPv4) in [("routed4", true), ("routed6", false)] {
                    let old = nic.before.addresses.map(\.address).filter { $0.isIPv4 == isIPv4 }
                    let new = nic.after.addresses.map(\.address).filter { $0.isIPv4 == isIPv4 }
                    guard old != new || nic.before.groups != nic.after.groups else { continue }
                    guard table.sets[name] != nil else { return false }
                    let places = new.map { (NFKey(bridge, .address($0)), NFData.verdict(.jump(chain))) }
                    table.sets[name]?.edit(
                        removing: old.map { NFKey(bridge, .address($0)) },
                        inserting: Dictionary(places) { first, _ in first })
                }
            }
            return true
        }
    }

    /// - Parameters:
    ///   - directions: those of which the table has rules.
    ///   - place: what else NICs are in it.
    private func amended(
        _ table: NFTable, _ directions: [Direction], _ place: ([SpecChange<NICSpec>], inout NFTable) -> Bool
    ) -> NFTable? {
        var table = table
        for set in sets where !replace(set, in: &table) { return nil }
        for group in groups where !refill(group, directions, in: &table) { return nil }
        guard arePoliciesKept else { return nil }
        for change in nics where !remember(change, in: &table) { return nil }
        return place(nics, &table) ? table : nil
    }

    /// The chain of a combination of groups, if some NIC had it before.
    private func chain(of groups: [String], _ direction: Direction, in table: NFTable) -> String? {
        let name = PolicyNames.chain(of: groups, direction)
        return table.chains[name] == nil ? nil : name
    }

    /// Whether each combination of groups that a NIC no longer has is still one of another's.
    private var arePoliciesKept: Bool {
        let left = Set(nics.filter { $0.before.groups != $0.after.groups }.map(\.before.groups))
        guard !left.isEmpty else { return true }
        let all = revision.desired.specs(of: NICKind.self).values
        return left.allSatisfy { groups in all.contains { $0.groups == groups } }
    }
}

// MARK: Groups and sets

extension PolicyAmendment {
    private func replace(_ change: SpecChange<AddressSetSpec>, in table: inout NFTable) -> Bool {
        for set in PolicyTable.sets(of: change.after) where table.sets[set.name] != nil { table.sets[set.name] = set }
        return true
    }

    /// Gives a group its new rules, where any NIC has it.
    private func refill(
        _ change: SpecChange<GroupSpec>, _ directions: [Direction], in table: inout NFTable
    ) -> Bool {
        let name = change.after.name
        guard table.chains[PolicyNames.chain(of: name, directions[0])] != nil else { return true }
        let (old, new) = (peers(of: change.before, directions), peers(of: change.after, directions))
        let going = old.subtracting(new)
        // Sets that rules look into are there where any rule names them.
        guard new.subtracting(old).allSatisfy({ isThere($0, in: table) }),
            going.isEmpty || going.isSubset(of: othersPeers(than: name, directions, in: table))
        else { return false }
        let names = Set(table.sets.keys)
        for direction in directions {
            let chain = PolicyNames.chain(of: name, direction)
            table.chains[chain] = NFChain(chain, rules: PolicyRules.compile(change.after, direction, names))
        }
        return true
    }

    private func peers(of group: GroupSpec, _ directions: [Direction]) -> Set<Peer> {
        Set(directions.flatMap { group.rules($0) }.flatMap(\.peers).filter { !$0.isNetwork })
    }

    private func othersPeers(than name: String, _ directions: [Direction], in table: NFTable) -> Set<Peer> {
        let others = revision.desired.specs(of: GroupKind.self).values.filter {
            $0.name != name && table.chains[PolicyNames.chain(of: $0.name, directions[0])] != nil
        }
        return others.reduce(into: []) { $0.formUnion(peers(of: $1, directions)) }
    }

    private func isThere(_ peer: Peer, in table: NFTable) -> Bool {
        switch peer {
        case .network: true
        case .group(let name): table.sets[PolicyNames.members(of: name, isIPv4: true)] != nil
        case .set(let name): table.sets[PolicyNames.addresses(of: name, isIPv4: true)] != nil
        }
    }
}

extension Peer {
    fileprivate var isNetwork: Bool { if case .network = self { true } else { false } }
}

// MARK: NICs

extension PolicyAmendment {
    /// Holds a NIC to its new addresses.
    private func rebind(_ change: SpecChange<NICSpec>, in table: inout NFTable) -> Bool {
        guard change.before.addresses != change.after.addresses else { return true }
        let (old, new) = (GuardTable.bindings(of: change.before), GuardTable.bindings(of: change.after))
        for (was, set) in zip(old, new) where was != set {
            guard was.name == set.name, was.ranges == set.ranges, table.sets[set.name] != nil else { return false }
            // Keys begin with the name of the port, which no other NIC has.
            table.sets[set.name]?.edit(
                removing: was.elements.keys.filter { set.elements[$0] == nil },
                inserting: set.elements.filter { was.elements[$0.key] == nil })
        }
        return true
    }

    /// Makes its addresses known as those of a member of its groups.
    private func remember(_ change: SpecChange<NICSpec>, in table: inout NFTable) -> Bool {
        for group in Set(change.before.groups).union(change.after.groups) {
            for isIPv4 in [true, false] {
                let name = PolicyNames.members(of: group, isIPv4: isIPv4)
                guard table.sets[name] != nil else { continue }
                let old = Self.addresses(of: change.before, in: group, isIPv4)
                let new = Self.addresses(of: change.after, in: group, isIPv4)
                let going = old.subtracting(new)
                guard let twins = revision.noted(Twins.self) else { return false }
                let gone = going.filter { !twins.isHeld($0, in: group, besides: change.name) }
                let coming = new.subtracting(old).map { (NFKey(.address($0)), NFData.member) }
                table.sets[name]?.edit(
                    removing: gone.map { NFKey(.address($0)) },
                    inserting: Dictionary(coming) { first, _ in first })
            }
        }
        return true
    }

    private static func addresses(of nic: NICSpec, in group: String, _ isIPv4: Bool) -> Set<IPAddress> {
        nic.groups.contains(group) ? Set(nic.addresses.map(\.address).filter { $0.isIPv4 == isIPv4 }) : []
    }
}
