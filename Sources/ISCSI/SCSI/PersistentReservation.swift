/// Who may do what while a reservation stands (SPC-4 section 5.13.3).
public enum PersistentReservationType: UInt8, Sendable, CaseIterable {
    case writeExclusive = 1
    case exclusiveAccess = 3
    case writeExclusiveRegistrantsOnly = 5
    case exclusiveAccessRegistrantsOnly = 6
    case writeExclusiveAllRegistrants = 7
    case exclusiveAccessAllRegistrants = 8

    /// Reads of others are refused too.
    var excludesReads: Bool {
        switch self {
        case .exclusiveAccess, .exclusiveAccessRegistrantsOnly, .exclusiveAccessAllRegistrants: true
        case .writeExclusive, .writeExclusiveRegistrantsOnly, .writeExclusiveAllRegistrants: false
        }
    }

    /// Every registered nexus has the holder's rights.
    var admitsRegistrants: Bool { rawValue >= 5 }

    /// Every registered nexus holds the reservation.
    var isHeldByAll: Bool { rawValue >= 7 }
}

/// What a PERSISTENT RESERVE IN asks for.
public enum PersistentReserveInAction: UInt8, Sendable, CaseIterable {
    case readKeys = 0
    case readReservation = 1
    case reportCapabilities = 2
    case readFullStatus = 3
}

/// What a PERSISTENT RESERVE OUT does.
public enum PersistentReserveOutAction: UInt8, Sendable, CaseIterable {
    case register = 0
    case reserve = 1
    case release = 2
    case clear = 3
    case preempt = 4
    case preemptAndAbort = 5
    case registerAndIgnore = 6
}

/// PERSISTENT RESERVE OUT, whose keys are in the parameter list.
public struct PersistentReserveOutRequest: Equatable, Sendable {
    public let action: PersistentReserveOutAction
    /// Nil only for actions that do not look at it.
    public let type: PersistentReservationType?
    public let parameterBytes: UInt32
}

/// The name of an initiator's port, to which registrations belong: they outlive its session.
public struct InitiatorPort: Hashable, Sendable, CustomStringConvertible {
    public let name: String
    public let isid: InitiatorSessionID

    public init(name: String, isid: InitiatorSessionID) {
        self.name = name.lowercased()
        self.isid = isid
    }

    public var description: String { "\(name),i,\(isid)" }
}

/// The persistent reservations of one logical unit (SPC-4 section 5.13): registrations, at most one reservation, the
/// generation. A value; it lives as long as the unit is served (no persistence through power loss).
public struct PersistentReservations: Equatable, Sendable {
    /// Registrations that one unit keeps.
    public static let maxRegistrants = 64

    public struct Registrant: Equatable, Sendable {
        public let port: InitiatorPort
        public internal(set) var key: UInt64
    }

    public struct Reservation: Equatable, Sendable {
        /// Whose it is; with a type held by all, who made it.
        public let holder: InitiatorPort
        public let type: PersistentReservationType
    }

    public internal(set) var generation: UInt32 = 0
    public internal(set) var registrants: [Registrant] = []
    public internal(set) var reservation: Reservation?

    public init() {}

    public func key(of port: InitiatorPort) -> UInt64? {
        registrants.first { $0.port == port }?.key
    }

    func holds(_ port: InitiatorPort) -> Bool {
        guard let reservation else { return false }
        return reservation.type.isHeldByAll ? key(of: port) != nil : reservation.holder == port
    }

    /// Whether a command of that kind from that port meets a conflict (SPC-4 table 66, SBC-3 table 11).
    func conflicts(_ access: Command.Access, from port: InitiatorPort) -> Bool {
        guard let reservation, !holds(port) else { return false }
        let registered = reservation.type.admitsRegistrants && key(of: port) != nil
        switch access {
        case .always, .status, .reservation: return false
        case .read: return reservation.type.excludesReads && !registered
        case .write, .flush, .configuration: return !registered
        }
    }
}
