internal import ISCSI

/// A session of an initiator with a target, or for discovery: its place at each unit of the target. Owned by its only
/// connection; it ends with it.
///
/// A number never changes its disk within a session: an initiator does not look again at what it has, and would go on
/// with its file system on another disk. A number that leads elsewhere is lost to the session, which hears of it once
/// (INQUIRY DATA HAS CHANGED) and finds no unit there afterwards.
final class Session {
    /// The session's nexus with one unit.
    struct Link {
        let unit: LogicalUnit
        let nexus: Int
        /// The initiator knows another disk by this number from before, and has not asked yet what is there now.
        var isUnfamiliar = false
    }

    /// What a command finds at a number.
    enum Finding {
        case unit(Link)
        /// The number leads to another disk than the one that the initiator means.
        case changed(isNews: Bool)
        case nothing
    }

    let parameters: SessionParameters
    /// Nil in a discovery session.
    let target: ServedTarget?
    unowned let connection: Connection
    /// It has said good-bye, and will look at everything anew when it comes again.
    var hasLoggedOut = false
    // By LUN; a hole where the session has no unit.
    private var links: [Link?] = []
    /// Which disk the initiator knows by each number.
    private(set) var view: [UInt16: UInt64] = [:]
    /// Numbers that are lost, and whether the initiator has heard.
    private var lost: [UInt16: Bool] = [:]

    init(_ parameters: SessionParameters, _ target: ServedTarget?, _ connection: Connection, _ history: UnitHistory) {
        self.parameters = parameters
        self.target = target
        self.connection = connection
        for unit in target?.units.values.sorted(by: { $0.number < $1.number }) ?? [] {
            let expected = history.expectation(of: parameters.identity, at: unit.number) ?? unit.identity
            view[unit.number] = expected
            link(unit, isUnfamiliar: expected != unit.identity)
        }
    }

    private var port: InitiatorPort { InitiatorPort(name: parameters.initiatorName, isid: parameters.isid) }

    /// Numbers that lead to a unit, ascending.
    var unitNumbers: [UInt16] { links.compactMap { $0?.unit.number } }

    /// The link with a unit that the initiator means when it says the number.
    func unit(_ number: UInt16) -> Link? {
        guard Int(number) < links.count, let link = links[Int(number)], !link.isUnfamiliar else { return nil }
        return link
    }

    /// What a command with this opcode finds at a number.
    func find(_ number: UInt16, for opcode: UInt8) -> Finding {
        guard Int(number) < links.count, let link = links[Int(number)] else {
            // Commands that pass by an attention are answered by what is there (SAM-5 section 5.14).
            guard lost[number] == false, !Self.passing.contains(opcode) else { return .nothing }
            lost[number] = true
            return .changed(isNews: false)
        }
        guard link.isUnfamiliar else { return .unit(link) }
        if Self.looking.contains(opcode) {
            links[Int(number)]?.isUnfamiliar = false
            view[number] = link.unit.identity
            return .unit(link)
        }
        if Self.passing.contains(opcode) || opcode == 0x00 { return .unit(link) }
        // It goes on as if nothing had happened: nothing of this disk is for it.
        detach(number)
        lost[number] = true
        return .changed(isNews: true)
    }

    /// INQUIRY, REQUEST SENSE, REPORT LUNS.
    private static let passing: Set<UInt8> = [0x12, 0x03, 0xa0]
    /// INQUIRY, READ CAPACITY (10) and the group of READ CAPACITY (16): an initiator looks at a disk with these when it
    /// has found it, and not when it comes back to one that it has. TEST UNIT READY tells nothing of either.
    private static let looking: Set<UInt8> = [0x12, 0x25, 0x9e]

    private func link(_ unit: LogicalUnit, isUnfamiliar: Bool = false) {
        while links.count <= Int(unit.number) { links.append(nil) }
        let nexus = unit.server.attach(port, hearing: isUnfamiliar ? [.inquiryDataChanged] : [])
        links[Int(unit.number)] = Link(unit: unit, nexus: nexus, isUnfamiliar: isUnfamiliar)
    }

    /// The target has one more unit. False if the session cannot have it, since its initiator knows another disk by the
    /// number.
    func attach(_ unit: LogicalUnit) -> Bool {
        if let known = view[unit.number], known != unit.identity {
            if lost[unit.number] == nil { lost[unit.number] = false }
            return false
        }
        view[unit.number] = unit.identity
        lost[unit.number] = nil
        link(unit)
        return true
    }

    func detach(_ number: UInt16) {
        guard Int(number) < links.count, let link = links[Int(number)] else { return }
        link.unit.server.detach(link.nexus)
        links[Int(number)] = nil
    }

    /// Leaves all units.
    func end() {
        for number in links.indices { detach(UInt16(number)) }
    }
}

/// The sessions of a server by their handles and by their identities. Owned by the registry.
struct SessionTable {
    private var sessions: [UInt16: Session] = [:]
    private var byIdentity: [SessionParameters.Identity: UInt16] = [:]
    private var lastTSIH: UInt16 = 0

    var all: [Session] { sessions.values.sorted { $0.parameters.tsih < $1.parameters.tsih } }
    var count: Int { sessions.count }

    /// A handle for a session to be: not zero and not in use. Handles go round, so that an old one is not soon reused.
    mutating func nextTSIH() -> UInt16 {
        repeat { lastTSIH = lastTSIH == .max ? 1 : lastTSIH + 1 } while sessions[lastTSIH] != nil
        return lastTSIH
    }

    subscript(identity: SessionParameters.Identity) -> Session? {
        byIdentity[identity].flatMap { sessions[$0] }
    }

    func contains(tsih: UInt16) -> Bool { sessions[tsih] != nil }

    mutating func add(_ session: Session) {
        sessions[session.parameters.tsih] = session
        byIdentity[session.parameters.identity] = session.parameters.tsih
    }

    mutating func remove(_ session: Session) {
        sessions[session.parameters.tsih] = nil
        if byIdentity[session.parameters.identity] == session.parameters.tsih {
            byIdentity[session.parameters.identity] = nil
        }
    }
}
