internal import IOLoop
internal import ISCSI
internal import Logging
internal import Syscall

/// How much a server takes on.
struct ServeLimits: Sendable {
    /// Connections that have not logged in yet, of the whole server.
    var unauthenticated = 64
    /// Connections of one portal.
    var connectionsPerPortal = 512
    /// From accept to the full feature phase.
    var loginDeadline: Duration = .seconds(15)
    /// How long tasks may take to end before their connections are cut, and how long after that before their unit is
    /// given up.
    var drain: Duration = .seconds(5)
    /// How long a connection may wait for a buffer without reading what comes behind: well below the five seconds
    /// within which initiators want their pings answered.
    var deafness: Duration = .seconds(2)
    /// How long a peer may keep buffers without fetching or sending what they are for, while another waits for one.
    var stall: Duration = .seconds(5)
}

/// A target as it is served: its units, who may come, where it is found. Owned by the registry.
final class ServedTarget {
    let name: String
    var access: TargetAccess
    /// The portals at which it answers, as configured.
    var portals: [SocketAddress]
    var units: [UInt16: LogicalUnit] = [:]
    /// It is being taken away: nobody logs in any more.
    var isLeaving = false
    static let portalGroupTag: UInt16 = 1

    init(name: String, access: TargetAccess, portals: [SocketAddress]) {
        self.name = name
        self.access = access
        self.portals = portals
    }

    /// Whether the initiator of that name may log in. Names are compared without regard to case (RFC 3722).
    func admits(_ initiatorName: String) -> Bool {
        guard let patterns = access.initiators else { return true }
        let name = initiatorName.lowercased()
        return patterns.contains { NamePattern.matches($0, name) }
    }

    /// The rules for one initiator: its name, or none, in place of the patterns.
    func access(for initiatorName: String) -> TargetAccess {
        var rules = access
        if rules.initiators != nil { rules.initiators = admits(initiatorName) ? [initiatorName] : [] }
        return rules
    }

}

/// Everything that is served on one loop: targets, portals, sessions, connections. Confined to the loop; the
/// `TargetServer` changes it between batches.
final class TargetRegistry {
    let loop: Loop
    let log: Logger
    let limits: ServeLimits
    var offers: TargetOffers
    var targets: [String: ServedTarget] = [:]
    /// Names of targets that are to be served: one of them that is not here yet is on its way.
    var expected: Set<String> = []
    var portals: [SocketAddress: Portal] = [:]
    var sessions = SessionTable()
    var history = UnitHistory()
    private(set) var connections: [ObjectIdentifier: Connection] = [:]
    private var lastSerial: UInt64 = 0
    private var crowding = LogThrottle(seconds: 5)
    private var remarks = LogThrottle(lines: 10, seconds: 10)

    init(on loop: Loop, log: Logger, limits: ServeLimits) {
        self.loop = loop
        self.log = log
        self.limits = limits
        offers = TargetOffers()
        // A burst has to fit into one buffer.
        offers.maxBurst = min(offers.maxBurst, UInt32(clamping: loop.buffers.largest))
        offers.firstBurst = min(offers.firstBurst, offers.maxBurst)
    }

    // MARK: Connections

    /// Connections that have not logged in, nor are about to take over a session.
    var strangers: [Connection] { connections.values.filter { $0.phase == .login && $0.established == nil } }

    /// Tells the log of a peer that has not logged in. That may be anybody, as often as it likes: what is above ten
    /// lines in ten seconds is counted.
    func remark(onStranger who: String, _ words: String) {
        guard let count = remarks.note(at: loop.now) else { return }
        log.notice("\(who): \(words)\(count > 1 ? "; \(count - 1) more such lines were left out before" : "")")
    }

    func add(_ connection: Connection) {
        lastSerial &+= 1
        connection.serial = lastSerial
        connections[ObjectIdentifier(connection)] = connection
    }

    /// Makes room for a newcomer: of the address with the most strangers, the oldest has to go. So those who open
    /// connections and do not log in compete with themselves, and keep nobody out.
    /// - Parameter portal: only its strangers; nil for those of the whole server.
    /// - Returns: whether there was one.
    func closeStranger(amongThoseOf portal: Portal?) -> Bool {
        let candidates = strangers.filter { portal == nil || $0.portal === portal }
        let crowds = Dictionary(grouping: candidates) { $0.peer.with(port: 0) }
        let oldest = crowds.values.compactMap { crowd in
            crowd.min { $0.serial < $1.serial }.map { (size: crowd.count, connection: $0) }
        }
        let chosen = oldest.max { ($0.size, $1.connection.serial) < ($1.size, $0.connection.serial) }
        guard let (size, connection) = chosen else { return false }
        if let count = crowding.note(at: loop.now) {
            log.warning(
                """
                \(candidates.count) connections have not logged in, \(size) of them of \(connection.peer.hostText): \
                closed to make room: \(count)
                """)
        }
        connection.close()
        return true
    }

