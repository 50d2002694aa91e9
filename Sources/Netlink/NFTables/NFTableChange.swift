/// What lies between a table as it should be and as the kernel has it.
public enum NFTableChange: Hashable, Sendable {
    case none
    case create
    case delete
    /// Some parts of it: the others are not touched, and go on counting.
    case update(NFTableUpdate)
    /// All of it: deleted and made again in the same transaction.
    case replace

    public init(from seen: NFTable?, to wanted: NFTable?) {
        switch (seen, wanted) {
        case (nil, nil): self = .none
        case (nil, _?): self = .create
        case (_?, nil): self = .delete
        case (let seen?, let wanted?):
            guard let update = NFTableUpdate(from: seen, to: wanted) else {
                self = .replace
                return
            }
            self = update.isEmpty ? .none : .update(update)
        }
    }

    /// Commits the change in one transaction of the given generation.
    public func commit(
        from seen: NFTable?, to wanted: NFTable?, generation: UInt32, on socket: inout NetlinkSocket
    ) throws(NFError) {
        var transaction = NFTransaction(generation: generation)
        write(from: seen, to: wanted, to: &transaction)
        try transaction.commit(on: &socket)
    }

    /// Puts the change into a transaction; a table that is made gets these flags.
    func write(
        from seen: NFTable?, to wanted: NFTable?, flags: NFTableFlags = [], to transaction: inout NFTransaction
    ) {
        switch self {
        case .none: return
        case .create: if let wanted { transaction.create(wanted, flags) }
        case .delete: if let seen { transaction.delete(seen) }
        case .replace:
            if let seen { transaction.delete(seen) }
            if let wanted { transaction.create(wanted, flags) }
        case .update(let update):
            if let seen, let wanted { update.write(from: seen, to: wanted, to: &transaction) }
        }
    }
}

/// The elements that come into one set and go out of it.
public struct NFSetChange: Hashable, Sendable {
    public let set: String
    public let added: NFElements
    /// One that leads elsewhere is taken out and put in again, in one transaction.
    public let removed: NFElements

    /// Nil where there is nothing to do.
    public init?(from old: NFSet, to new: NFSet) {
        set = new.name
        // What packets have put in is none of ours.
        if case .dynamic = new.form { return nil }
        var added = NFElements()
        var removed = NFElements()
        if let edition = new.edition, edition.leads(from: old, to: new) {
            (added.keys, removed.keys) = (edition.added, edition.removed)
        } else {
            (added.keys, removed.keys) = Self.compare(old.elements, new.elements)
        }
        (added.ranges, removed.ranges) = Self.compare(old.ranges, new.ranges)
        if added.isEmpty && removed.isEmpty { return nil }
        self.added = added
        self.removed = removed
    }

    private static func compare<Key>(
        _ old: [Key: NFData], _ new: [Key: NFData]
    ) -> (added: [Key: NFData], removed: [Key: NFData]) {
        // Of two tables that share their memory this is known at once.
        if old == new { return ([:], [:]) }
        var added: [Key: NFData] = [:]
        var removed: [Key: NFData] = [:]
        var kept = 0
        for (key, data) in new {
            switch old[key] {
            case data?: kept += 1
            case let other?:
                removed[key] = other
                added[key] = data
            case nil: added[key] = data
            }
        }
        if kept + removed.count == old.count { return (added, removed) }
        for (key, data) in old where new[key] == nil { removed[key] = data }
        return (added, removed)
    }
}
