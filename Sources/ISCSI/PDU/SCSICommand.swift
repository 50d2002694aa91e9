/// A command descriptor block of up to 16 bytes, as two integers, so that a command is a value without a pointer.
public struct CommandBlock: Equatable, Sendable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The block at the start of `bytes`; bytes that are not there count as zero.
    public init(_ bytes: UnsafeRawBufferPointer) {
        var high: UInt64 = 0
        var low: UInt64 = 0
        let reader = ByteReader(bytes)
        for index in 0..<8 {
            high = high << 8 | UInt64(reader.uint8(index))
            low = low << 8 | UInt64(reader.uint8(index + 8))
        }
        self.init(high: high, low: low)
    }

    /// Byte 0 to 15.
    public subscript(index: Int) -> UInt8 {
        let word = index < 8 ? high : low
        return UInt8(truncatingIfNeeded: word >> UInt64(56 &- (index & 7) &* 8))
    }

    public var opcode: UInt8 { UInt8(truncatingIfNeeded: high >> 56) }

    func uint16(_ index: Int) -> UInt16 {
        UInt16(self[index]) << 8 | UInt16(self[index &+ 1])
    }

    func uint24(_ index: Int) -> UInt32 {
        UInt32(self[index]) << 16 | UInt32(uint16(index &+ 1))
    }

    func uint32(_ index: Int) -> UInt32 {
        UInt32(uint16(index)) << 16 | UInt32(uint16(index &+ 2))
    }

    func uint64(_ index: Int) -> UInt64 {
        UInt64(uint32(index)) << 32 | UInt64(uint32(index &+ 4))
    }

    public var description: String {
        (0..<16).map { (self[$0] < 16 ? "0" : "") + String(self[$0], radix: 16) }.joined(separator: " ")
    }
}

/// How a task is to be ordered among the others of its nexus (SAM-5 section 8.6).
public enum TaskAttribute: UInt8, Sendable {
    case untagged = 0
    case simple = 1
    case ordered = 2
    case headOfQueue = 3
    case autoContingentAllegiance = 4
}

/// Carries a SCSI command and perhaps the first of its data (RFC 7143 section 11.3).
public struct SCSICommand: Equatable, Sendable {
    public let immediate: Bool
    /// No unsolicited Data-Out follows.
    public let final: Bool
    /// The R bit: the initiator expects data.
    public let reads: Bool
    /// The W bit: the initiator has data for us.
    public let writes: Bool
    /// Nil for the reserved values 5 to 7.
    public let attribute: TaskAttribute?
    public let lun: LogicalUnitNumber
    public let initiatorTaskTag: UInt32
    /// Bytes that the initiator expects to move: its buffer's size (EDTL).
    public let expectedDataTransferLength: UInt32
    public let cmdSN: UInt32
    public let expStatSN: UInt32
    public let block: CommandBlock
    /// Bytes of immediate data in this PDU.
    public let dataBytes: UInt32

    public init(_ bytes: UnsafeRawBufferPointer) {
        let reader = ByteReader(bytes)
        let flags = reader.uint8(1)
        immediate = reader.uint8(0) & 0x40 != 0
        final = flags & 0x80 != 0
        reads = flags & 0x40 != 0
        writes = flags & 0x20 != 0
        attribute = TaskAttribute(rawValue: flags & 7)
        dataBytes = reader.uint24(5)
        lun = LogicalUnitNumber(raw: reader.uint64(8))
        initiatorTaskTag = reader.uint32(16)
        expectedDataTransferLength = reader.uint32(20)
        cmdSN = reader.uint32(24)
        expStatSN = reader.uint32(28)
        block = CommandBlock(high: reader.uint64(32), low: reader.uint64(40))
    }
}
