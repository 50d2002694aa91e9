/// A table that is ours by its name and its comment: how it is looked at, and how it is changed.
public struct NFOwnedTable: Sendable {
    public let location: NetworkLocation
    public let family: NFTable.Family
    public let name: String
    /// What the comment of the table begins with: the ownership mark.
    public let mark: String

    public init(in location: NetworkLocation, _ family: NFTable.Family, _ name: String, mark: String) {
        self.location = location
        self.family = family
        self.name = name
        self.mark = mark
    }

    /// A table of that family and name as the kernel has it, ours or not.
    public struct Sight: Sendable {
        public let table: NFTable
        public let isOurs: Bool
        /// For the transaction that changes it.
        let generation: UInt32
    }

    /// Looks; nil where there is none.
    public func look() throws(NFError) -> Sight? {
        var socket = try open()
        let sight = try socket.nftablesTable(family, name)
        guard let table = sight.table else { return nil }
        return Sight(table: table, isOurs: table.comment.hasPrefix(mark), generation: sight.generation)
    }

    /// How often a change is sent again after somebody committed elsewhere in the ruleset.
    private static let attempts = 5

    /// Makes the table that was seen into the one that is wanted, in one transaction.
    ///
    /// A commit of somebody else in between counts only if it touched this table: the generation is that of the whole
    /// ruleset, our own other table included.
    /// - Throws: `generationChanged` where the table is no longer the one that was seen.
    public func change(from seen: Sight?, to wanted: NFTable?) throws(NFError) {
        var socket = try open()
        // Who has seen no table has no generation with it; a table made meanwhile refuses the creation (EEXIST).
        var generation: UInt32
        if let seen { generation = seen.generation } else { generation = try socket.nftablesGeneration() }
        let change = NFTableChange(from: seen?.table, to: wanted)
        for _ in 1..<Self.attempts {
            do throws(NFError) {
                return try change.commit(from: seen?.table, to: wanted, generation: generation, on: &socket)
            } catch {
                guard error == .generationChanged else { throw error }
                let again = try socket.nftablesTable(family, name)
                guard again.table == seen?.table else { throw .generationChanged }
                generation = again.generation
            }
        }
        try change.commit(from: seen?.table, to: wanted, generation: generation, on: &socket)
    }

    /// Why a foreign table of the name is in the way, and what to do.
    public var conflict: String {
        let subject = NFTable(family: family, name: name).subject
        return "a table '\(subject)' is there that is not ours; see it with `nft list table \(subject)`, "
            + "then delete or rename it"
    }

    private func open() throws(NFError) -> NetlinkSocket {
        do throws(NetlinkError) { return try location.socket(.netfilter) } catch { throw .netlink(error) }
    }
}
