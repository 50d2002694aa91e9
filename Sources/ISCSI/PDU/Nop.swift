/// The initiator's ping, or its answer to ours (RFC 7143 section 11.18).
public struct NopOut: Equatable, Sendable {
    public let immediate: Bool
    public let lun: LogicalUnitNumber
    /// All ones when no answer is wanted; then the PDU must be immediate.
    public let initiatorTaskTag: UInt32
    /// The tag of our ping that this answers; all ones in a ping of the initiator's own.
    public let targetTransferTag: UInt32
    public let cmdSN: UInt32
    public let expStatSN: UInt32
    public let dataBytes: UInt32

    public init(_ bytes: UnsafeRawBufferPointer) {
        let reader = ByteReader(bytes)
        immediate = reader.uint8(0) & 0x40 != 0
        dataBytes = reader.uint24(5)
        lun = LogicalUnitNumber(raw: reader.uint64(8))
        initiatorTaskTag = reader.uint32(16)
        targetTransferTag = reader.uint32(20)
        cmdSN = reader.uint32(24)
        expStatSN = reader.uint32(28)
    }

    /// Whether the initiator waits for a NOP-In with its tag and its data.
    public var wantsAnswer: Bool { initiatorTaskTag != BasicHeader.reservedTag }
}

/// The target's answer to a ping, or a ping of its own (RFC 7143 section 11.19).
public struct NopIn: Equatable, Sendable {
    public var lun: LogicalUnitNumber
    /// All ones in a ping of our own; then `statSN` is not used up.
    public var initiatorTaskTag: UInt32
    /// All ones unless we want an answer.
    public var targetTransferTag: UInt32
    public var numbers: StatusNumbers

    public init(
        lun: LogicalUnitNumber, initiatorTaskTag: UInt32, targetTransferTag: UInt32, numbers: StatusNumbers
    ) {
        self.lun = lun
        self.initiatorTaskTag = initiatorTaskTag
        self.targetTransferTag = targetTransferTag
        self.numbers = numbers
    }

    /// The answer to `request`.
    public init(answering request: NopOut, numbers: StatusNumbers) {
        self.init(
            lun: LogicalUnitNumber(raw: 0), initiatorTaskTag: request.initiatorTaskTag,
            targetTransferTag: BasicHeader.reservedTag, numbers: numbers)
    }

    /// Writes the 48 bytes of the header; `dataBytes` of the ping's data follow.
    public func encode(dataBytes: Int, into bytes: UnsafeMutableRawBufferPointer) {
        let writer = ByteWriter(clearing: bytes, count: BasicHeader.size)
        writer.uint8(0, TargetOpcode.nopIn.rawValue)
        writer.uint8(1, 0x80)
        writer.uint24(5, UInt32(truncatingIfNeeded: dataBytes))
        writer.uint64(8, lun.raw)
        writer.uint32(16, initiatorTaskTag)
        writer.uint32(20, targetTransferTag)
        numbers.write(writer)
    }
}
