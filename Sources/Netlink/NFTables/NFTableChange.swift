/// What lies between a table as it should be and as the kernel has it.
public enum NFTableChange: Hashable, Sendable {
    case none
    case create
    case delete
    /// The same chains, rules and sets: only elements come and go, and packets in between see the rest unchanged.
    case elements([NFSetChange])
    /// Anything else: deleted and made again in the same transaction.
    case replace

    public init(from seen: NFTable?, to wanted: NFTable?) {
        switch (seen, wanted) {
        case (nil, nil): self = .none
        case (nil, _?): self = .create
        case (_?, nil): self = .delete
        case (let seen?, let wanted?): self = Self.compare(seen, wanted)
        }
    }

    private static func compare(_ seen: NFTable, _ wanted: NFTable) -> NFTableChange {
        guard seen.comment == wanted.comment, seen.chains == wanted.chains,
            seen.sets.mapValues(\.frame) == wanted.sets.mapValues(\.frame)
        else { return .replace }
        var changes: [NFSetChange] = []
        for set in wanted.sets.values.sorted(by: { $0.name < $1.name }) {
            guard let old = seen.sets[set.name], old.elements != set.elements else { continue }
            // An element that leads elsewhere is taken out and put in again, in one transaction.
            let added = set.elements.filter { old.elements[$0.key] != $0.value }
            let removed = old.elements.filter { set.elements[$0.key] != $0.value }
            changes.append(NFSetChange(set: set.name, added: added, removed: removed))
        }
        return changes.isEmpty ? .none : .elements(changes)
    }

    /// Commits the change in one transaction of the given generation.
    public func commit(
        from seen: NFTable?, to wanted: NFTable?, generation: UInt32, on socket: inout NetlinkSocket
    ) throws(NFError) {
        var transaction = NFTransaction(generation: generation)
        switch self {
        case .none: return
        case .create: if let wanted { transaction.create(wanted) }
        case .delete: if let seen { transaction.delete(seen) }
        case .replace:
            if let seen { transaction.delete(seen) }
            if let wanted { transaction.create(wanted) }
        case .elements(let changes):
            guard let wanted else { return }
            for change in changes {
                guard let set = wanted.sets[change.set] else { continue }
                transaction.remove(change.removed, from: set, of: wanted)
                transaction.insert(change.added, into: set, of: wanted)
            }
        }
        try transaction.commit(on: &socket)
    }
}

/// The elements that come into one set and go out of it.
public struct NFSetChange: Hashable, Sendable {
    public let set: String
    public let added: [NFKey: NFData]
    public let removed: [NFKey: NFData]
}
