/// A table that is ours by its name and its comment: how it is looked at, and how it is changed.
public struct NFOwnedTable: Sendable {
    public let ledger: NFLedger
    public let family: NFTable.Family
    public let name: String
    /// What the comment of the table begins with: the ownership mark.
    public let mark: String

    public init(in ledger: NFLedger, _ family: NFTable.Family, _ name: String, mark: String) {
        self.ledger = ledger
        self.family = family
        self.name = name
        self.mark = mark
    }

    /// The network namespace that it is in.
    public var location: NetworkLocation { ledger.location }

    /// A table of that family and name as the kernel has it, ours or not.
    public struct Sight: Sendable {
        public fileprivate(set) var table: NFTable
        public let isOurs: Bool
        /// Whether it is safe from other programs.
        public let protection: NFProtection
        /// Whether a change, be it of nothing else, would protect it, or end a protection that is not wanted.
        public let lacksProtection: Bool
        /// Whether another process owns it: what we change is refused (`NFError.held`).
        public let isHeldElsewhere: Bool
        /// For the transaction that changes it.
        fileprivate(set) var seen: NFSight
    }

    /// Looks; nil where there is none. Costs two short questions where nobody has committed since the last look.
    public func look() throws(NFError) -> Sight? {
        let seen = try ledger.look(family, name)
        guard let table = seen.sight.table else { return nil }
        return Sight(
            table: table, isOurs: table.comment.hasPrefix(mark), protection: seen.protection,
            lacksProtection: seen.lacksProtection, isHeldElsewhere: seen.sight.owner != nil && !seen.isOurs,
            seen: seen.sight)
    }

    /// The same sight, which takes from a table what is equal there; so does what is remembered of it.
    public func share(_ table: NFTable, with sight: Sight) throws(NFError) -> Sight {
        var sight = sight
        sight.table = sight.table.sharing(with: table)
        sight.seen.table = sight.table
        try ledger.share(sight.seen)
        return sight
    }

    /// How often a change is sent again after somebody committed elsewhere in the ruleset.
    private static let attempts = 5

    /// Makes the table that was seen into the one that is wanted, in one transaction, and protects it.
    ///
    /// A commit of somebody else in between counts only if it touched this table: the generation is that of the whole
    /// ruleset.
    /// - Throws: `generationChanged` where the table is no longer the one that was seen; `held` where another process
    ///   owns it.
    public func change(from sight: Sight?, to wanted: NFTable?) throws(NFError) {
        var seen = sight?.seen
        // Who has seen no table has no generation with it; a table made meanwhile refuses the creation (EEXIST).
        var generation: UInt32
        if let seen { generation = seen.generation } else { generation = try ledger.generation() }
        for _ in 1..<Self.attempts {
            do throws(NFError) {
                return try ledger.commit(from: seen, to: wanted, generation: generation)
            } catch {
                guard error == .generationChanged else { throw error }
                let again = try ledger.look(family, name).sight
                guard again.table == seen?.table else { throw .generationChanged }
                if seen != nil { seen = again }
                generation = again.generation
            }
        }
        try ledger.commit(from: seen, to: wanted, generation: generation)
    }

    /// Has the kernel check such a change, and changes nothing.
    ///
    /// - Returns: why it would be refused; nil where it would not.
    public func refusal(of wanted: NFTable?, from sight: Sight?) throws(NFError) -> NFError? {
        var generation = sight?.seen.generation
        if generation == nil { generation = try ledger.generation() }
        return try ledger.rehearse(from: sight?.seen, to: wanted, generation: generation ?? 0)
    }

    /// Why a foreign table of the name is in the way, and what to do.
    public var conflict: String {
        let subject = NFTable(family: family, name: name).subject
        return "a table '\(subject)' is there that is not ours; see it with `nft list table \(subject)`, "
            + "then delete or rename it"
    }
}

extension NFOwnedSight {
    fileprivate var lacksProtection: Bool {
        if sight.owner != nil && !isOurs { return false }
        return tenure.lack(sight.flags, isPossible: canProtect) != .nothing
    }

    fileprivate var protection: NFProtection {
        if sight.flags.contains(.owner) { return .owned }
        if tenure == .none { return .none(reason: "none is asked for") }
        guard canProtect else {
            return .none(
                reason: "this kernel has no tables that outlive their owner (Linux 6.9 has): while `sdagent run` runs, "
                    + "it restores what others change within a second")
        }
        return .none(
            reason: sight.flags.contains(.persist)
                ? "no process holds it now; `sdagent run` does" : "it was made without; the next change protects it")
    }
}
