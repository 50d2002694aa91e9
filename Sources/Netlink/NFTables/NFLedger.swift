internal import Synchronization
internal import SystemPackage

/// The nftables rules of one network namespace as this process sees and changes them.
///
/// It holds the one socket that owns our tables, and remembers what it has seen and committed with the generation that
/// it belongs to. The kernel counts a generation for each commit of anybody, and takes a transaction only in the
/// generation that it names: so each commit of ours leads from a known generation to the next, and what is remembered
/// of all our tables holds until somebody else commits. Then it is forgotten, and looked at again.
///
/// All tables of one process in one namespace share one ledger: two would each take the other's commits for foreign,
/// and neither could change what the other owns.
public final class NFLedger: Sendable {
    public let location: NetworkLocation
    private let state: Mutex<State>

    /// - Parameter tenure: how long our tables are to be held.
    public init(in location: NetworkLocation = .own, tenure: NFTenure) {
        self.location = location
        state = Mutex(State(tenure: tenure))
    }

    /// The name of a table in the namespace.
    fileprivate struct TableName: Hashable {
        let family: NFTable.Family
        let name: String
    }

    fileprivate struct State: ~Copyable {
        var socket: NetlinkSocket?
        /// The kernel's number of the socket, by which it names the owner of a table.
        var port: UInt32?
        var tenure: NFTenure
        /// Whether the kernel has tables that persist and can be taken over; nil before it was tried.
        var canProtect: Bool?
        /// The generation in which everything below is so.
        var generation: UInt32 = 0
        /// The tables as they are; nil for one that is not there.
        var tables: [TableName: NFTable?] = [:]
        /// What others filter; nil where it is to be looked at.
        var foreign: NFForeignRules?

        init(tenure: NFTenure) { self.tenure = tenure }
    }

    /// Whether tables of ours can be protected on this kernel; tried once, without making any.
    public func canProtect() throws(NFError) -> Bool { try withState { state throws(NFError) in try state.probe() } }

    /// Gives all our tables up, without changing them: their rules stay and go on counting, but whoever wants may
    /// change and delete them. None is taken again before `hold()`.
    public func release() {
        state.withLock { state in
            // The kernel lets go of a table that persists when its owner's socket is closed.
            state.socket = nil
            state.tenure = .passing
        }
    }

    /// Holds our tables again from the next change on: `NFOwnedTable.Sight.lacksProtection` asks for one.
    public func hold() { state.withLock { $0.tenure = .lasting } }
}

// MARK: Looking and changing

extension NFLedger {
    /// A table as it is, from memory where nobody has committed since.
    func look(_ family: NFTable.Family, _ name: String) throws(NFError) -> NFOwnedSight {
        try withState { state throws(NFError) in
            let sight = try state.look(TableName(family: family, name: name))
            return NFOwnedSight(
                sight: sight, tenure: state.tenure, canProtect: sight.table == nil ? true : try state.probe(),
                isOurs: sight.owner == state.port)
        }
    }

    /// Remembers a table that was seen as this value, which is equal and shares its memory with others.
    func share(_ sight: NFSight) throws(NFError) {
        guard let table = sight.table else { return }
        try withState { state throws(NFError) in
            let id = TableName(family: table.family, name: table.name)
            if state.generation == sight.generation, state.tables[id] != nil { state.tables[id] = .some(table) }
        }
    }

    /// The generation, for who has seen no table.
    func generation() throws(NFError) -> UInt32 {
        try withState { state throws(NFError) in try state.generationNow() }
    }

    /// What others filter, from memory where nobody has committed since.
    ///
    /// - Parameter prefix: what the names of tables of ours begin with; always the same.
    public func foreign(ours prefix: String) throws(NFError) -> NFForeignRules {
        try withState { state throws(NFError) in try state.lookAtForeign(ours: prefix) }
    }

    /// Commits a change of one table, as it was seen, in one transaction; with it the protection that it lacks.
    func commit(
        from seen: NFSight?, to wanted: NFTable?, generation: UInt32
    ) throws(NFError) {
        try withState { state throws(NFError) in
            try state.commit(from: seen, to: wanted, generation: generation)
        }
    }

    /// Has the kernel check such a change, and changes nothing.
    ///
    /// - Returns: why it would be refused; nil where it would not.
    func rehearse(from seen: NFSight?, to wanted: NFTable?, generation: UInt32) throws(NFError) -> NFError? {
        try withState { state throws(NFError) in
            try state.rehearse(from: seen, to: wanted, generation: generation)
        }
    }

