extension Command {
    /// The commands that move no blocks. The order is that of the opcodes.
    static func decodeControl(_ block: CommandBlock, _ profile: LogicalUnitProfile) throws(Sense) -> Command {
        switch block.opcode {
        case 0x00:
            try checkControl(block, at: 5)
            return .testUnitReady
        case 0x03:
            try checkControl(block, at: 5)
            return .requestSense(descriptorFormat: block[1] & 0x01 != 0, allocation: UInt32(block[4]))
        case 0x12: return try decodeInquiry(block)
        case 0x15, 0x55: return try decodeModeSelect(block)
        case 0x16, 0x56: return try decodeReserve(block, .reserve)
        case 0x17, 0x57: return try decodeReserve(block, .release)
        case 0x1a, 0x5a: return try decodeModeSense(block)
        case 0x1b: return try decodeStartStop(block, profile)
        case 0x1e: return try decodePreventAllow(block, profile)
        case 0x25:
            try checkControl(block, at: 9)
            // The LBA and PMI fields are obsolete since SBC-3; older initiators send zeros.
            return .readCapacity10
        case 0x5e: return try decodeReserveIn(block)
        case 0x5f: return try decodeReserveOut(block)
        case 0x9e: return try decodeServiceIn16(block, profile)
        case 0xa0:
            try checkControl(block, at: 11)
            return .reportLUNs(select: block[2], allocation: block.uint32(6))
        case 0xa3: return try decodeMaintenanceIn(block)
        default: throw .invalidOpcode
        }
    }

    private static func decodeInquiry(_ block: CommandBlock) throws(Sense) -> Command {
        try checkControl(block, at: 5)
        // CMDDT is obsolete; a page code without EVPD is a mistake (SPC-4 section 6.4.1).
        guard block[1] & 0x02 == 0 else { throw .invalidCommandField(byte: 1, bit: 1) }
        let wantsPage = block[1] & 0x01 != 0
        guard wantsPage || block[2] == 0 else { throw .invalidCommandField(byte: 2) }
        return .inquiry(page: wantsPage ? block[2] : nil, allocation: UInt32(block.uint16(3)))
    }

    private static func decodeModeSense(_ block: CommandBlock) throws(Sense) -> Command {
        let long = block.opcode == 0x5a
        try checkControl(block, at: long ? 9 : 5)
        guard let control = ModeSenseRequest.Control(rawValue: block[2] >> 6) else {
            throw .invalidCommandField(byte: 2, bit: 7)
        }
        guard control != .saved else { throw Sense(.illegalRequest, .savingParametersNotSupported) }
        return .modeSense(
            ModeSenseRequest(
                longForm: long, longBlocks: long && block[1] & 0x10 != 0, omitBlocks: block[1] & 0x08 != 0,
                control: control, page: block[2] & 0x3f, subpage: block[3],
                allocation: long ? UInt32(block.uint16(7)) : UInt32(block[4])))
    }

    private static func decodeModeSelect(_ block: CommandBlock) throws(Sense) -> Command {
        let long = block.opcode == 0x55
        try checkControl(block, at: long ? 9 : 5)
        // PF: pages as SPC has them. SP: nothing is saved.
        guard block[1] & 0x10 != 0 else { throw .invalidCommandField(byte: 1, bit: 4) }
        guard block[1] & 0x01 == 0 else { throw .invalidCommandField(byte: 1, bit: 0) }
        return .modeSelect(
            ModeSelectRequest(longForm: long, parameterBytes: long ? UInt32(block.uint16(7)) : UInt32(block[4])))
    }

    private static func decodeReserve(_ block: CommandBlock, _ command: Command) throws(Sense) -> Command {
        let long = block.opcode & 0x40 != 0
        try checkControl(block, at: long ? 9 : 5)
        // Third-party and extent reservations are obsolete since SPC-2.
        guard block[1] & (long ? 0x13 : 0x11) == 0 else { throw .invalidCommandField(byte: 1, bit: 4) }
        return command
    }

