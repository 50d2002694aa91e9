/// How a SCSI task ended (SAM-5 section 5.3).
public enum SCSIStatus: UInt8, Sendable {
    case good = 0x00
    case checkCondition = 0x02
    case conditionMet = 0x04
    case busy = 0x08
    case reservationConflict = 0x18
    case taskSetFull = 0x28
    case taskAborted = 0x40
}

/// The difference between what the initiator expected to move and what the command moved (RFC 7143 section 11.4.5.1).
public enum Residual: Equatable, Sendable {
    case none
    /// The command moved this many bytes fewer than expected.
    case underflow(UInt32)
    /// The command had this many bytes more to move than the initiator has room or data for.
    case overflow(UInt32)

    /// The residual of a command that has `available` bytes to move when the initiator expects `expected`.
    public init(available: UInt64, expected: UInt32) {
        if available < UInt64(expected) {
            self = .underflow(expected &- UInt32(truncatingIfNeeded: available))
        } else if available > UInt64(expected) {
            self = .overflow(UInt32(clamping: available - UInt64(expected)))
        } else {
            self = .none
        }
    }

    /// The U or O flag, at the bits where a SCSI response and a Data-In have them.
    var flags: UInt8 {
        switch self {
        case .none: 0
        case .underflow: 0x02
        case .overflow: 0x04
        }
    }

    var count: UInt32 {
        switch self {
        case .none: 0
        case .underflow(let count), .overflow(let count): count
        }
    }
}

/// Ends a SCSI task whose status did not travel in a Data-In (RFC 7143 section 11.4).
public struct SCSIResponse: Equatable, Sendable {
    public var initiatorTaskTag: UInt32
    public var status: SCSIStatus
    public var residual: Residual
    /// R2T and Data-In PDUs that the task sent; the initiator checks that none is lost.
    public var expDataSN: UInt32
    public var numbers: StatusNumbers

    public init(
        initiatorTaskTag: UInt32, status: SCSIStatus, residual: Residual, expDataSN: UInt32, numbers: StatusNumbers
    ) {
        self.initiatorTaskTag = initiatorTaskTag
        self.status = status
        self.residual = residual
        self.expDataSN = expDataSN
        self.numbers = numbers
    }

    /// Writes the 48 bytes of the header. After CHECK CONDITION `dataBytes` counts the two bytes of SenseLength and the
    /// sense data behind them (RFC 7143 section 11.4.7).
    public func encode(dataBytes: Int, into bytes: UnsafeMutableRawBufferPointer) {
        let writer = ByteWriter(clearing: bytes, count: BasicHeader.size)
        writer.uint8(0, TargetOpcode.scsiResponse.rawValue)
        writer.uint8(1, 0x80 | residual.flags)
        // Byte 2: response 0, command completed at target.
        writer.uint8(3, status.rawValue)
        writer.uint24(5, UInt32(truncatingIfNeeded: dataBytes))
        writer.uint32(16, initiatorTaskTag)
        numbers.write(writer)
        writer.uint32(36, expDataSN)
        writer.uint32(44, residual.count)
    }
}