    private func withState<Value: Sendable>(
        _ body: (inout State) throws(NFError) -> Value
    ) throws(NFError) -> Value {
        let result = state.withLock { state -> Result<Value, NFError> in
            do throws(NFError) {
                if state.socket == nil { try state.open(in: location) }
                return .success(try body(&state))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

/// A table with whose it is.
struct NFOwnedSight: Sendable {
    let sight: NFSight
    let tenure: NFTenure
    let canProtect: Bool
    /// Whether this process owns it.
    let isOurs: Bool
}

extension NFLedger.State {
    private static let gone = NFError.netlink(
        NetlinkError(operation: "use a netlink socket", cause: .system(.badFileDescriptor)))

    mutating func open(in location: NetworkLocation) throws(NFError) {
        do throws(NetlinkError) {
            let socket = try location.socket(.netfilter)
            port = socket.port
            self.socket = consume socket
        } catch {
            throw .netlink(error)
        }
    }

    /// Runs the body with the socket, which `withState` has opened.
    private mutating func on<Value>(
        _ body: (inout NetlinkSocket) throws(NFError) -> Value
    ) throws(NFError) -> Value {
        guard var socket = socket.take() else { throw Self.gone }
        do throws(NFError) {
            let value = try body(&socket)
            self.socket = consume socket
            return value
        } catch {
            self.socket = consume socket
            throw error
        }
    }

    mutating func generationNow() throws(NFError) -> UInt32 {
        try on { socket throws(NFError) in try socket.nftablesGeneration() }
    }

    mutating func probe() throws(NFError) -> Bool {
        if let canProtect { return canProtect }
        let refusal = try on { socket throws(NFError) in
            var transaction = NFTransaction(generation: nil)
            transaction.create(NFTable(family: .inet, name: "sdagent probe \(socket.port)"), .protected)
            return try transaction.rehearse(on: &socket)
        }
        switch refusal {
        case nil: canProtect = true
        // A flag that the kernel does not know: EOPNOTSUPP.
        case .netlink(let error)? where error.errno == .notSupported: canProtect = false
        case let error?: throw error
        }
        return canProtect ?? false
    }

    mutating func look(_ id: NFLedger.TableName) throws(NFError) -> NFSight {
        let now = try generationNow()
        if now == generation, let table = tables[id] {
            let hold = try on { socket throws(NFError) in try socket.nftablesHold(id.family, id.name) }
            if (hold == nil) == (table == nil) {
                return NFSight(generation: now, table: table, flags: hold?.flags ?? [], owner: hold?.owner)
            }
        }
        let sight = try on { socket throws(NFError) in try socket.nftablesTable(id.family, id.name) }
        moved(to: sight.generation)
        remember(sight.table, as: id)
        return sight
    }

    /// Somebody has committed since, if it is another one: then nothing is remembered.
    private mutating func moved(to generation: UInt32) {
        guard generation != self.generation else { return }
        tables = [:]
        foreign = nil
        self.generation = generation
    }

    mutating func lookAtForeign(ours prefix: String) throws(NFError) -> NFForeignRules {
        moved(to: try generationNow())
        if let foreign { return foreign }
        // A change that falls between is in a later generation than this look says: the next one sees it.
        let seen = try on { socket throws(NFError) in try socket.nftablesForeign(ours: prefix) }
        foreign = seen
        return seen
    }

    mutating func commit(from seen: NFSight?, to wanted: NFTable?, generation: UInt32) throws(NFError) {
        guard let frame = wanted ?? seen?.table else { return }
        var transaction = NFTransaction(generation: generation)
        let isTrusted = try write(from: seen, to: wanted, to: &transaction)
        guard !transaction.isEmpty else { return }
        try on { socket throws(NFError) in try transaction.commit(on: &socket) }
        // Nobody has committed since that generation, or the kernel would have refused. It never counts to 0.
        moved(to: generation)
        self.generation = generation == .max ? 1 : generation + 1
        let id = NFLedger.TableName(family: frame.family, name: frame.name)
        tables[id] = nil
        if isTrusted { remember(wanted, as: id) }
    }

    mutating func rehearse(from seen: NFSight?, to wanted: NFTable?, generation: UInt32) throws(NFError) -> NFError? {
        var transaction = NFTransaction(generation: generation)
        _ = try write(from: seen, to: wanted, to: &transaction)
        return try on { socket throws(NFError) in try transaction.rehearse(on: &socket) }
    }

    /// - Returns: whether what was written needs no reading back: a table that is made whole is looked at once, to see
    ///   that the kernel understood all of it.
    private mutating func write(
        from seen: NFSight?, to wanted: NFTable?, to transaction: inout NFTransaction
    ) throws(NFError) -> Bool {
        var change = NFTableChange(from: seen?.table, to: wanted)
        let isPossible = wanted == nil ? false : try probe()
        if let seen, seen.table != nil, wanted != nil, change != .replace {
            switch tenure.lack(seen.flags, isPossible: isPossible) {
            case .nothing: break
            case .owner: if let table = seen.table { transaction.adopt(table) }
            case .flags: change = .replace
            }
        }
        let flags: NFTableFlags = tenure != .none && isPossible ? .protected : []
        change.write(from: seen?.table, to: wanted, flags: flags, to: &transaction)
        switch change {
        case .create, .replace: return false
        case .none, .delete, .update: return true
        }
    }

    private mutating func remember(_ table: NFTable?, as id: NFLedger.TableName) {
        // A device that goes takes its hook with it, and older kernels count no generation for that.
        let hasDevices = table?.chains.values.contains { $0.hook?.devices.isEmpty == false } ?? false
        tables[id] = hasDevices ? nil : .some(table)
    }
}