    private static func decodeStartStop(_ block: CommandBlock, _ profile: LogicalUnitProfile) throws(Sense) -> Command {
        try checkControl(block, at: 5)
        // A POWER CONDITION changes nothing here, and with one START and LOEJ are ignored (SBC-3 section 5.25).
        let power = block[4] >> 4
        let loadEject = power == 0 && block[4] & 0x02 != 0
        guard !loadEject || profile.removable else { throw .invalidCommandField(byte: 4, bit: 1) }
        return .startStopUnit(
            StartStopRequest(
                start: power != 0 || block[4] & 0x01 != 0, loadEject: loadEject, flush: block[4] & 0x04 == 0))
    }

    private static func decodePreventAllow(
        _ block: CommandBlock, _ profile: LogicalUnitProfile
    ) throws(Sense) -> Command {
        try checkControl(block, at: 5)
        guard profile.removable else { throw .invalidOpcode }
        guard block[4] & 0x02 == 0 else { throw .invalidCommandField(byte: 4, bit: 1) }
        return .preventAllow(prevent: block[4] & 0x01 != 0)
    }

    private static func decodeServiceIn16(
        _ block: CommandBlock, _ profile: LogicalUnitProfile
    ) throws(Sense) -> Command {
        switch block[1] & 0x1f {
        case 0x10:
            try checkControl(block, at: 15)
            return .readCapacity16(allocation: block.uint32(10))
        case 0x12:
            try checkControl(block, at: 15)
            let lba = block.uint64(2)
            guard lba < profile.geometry.blockCount else {
                throw outOfRange(BlockRange(lba: lba, count: 1), profile.geometry)
            }
            return .getLBAStatus(lba: lba, allocation: block.uint32(10))
        default: throw .invalidCommandField(byte: 1, bit: 4)
        }
    }

    private static func decodeMaintenanceIn(_ block: CommandBlock) throws(Sense) -> Command {
        let allocation = block.uint32(6)
        switch block[1] & 0x1f {
        case 0x0a:
            try checkControl(block, at: 11)
            let format = block[1] >> 5
            guard format <= 1 else { throw .invalidCommandField(byte: 1, bit: 7) }
            return .reportTargetPortGroups(extended: format == 1, allocation: allocation)
        case 0x0c:
            try checkControl(block, at: 11)
            return .reportSupportedOpcodes(
                SupportedOpcodesRequest(
                    subject: try opcodesSubject(block), timeouts: block[2] & 0x80 != 0, allocation: allocation))
        case 0x0d:
            try checkControl(block, at: 11)
            return .reportSupportedTaskManagement(extended: block[2] & 0x80 != 0, allocation: allocation)
        default: throw .invalidCommandField(byte: 1, bit: 4)
        }
    }

    private static func opcodesSubject(_ block: CommandBlock) throws(Sense) -> SupportedOpcodesRequest.Subject {
        switch block[2] & 0x07 {
        case 0: .all
        case 1: .opcode(block[3])
        case 2: .serviceAction(block[3], block.uint16(4))
        case 3: .either(block[3], block.uint16(4))
        default: throw .invalidCommandField(byte: 2, bit: 2)
        }
    }

    private static func decodeReserveIn(_ block: CommandBlock) throws(Sense) -> Command {
        try checkControl(block, at: 9)
        guard let action = PersistentReserveInAction(rawValue: block[1] & 0x1f) else {
            throw .invalidCommandField(byte: 1, bit: 4)
        }
        return .persistentReserveIn(action, allocation: UInt32(block.uint16(7)))
    }

    private static func decodeReserveOut(_ block: CommandBlock) throws(Sense) -> Command {
        try checkControl(block, at: 9)
        guard let action = PersistentReserveOutAction(rawValue: block[1] & 0x1f) else {
            throw .invalidCommandField(byte: 1, bit: 4)
        }
        let type = PersistentReservationType(rawValue: block[2] & 0x0f)
        switch action {
        case .reserve, .release, .preempt, .preemptAndAbort:
            // Scope 0 is the logical unit; others are obsolete.
            guard block[2] >> 4 == 0 else { throw .invalidCommandField(byte: 2, bit: 7) }
            guard type != nil else { throw .invalidCommandField(byte: 2, bit: 3) }
        case .register, .registerAndIgnore, .clear: break
        }
        return .persistentReserveOut(
            PersistentReserveOutRequest(action: action, type: type, parameterBytes: block.uint32(5)))
    }
}
