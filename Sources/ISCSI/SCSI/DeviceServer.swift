/// What happens with a command after it was looked at.
public enum Dispatch: Equatable, Sendable {
    /// The store has to perform it: a command that reads or writes blocks, gives them back, or flushes. Data that it
    /// needs from the initiator is `Command.dataOutBytes`.
    case store(Command)
    /// Fetch the parameter list (`Command.dataOutBytes`), then call `finish`.
    case parameters(Command)
    /// Ended well; the data for the initiator is in the answer.
    case good
    /// REPORT LUNS is a matter of the target: answer by `TargetReports.logicalUnits`.
    case reportLUNs(select: UInt8, allocation: UInt32)
    case conflict
    case failed(Sense)
    /// Ended well, and these nexuses' tasks are to be aborted.
    case goodAborting([Int])
}

/// The device server of one logical unit (SAM-5 section 4.5.20): judges every command, answers those that move no
/// blocks, keeps what a unit has to remember: mode settings, reservations, unit attentions. A value owned by the loop
/// that serves the unit; the nexuses are numbered by it.
public struct DeviceServer: Sendable {
    struct Nexus: Sendable {
        let port: InitiatorPort
        var attentions: UnitAttentions
        var preventsRemoval = false
    }

    public private(set) var profile: LogicalUnitProfile
    public internal(set) var reservations = PersistentReservations()
    var nexuses: [Nexus?] = []
    var settings = ModeSettings()
    /// The nexus that holds the unit by RESERVE.
    var reservedBy: Int?
    var mediumLoaded = true

    public init(profile: LogicalUnitProfile) {
        self.profile = profile
    }

    /// Whether sense data for this unit is to be in descriptor format.
    public var descriptorSense: Bool { settings.descriptorSense }

    /// A session begins to use the unit.
    /// - Parameter attentions: what it hears at its first commands, besides that the unit is new to it.
    /// - Returns: the number by which the nexus is meant from now on.
    public mutating func attach(_ port: InitiatorPort, hearing attentions: [UnitAttention] = []) -> Int {
        let nexus = Nexus(port: port, attentions: UnitAttentions([.powerOn] + attentions))
        if let free = nexuses.firstIndex(where: { $0 == nil }) {
            nexuses[free] = nexus
            return free
        }
        nexuses.append(nexus)
        return nexuses.count - 1
    }

    /// The session has ended: what belongs to the nexus and not to the initiator's port goes with it.
    public mutating func detach(_ nexus: Int) {
        guard nexuses.indices.contains(nexus) else { return }
        nexuses[nexus] = nil
        if reservedBy == nexus { reservedBy = nil }
    }

    /// Tells every nexus, or every one but one, at its next command.
    public mutating func raise(_ attention: UnitAttention, except nexus: Int? = nil) {
        for index in nexuses.indices where index != nexus { nexuses[index]?.attentions.raise(attention) }
    }

    /// Tells one nexus at its next command.
    public mutating func raise(_ attention: UnitAttention, for nexus: Int) {
        if nexuses.indices.contains(nexus) { nexuses[nexus]?.attentions.raise(attention) }
    }

    /// The volume has another size now.
    public mutating func resize(bytes: UInt64) {
        let geometry = LogicalUnitGeometry(
            bytes: bytes, blockBytes: profile.geometry.blockBytes,
            physicalExponent: profile.geometry.physicalExponent)
        guard geometry != profile.geometry else { return }
        profile.geometry = geometry
        raise(.capacityChanged)
    }

    /// The volume may be written, or no longer.
    public mutating func setReadOnly(_ readOnly: Bool) {
        guard readOnly != profile.readOnly else { return }
        profile.readOnly = readOnly
        // The WP bit is in the header of the mode pages.
        raise(.modeParametersChanged)
    }

    /// LOGICAL UNIT RESET, or a reset of the target: everything but registrations goes back to its start. Every nexus
    /// hears of it, that of the request too (SAM-5 section 6.3.3).
    public mutating func reset() {
        reservedBy = nil
        settings = ModeSettings()
        for index in nexuses.indices { nexuses[index]?.preventsRemoval = false }
        raise(.logicalUnitReset)
    }

    /// Looks at a command and, unless it needs the store or more data, carries it out.
    ///
    /// The order of the checks is that of SAM-5: attention, form, reservation, readiness, write protection.
    /// - Parameters:
    ///   - command: as it arrived.
    ///   - nexus: on which it arrived.
    ///   - answer: cleared; holds the data for the initiator afterwards, cut at the allocation length.
    public mutating func begin(_ command: SCSICommand, nexus: Int, answer: inout [UInt8]) -> Dispatch {
        answer.removeAll(keepingCapacity: true)
        let block = command.block
        guard nexuses.indices.contains(nexus), let state = nexuses[nexus] else { return .failed(.unsupportedUnit) }
        if !state.attentions.isEmpty, !Self.passesAttention(block.opcode),
            let attention = nexuses[nexus]?.attentions.take()
        {
            return .failed(.unitAttention(attention.code))
        }
        do throws(Sense) {
            let decoded = try Command.decode(block, profile)
            guard !isConflict(decoded, nexus) else { return .conflict }
            try checkReady(decoded)
            let expected = command.writes ? command.expectedDataTransferLength : 0
            guard decoded.accepts(expected: expected, profile.geometry) else { throw Self.wrongLength(decoded) }
            return try perform(decoded, nexus, &answer)
        } catch {
            answer.removeAll(keepingCapacity: true)
            return .failed(error)
        }
    }

    /// COMPARE AND WRITE of more blocks than its one byte can count is a mistake in the command, not in its transport.
    private static func wrongLength(_ command: Command) -> Sense {
        if case .compareAndWrite = command { .invalidCommandField(byte: 13) } else { .invalidTransferLength }
    }

    /// INQUIRY, REPORT LUNS and REQUEST SENSE do not end with an attention (SAM-5 section 5.14).
    private static func passesAttention(_ opcode: UInt8) -> Bool {
        opcode == 0x12 || opcode == 0xa0 || opcode == 0x03
    }

    private func isConflict(_ command: Command, _ nexus: Int) -> Bool {
        if let holder = reservedBy, holder != nexus {
            switch command {
            case .inquiry, .requestSense, .reportLUNs, .release, .preventAllow(prevent: false): break
            default: return true
            }
        }
        switch command {
        case .reserve, .release:
            // One unit has one kind of reservations (SPC-4 section 5.13.1, no CRH).
            if !reservations.registrants.isEmpty { return true }
        case .persistentReserveOut:
            if reservedBy != nil { return true }
        default: break
        }
        guard reservations.reservation != nil, let port = nexuses[nexus]?.port else { return false }
        return reservations.conflicts(command.access, from: port)
    }

    /// Medium and write protection. What does not touch the medium does not care.
    private func checkReady(_ command: Command) throws(Sense) {
        switch command.access {
        case .read, .write, .flush:
            if !mediumLoaded { throw Sense(.notReady, .mediumNotPresent) }
        case .status:
            if !mediumLoaded { try checkStatusReady(command) }
        case .configuration, .reservation, .always: break
        }
        if command.access == .write, profile.readOnly || settings.writeProtect { throw .writeProtected }
    }

    private func checkStatusReady(_ command: Command) throws(Sense) {
        switch command {
        case .testUnitReady, .readCapacity10, .readCapacity16: throw Sense(.notReady, .mediumNotPresent)
        default: break
        }
    }
}