    /// Shows out the connection that holds most of what others wait for, among those whose initiators have fallen
    /// silent. A frozen machine must not take the disks of all others with it; its initiator comes back.
    func closeStuck(besides waiting: Connection) {
        let stuck = connections.values.filter { $0 !== waiting && $0.isStuck(for: limits.stall) }
        guard let chosen = stuck.max(by: { loop.buffers.bytes(of: $0.lent) < loop.buffers.bytes(of: $1.lent) }) else {
            return
        }
        let bytes = loop.buffers.bytes(of: chosen.lent)
        chosen.fail("it has kept \(bytes >> 10) KiB of buffers for \(limits.stall) without a move, and others wait")
    }

    func connectionEnded(_ connection: Connection) {
        if let session = connection.session {
            if session.hasLoggedOut {
                history.loggedOut(session.parameters.identity)
            } else if session.target != nil {
                history.left(session.parameters.identity, knowing: session.view)
            }
            session.end()
            sessions.remove(session)
        }
        connections[ObjectIdentifier(connection)] = nil
        connection.portal.connectionEnded()
    }

    // MARK: Login

    /// Decides whether a login may go on.
    func admit(_ subject: LoginSubject, at portal: Portal) -> LoginAdmission {
        guard let name = subject.targetName else {
            return .open(TargetAccess(), portalGroupTag: ServedTarget.portalGroupTag, alias: nil)
        }
        guard let target = targets[name] else {
            // An initiator that hears "not found" gives the target up; one that hears this comes back.
            return .refuse(expected.contains(name) ? .serviceUnavailable : .notFound)
        }
        guard target.portals.contains(portal.address) else { return .refuse(.notFound) }
        guard !target.isLeaving else { return .refuse(.targetRemoved) }
        if subject.tsih != 0 {
            // A further connection of a session that has one already (MaxConnections=1).
            return .refuse(sessions.contains(tsih: subject.tsih) ? .tooManyConnections : .sessionDoesNotExist)
        }
        return .open(target.access(for: subject.initiatorName), portalGroupTag: ServedTarget.portalGroupTag, alias: nil)
    }

    /// What an initiator may know of: the targets that would let it in, with the portals where they answer.
    func discovered(by initiatorName: String, at local: SocketAddress) -> [DiscoveredTarget] {
        targets.values.filter { $0.admits(initiatorName) && !$0.isLeaving }.sorted { $0.name < $1.name }.map { target in
            let portals = target.portals.map { portal in
                // A wildcard portal is known by the address that the initiator came to.
                let bound = self.portals[portal]?.bound ?? portal
                let shown = bound.isUnspecified ? local.with(port: bound.port) : bound
                return DiscoveredTarget.Portal(address: "\(shown)", groupTag: ServedTarget.portalGroupTag)
            }
            return DiscoveredTarget(name: target.name, portals: portals)
        }
    }

    /// Sessions of a target.
    func sessions(of target: ServedTarget) -> [Session] {
        sessions.all.filter { $0.target === target }
    }

    /// Closes connections at once.
    func closeConnections(_ condition: (Connection) -> Bool) {
        for connection in connections.values where condition(connection) { connection.close() }
    }

    // MARK: Units

    /// Gives a target one more unit; its sessions hear that the list has changed.
    func attach(_ unit: LogicalUnit, to target: ServedTarget) {
        announceListChange(of: target)
        target.units[unit.number] = unit
        history.leads(unit.number, of: target.name, to: unit.identity)
        for session in sessions(of: target) where !session.attach(unit) {
            noteClosed(unit.number, to: session.connection)
        }
    }

    /// A session meets another volume where its initiator knows a disk.
    func noteClosed(_ number: UInt16, to connection: Connection) {
        let unit = connection.session?.target?.units[number]?.words ?? "LUN \(number)"
        log.warning(
            "\(connection.who): \(unit) is not the disk that it knows by that number: it is closed until the next login"
        )
    }

    /// A unit may be written now, or no longer; its sessions go on.
    func setReadOnly(_ number: UInt16, of target: ServedTarget, _ isReadOnly: Bool) {
        guard let unit = target.units[number] else { return }
        unit.server.setReadOnly(isReadOnly || unit.disk.isReadOnly)
    }

    /// Takes a unit away. When its last task has ended, nothing uses its disk any more.
    func detach(_ number: UInt16, of name: String) -> LogicalUnit? {
        guard let target = targets[name], let unit = target.units.removeValue(forKey: number) else { return nil }
        unit.isLeaving = true
        for session in sessions(of: target) {
            session.detach(number)
            session.connection.leave(unit)
        }
        announceListChange(of: target)
        // The closure keeps the unit for its tasks, which do not count references.
        unit.whenIdle = { unit.whenIdle = nil }
        unit.checkIdle()
        return unit
    }

    /// Closes the connections that have a task on the unit.
    func cutConnections(on unit: LogicalUnit) {
        closeConnections { connection in
            connection.tasks.slots.contains { connection.tasks[$0].pointee.isOn(unit) }
        }
    }

    /// Whether a disk works for a task on the unit.
    func isAtWork(_ unit: LogicalUnit) -> Bool {
        connections.values.contains { connection in
            connection.tasks.slots.contains { slot in
                let task = connection.tasks[slot]
                return task.pointee.isOn(unit) && task.pointee.diskRequests > 0
            }
        }
    }

    /// Only the sessions of this target hear of it.
    private func announceListChange(of target: ServedTarget) {
        for unit in target.units.values { unit.server.raise(.reportedLUNsChanged) }
    }
}
