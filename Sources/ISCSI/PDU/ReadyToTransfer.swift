/// Asks the initiator for one burst of a write's data (RFC 7143 section 11.8).
public struct ReadyToTransfer: Equatable, Sendable {
    public var lun: LogicalUnitNumber
    public var initiatorTaskTag: UInt32
    public var targetTransferTag: UInt32
    /// `statSN` is the next one to be used; an R2T does not use it up.
    public var numbers: StatusNumbers
    public var r2tSN: UInt32
    public var bufferOffset: UInt32
    public var desiredLength: UInt32

    public init(
        lun: LogicalUnitNumber, initiatorTaskTag: UInt32, targetTransferTag: UInt32, numbers: StatusNumbers,
        r2tSN: UInt32, bufferOffset: UInt32, desiredLength: UInt32
    ) {
        self.lun = lun
        self.initiatorTaskTag = initiatorTaskTag
        self.targetTransferTag = targetTransferTag
        self.numbers = numbers
        self.r2tSN = r2tSN
        self.bufferOffset = bufferOffset
        self.desiredLength = desiredLength
    }

    /// Writes the 48 bytes of the header; no data follows.
    public func encode(into bytes: UnsafeMutableRawBufferPointer) {
        let writer = ByteWriter(clearing: bytes, count: BasicHeader.size)
        writer.uint8(0, TargetOpcode.readyToTransfer.rawValue)
        writer.uint8(1, 0x80)
        writer.uint64(8, lun.raw)
        writer.uint32(16, initiatorTaskTag)
        writer.uint32(20, targetTransferTag)
        numbers.write(writer)
        writer.uint32(36, r2tSN)
        writer.uint32(40, bufferOffset)
        writer.uint32(44, desiredLength)
    }
}
