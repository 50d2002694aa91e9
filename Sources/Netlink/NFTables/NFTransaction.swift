internal import CNetlink
internal import Glibc
internal import SystemPackage

/// Changes of nftables objects that the kernel commits as one, or not at all.
public struct NFTransaction: Sendable {
    private var writer = MessageWriter(capacity: 64 << 10)
    /// What each message is about, by its index: "set bindm of table bridge sdagent".
    private var subjects: [String] = []
    /// The kernel wants a number for each set that is made, unique in the transaction.
    private var setsMade: UInt32 = 0

    /// A transaction that holds only while nobody else has committed since `generation` was read; nil holds always.
    public init(generation: UInt32?) {
        writer.message(UInt16(NFNL_MSG_BATCH_BEGIN), operation: "begin a transaction") {
            $0.append(NFMessage.batchHeader)
            if let generation { $0.attribute(Int(NFNL_BATCH_GENID.rawValue), bigEndian: generation) }
        }
        subjects.append("")
    }

    /// Whether it changes nothing.
    var isEmpty: Bool { writer.count == 1 }

    /// The messages, for a comparison with known bytes.
    var bytes: [UInt8] { writer.bytes }

    /// Takes the whole table away; it must be there.
    public mutating func delete(_ table: NFTable) {
        add(NFT_MSG_DELTABLE, table, operation: "delete", "table \(table.subject)") {
            $0.attribute(Int(NFTA_TABLE_NAME.rawValue), table.name)
        }
    }

    /// Makes the whole table; none of its family and name may be there.
    public mutating func create(_ table: NFTable, _ flags: NFTableFlags = []) {
        add(NFT_MSG_NEWTABLE, table, [.create, .exclusive], operation: "create", "table \(table.subject)") {
            $0.attribute(Int(NFTA_TABLE_NAME.rawValue), table.name)
            if !flags.isEmpty { $0.attribute(Int(NFTA_TABLE_FLAGS.rawValue), bigEndian: flags.rawValue) }
            if !table.comment.isEmpty {
                $0.attribute(Int(NFTA_TABLE_USERDATA.rawValue), bytes: NFUserData.encode(comment: table.comment))
            }
        }
        // What is referred to comes before what refers to it: sets before the rules that look into them, chains and
        // counters before the elements and rules that lead to them.
        let sets = table.sets.values.sorted { $0.name < $1.name }
        let chains = table.chains.values.sorted { $0.name < $1.name }
        for counter in table.counters.sorted() { create(counter: counter, in: table) }
        for set in sets { create(set, in: table) }
        for chain in chains { create(chain, in: table) }
        for set in sets { insert(NFElements(of: set), into: set, of: table) }
        for chain in chains { append(chain.rules, to: chain, of: table) }
    }

    /// Takes over a table that persists without an owner (Linux 6.9); of one that this socket owns it changes nothing.
    mutating func adopt(_ table: NFTable) {
        add(NFT_MSG_NEWTABLE, table, operation: "take over", "table \(table.subject)") {
            $0.attribute(Int(NFTA_TABLE_NAME.rawValue), table.name)
            $0.attribute(Int(NFTA_TABLE_FLAGS.rawValue), bigEndian: NFTableFlags.protected.rawValue)
        }
    }

    /// Commits. `generationChanged` where somebody else was faster: look and plan again.
    public consuming func commit(on socket: inout NetlinkSocket) throws(NFError) {
        guard !isEmpty else { return }
        writer.message(UInt16(NFNL_MSG_BATCH_END), operation: "commit") { $0.append(NFMessage.batchHeader) }
        if let error = try firstRefusal(try send(on: &socket, rehearsing: false)) { throw error }
    }

    /// Has the kernel check all of it and then throw it away, as it does with a transaction that has no end.
    ///
    /// - Returns: why it would be refused, or nil.
    public consuming func rehearse(on socket: inout NetlinkSocket) throws(NFError) -> NFError? {
        guard !isEmpty else { return nil }
        return try firstRefusal(try send(on: &socket, rehearsing: true))
    }

    private func send(
        on socket: inout NetlinkSocket, rehearsing: Bool
    ) throws(NFError) -> [(index: Int, error: NetlinkError)] {
        do throws(NetlinkError) {
            return try socket.transaction(writer, isEnded: !rehearsing)
        } catch {
            throw .netlink(error)
        }
    }

    private func firstRefusal(_ refusals: [(index: Int, error: NetlinkError)]) throws(NFError) -> NFError? {
        guard let first = refusals.first else { return nil }
        if refusals.contains(where: { $0.error.errno?.rawValue == ERESTART }) { return .generationChanged }
        let subject = first.index < subjects.count ? subjects[first.index] : ""
        let error = first.error.about(subject)
        // Without the capability the kernel refuses the whole (message 0); a single message is refused so only where
        // another socket owns the table.
        if first.index > 0, first.error.errno == .notPermitted { return .held(error) }
        return .netlink(error)
    }

    mutating func add(
        _ type: nf_tables_msg_types, _ table: NFTable, _ flags: MessageFlags = [], operation: StaticString,
        _ subject: String, _ body: (inout AttributeWriter) -> Void
    ) {
        writer.message(NFMessage.type(type), flags, operation: operation) {
            $0.append(NFMessage.header(table.family))
            body(&$0)
        }
        subjects.append(subject)
    }

    mutating func takeSetNumber() -> UInt32 {
        setsMade += 1
        return setsMade
    }
}

/// The flags of a table (linux/netfilter/nf_tables.h, enum nft_table_flags).
public struct NFTableFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Its chains see no packets.
    public static let dormant = NFTableFlags(rawValue: 1)
    /// One socket owns it: others can neither change nor delete it, and a flush of the ruleset passes over it (5.12).
    public static let owner = NFTableFlags(rawValue: 2)
    /// It stays when that socket is closed, and another may take it over (6.9).
    public static let persist = NFTableFlags(rawValue: 4)

    /// Both: what protects a table of ours.
    static let protected: NFTableFlags = [.owner, .persist]
}
