/// A SCSI command, decoded and checked against the unit's shape: every one that is implemented, and no other.
public enum Command: Equatable, Sendable {
    // Commands that the store performs. Their ranges lie inside the unit.
    case read(BlockRange, forceUnitAccess: Bool)
    case write(BlockRange, forceUnitAccess: Bool)
    /// With `compare` the initiator sends the blocks to compare with.
    case verify(BlockRange, compare: Bool)
    /// Writes and reads back; with `compare` the bytes are compared. What it wrote is durable at the end.
    case writeAndVerify(BlockRange, compare: Bool)
    /// Data: first the blocks to compare with, then as many to write if all are equal.
    case compareAndWrite(BlockRange, forceUnitAccess: Bool)
    /// Each block becomes itself or'ed with the data.
    case orWrite(BlockRange, forceUnitAccess: Bool)
    case writeSame(BlockRange, SameContent, unmap: Bool)
    /// The parameter list is read by `UnmapList`.
    case unmap(parameterBytes: UInt32)
    case synchronizeCache(immediate: Bool)
    case preFetch(BlockRange, immediate: Bool)
    /// The answer is made by `LBAStatus`.
    case getLBAStatus(lba: UInt64, allocation: UInt32)

    // Commands that the device server answers by itself.
    case testUnitReady
    case requestSense(descriptorFormat: Bool, allocation: UInt32)
    /// Nil asks for the standard data.
    case inquiry(page: UInt8?, allocation: UInt32)
    case readCapacity10
    case readCapacity16(allocation: UInt32)
    case reportLUNs(select: UInt8, allocation: UInt32)
    case modeSense(ModeSenseRequest)
    case modeSelect(ModeSelectRequest)
    case startStopUnit(StartStopRequest)
    case preventAllow(prevent: Bool)
    case reserve
    case release
    case persistentReserveIn(PersistentReserveInAction, allocation: UInt32)
    case persistentReserveOut(PersistentReserveOutRequest)
    case reportSupportedOpcodes(SupportedOpcodesRequest)
    case reportSupportedTaskManagement(extended: Bool, allocation: UInt32)
    case reportTargetPortGroups(extended: Bool, allocation: UInt32)

    /// What WRITE SAME writes into each block.
    public enum SameContent: Equatable, Sendable {
        /// One block that the initiator sends.
        case block
        /// Zeros; the initiator sends nothing (NDOB).
        case zeros
    }

    /// Bytes that the initiator has to send with the command.
    public func dataOutBytes(_ geometry: LogicalUnitGeometry) -> UInt64 {
        switch self {
        case .write(let range, _), .orWrite(let range, _), .writeAndVerify(let range, _), .verify(let range, true):
            range.byteCount(geometry)
        case .compareAndWrite(let range, _): range.byteCount(geometry) &* 2
        case .writeSame(_, .block, _): UInt64(geometry.blockBytes)
        case .unmap(let bytes): UInt64(bytes)
        case .modeSelect(let request): UInt64(request.parameterBytes)
        case .persistentReserveOut(let request): UInt64(request.parameterBytes)
        case .read, .verify(_, false), .writeSame(_, .zeros, _), .synchronizeCache, .preFetch, .getLBAStatus: 0
        case .testUnitReady, .requestSense, .inquiry, .readCapacity10, .readCapacity16, .reportLUNs, .modeSense,
            .startStopUnit, .preventAllow, .reserve, .release, .persistentReserveIn, .reportSupportedOpcodes,
            .reportSupportedTaskManagement, .reportTargetPortGroups:
            0
        }
    }

    /// Whether a transfer of `expected` bytes towards us suits the command. A WRITE may be cut at a block's end; where
    /// the layout depends on the length (COMPARE AND WRITE, WRITE SAME, comparing VERIFY) it must be exact.
    public func accepts(expected: UInt32, _ geometry: LogicalUnitGeometry) -> Bool {
        let required = dataOutBytes(geometry)
        switch self {
        case .write, .orWrite, .writeAndVerify:
            return UInt64(expected) >= required || expected % geometry.blockBytes == 0
        case .compareAndWrite, .writeSame(_, .block, _), .verify(_, true):
            return UInt64(expected) == required
        case .read, .verify(_, false), .writeSame(_, .zeros, _), .unmap, .synchronizeCache, .preFetch, .getLBAStatus:
            return true
        case .testUnitReady, .requestSense, .inquiry, .readCapacity10, .readCapacity16, .reportLUNs, .modeSense,
            .startStopUnit, .preventAllow, .reserve, .release, .persistentReserveIn, .reportSupportedOpcodes,
            .reportSupportedTaskManagement, .reportTargetPortGroups, .modeSelect,
            .persistentReserveOut:
            return true
        }
    }

    /// What the command does to the medium, as write protection and reservations see it.
    var access: Access {
        switch self {
        case .read, .verify, .preFetch, .getLBAStatus: .read
        case .write, .writeAndVerify, .compareAndWrite, .orWrite, .writeSame, .unmap: .write
        case .synchronizeCache: .flush
        case .modeSense, .modeSelect, .reportSupportedOpcodes, .reportSupportedTaskManagement: .configuration
        case .startStopUnit(let request): request.start ? .status : .configuration
        case .preventAllow(let prevent): prevent ? .configuration : .status
        case .testUnitReady, .readCapacity10, .readCapacity16, .reportTargetPortGroups: .status
        case .requestSense, .inquiry, .reportLUNs: .always
        case .reserve, .release, .persistentReserveIn, .persistentReserveOut: .reservation
        }
    }

    enum Access {
        case read
        case write
        case flush
        case configuration
        case status
        case reservation
        case always
    }
}

/// MODE SENSE (6) or (10).
public struct ModeSenseRequest: Equatable, Sendable {
    public enum Control: UInt8, Sendable {
        case current = 0
        case changeable = 1
        case defaults = 2
        case saved = 3
    }

    public let longForm: Bool
    public let longBlocks: Bool
    public let omitBlocks: Bool
    public let control: Control
    public let page: UInt8
    public let subpage: UInt8
    public let allocation: UInt32
}

/// MODE SELECT (6) or (10).
public struct ModeSelectRequest: Equatable, Sendable {
    public let longForm: Bool
    public let parameterBytes: UInt32
}

/// START STOP UNIT.
public struct StartStopRequest: Equatable, Sendable {
    public let start: Bool
    /// The LOEJ bit: stop ejects the medium, start loads it.
    public let loadEject: Bool
    public let flush: Bool
}

/// REPORT SUPPORTED OPERATION CODES.
public struct SupportedOpcodesRequest: Equatable, Sendable {
    public enum Subject: Equatable, Sendable {
        case all
        /// One command that has no service actions.
        case opcode(UInt8)
        case serviceAction(UInt8, UInt16)
        /// Either, told by whether the opcode has service actions (option 3).
        case either(UInt8, UInt16)
    }

    public let subject: Subject
    public let timeouts: Bool
    public let allocation: UInt32
}
