internal import ISCSI

/// A session of an initiator with a target, or for discovery: its place at each unit of the target. Owned by its only
/// connection; it ends with it.
final class Session {
    /// The session's nexus with one unit.
    struct Link {
        let unit: LogicalUnit
        let nexus: Int
    }

    let parameters: SessionParameters
    /// Nil in a discovery session.
    let target: ServedTarget?
    unowned let connection: Connection
    // By LUN; a hole where the target has no unit.
    private var links: [Link?] = []

    init(_ parameters: SessionParameters, _ target: ServedTarget?, _ connection: Connection) {
        self.parameters = parameters
        self.target = target
        self.connection = connection
        for unit in target?.units.values.sorted(by: { $0.number < $1.number }) ?? [] { attach(unit) }
    }

    private var port: InitiatorPort { InitiatorPort(name: parameters.initiatorName, isid: parameters.isid) }

    func unit(_ number: UInt16) -> Link? {
        Int(number) < links.count ? links[Int(number)] : nil
    }

    func attach(_ unit: LogicalUnit) {
        while links.count <= Int(unit.number) { links.append(nil) }
        links[Int(unit.number)] = Link(unit: unit, nexus: unit.server.attach(port))
    }

    func detach(_ number: UInt16) {
        guard let link = unit(number) else { return }
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
