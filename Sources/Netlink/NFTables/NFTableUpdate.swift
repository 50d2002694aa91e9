/// The parts of a table that come, go and change.
///
/// They are committed in one transaction, in an order in which nothing ever refers to what is not there: counters,
/// sets and chains that come, elements, rules of the chains that changed, then all that goes. The kernel shows packets
/// all of it or nothing; a chain that is refilled is never seen empty.
public struct NFTableUpdate: Hashable, Sendable {
    public private(set) var countersAdded: [String] = []
    public private(set) var countersRemoved: [String] = []
    public private(set) var setsAdded: [String] = []
    public private(set) var setsRemoved: [String] = []
    public private(set) var chainsAdded: [String] = []
    public private(set) var chainsRemoved: [String] = []
    /// Base chains whose hook changed: taken away and made anew.
    public private(set) var chainsMoved: [String] = []
    /// Base chains of which only the policy changed.
    public private(set) var policies: [String] = []
    /// Chains whose rules changed: emptied and filled again.
    public private(set) var chainsRefilled: [String] = []
    /// Elements of sets that were there before and stay.
    public private(set) var elements: [NFSetChange] = []

    /// Nil where the frame differs, so that the whole table has to be made again: its comment, the form of a set, or a
    /// chain that is a base chain on one side only.
    init?(from seen: NFTable, to wanted: NFTable) {
        guard seen.family == wanted.family, seen.name == wanted.name, seen.comment == wanted.comment else { return nil }
        if seen.counters != wanted.counters {
            countersAdded = wanted.counters.subtracting(seen.counters).sorted()
            countersRemoved = seen.counters.subtracting(wanted.counters).sorted()
        }
        guard compareSets(seen, wanted), compareChains(seen, wanted) else { return nil }
    }

    private mutating func compareSets(_ seen: NFTable, _ wanted: NFTable) -> Bool {
        for (name, set) in wanted.sets {
            guard let old = seen.sets[name] else {
                setsAdded.append(name)
                continue
            }
            guard old.hasFrame(of: set) else { return false }
            if let change = NFSetChange(from: old, to: set) { elements.append(change) }
        }
        setsRemoved = seen.sets.keys.filter { wanted.sets[$0] == nil }.sorted()
        setsAdded.sort()
        elements.sort { $0.set < $1.set }
        return true
    }

    private mutating func compareChains(_ seen: NFTable, _ wanted: NFTable) -> Bool {
        for (name, chain) in wanted.chains {
            guard let old = seen.chains[name] else {
                chainsAdded.append(name)
                continue
            }
            switch (old.hook, chain.hook) {
            case (nil, nil): break
            case (let was?, let hook?) where was == hook: break
            case (let was?, let hook?) where was.isAt(hook): policies.append(name)
            case (_?, _?):
                chainsMoved.append(name)
                continue
            default: return false
            }
            if old.rules != chain.rules { chainsRefilled.append(name) }
        }
        chainsRemoved = seen.chains.keys.filter { wanted.chains[$0] == nil }.sorted()
        chainsAdded.sort()
        chainsMoved.sort()
        policies.sort()
        chainsRefilled.sort()
        return true
    }

    /// Whether there is nothing to do.
    public var isEmpty: Bool {
        countersAdded.isEmpty && countersRemoved.isEmpty && setsAdded.isEmpty && setsRemoved.isEmpty
            && chainsAdded.isEmpty && chainsRemoved.isEmpty && chainsMoved.isEmpty && policies.isEmpty
            && chainsRefilled.isEmpty && elements.isEmpty
    }

    /// What changes, in words for a plan: "bind4", "+2 -1" · "chain web-in", "new".
    public var summary: [(subject: String, change: String)] {
        elements.map { ($0.set, "+\($0.added.count) -\($0.removed.count)") }
            + setsAdded.map { ("set \($0)", "new") } + setsRemoved.map { ("set \($0)", "gone") }
            + chainsAdded.map { ("chain \($0)", "new") } + chainsRemoved.map { ("chain \($0)", "gone") }
            + chainsMoved.map { ("chain \($0)", "hook") } + policies.map { ("chain \($0)", "policy") }
            + chainsRefilled.map { ("chain \($0)", "rules") }
            + (countersAdded.isEmpty && countersRemoved.isEmpty
                ? [] : [("counters", "+\(countersAdded.count) -\(countersRemoved.count)")])
    }
}

// MARK: The transaction

extension NFTableUpdate {
    func write(from seen: NFTable, to wanted: NFTable, to transaction: inout NFTransaction) {
        let gone = chainsRemoved.compactMap { seen.chains[$0] }
        let moved = chainsMoved.compactMap { wanted.chains[$0] }
        let added = chainsAdded.compactMap { wanted.chains[$0] } + moved
        let refilled = chainsRefilled.compactMap { wanted.chains[$0] }
        let newSets = setsAdded.compactMap { wanted.sets[$0] }

        // Nothing leads to a base chain: the old one can go first, as it must where the name stays.
        for chain in chainsMoved.compactMap({ seen.chains[$0] }) { transaction.delete(chain, of: wanted) }
        for counter in countersAdded { transaction.create(counter: counter, in: wanted) }
        for set in newSets { transaction.create(set, in: wanted) }
        for chain in added { transaction.create(chain, in: wanted) }
        for chain in policies.compactMap({ wanted.chains[$0] }) { transaction.setPolicy(of: chain, in: wanted) }
        for set in newSets { transaction.insert(NFElements(of: set), into: set, of: wanted) }
        for change in elements {
            guard let set = wanted.sets[change.set] else { continue }
            transaction.remove(change.removed, from: set, of: wanted)
            transaction.insert(change.added, into: set, of: wanted)
        }
        for chain in added { transaction.append(chain.rules, to: chain, of: wanted) }
        for chain in refilled {
            if seen.chains[chain.name]?.rules.isEmpty == false { transaction.flush(chain, of: wanted) }
            transaction.append(chain.rules, to: chain, of: wanted)
        }
        // Chains that go may lead to each other, and elements of sets that go to them.
        for chain in gone where !chain.rules.isEmpty { transaction.flush(chain, of: wanted) }
        for set in setsRemoved.compactMap({ seen.sets[$0] }) { transaction.delete(set, of: wanted) }
        for chain in gone { transaction.delete(chain, of: wanted) }
        for counter in countersRemoved { transaction.delete(counter: counter, of: wanted) }
    }
}
