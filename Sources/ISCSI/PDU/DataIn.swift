/// Carries data of a read towards the initiator, the last one perhaps the status too (RFC 7143 section 11.7).
public struct DataIn: Equatable, Sendable {
    public var final: Bool
    /// The task's end, when it travels here (the S bit): status and residual. Only without sense data.
    public var ending: Ending?
    public var lun: LogicalUnitNumber
    public var initiatorTaskTag: UInt32
    /// `statSN` counts only when `ending` is there.
    public var numbers: StatusNumbers
    public var dataSN: UInt32
    /// Offset of this data in the initiator's buffer.
    public var bufferOffset: UInt32

    public struct Ending: Equatable, Sendable {
        public var status: SCSIStatus
        public var residual: Residual

        public init(status: SCSIStatus, residual: Residual) {
            self.status = status
            self.residual = residual
        }
    }

    public init(
        final: Bool, ending: Ending?, lun: LogicalUnitNumber, initiatorTaskTag: UInt32, numbers: StatusNumbers,
        dataSN: UInt32, bufferOffset: UInt32
    ) {
        self.final = final
        self.ending = ending
        self.lun = lun
        self.initiatorTaskTag = initiatorTaskTag
        self.numbers = numbers
        self.dataSN = dataSN
        self.bufferOffset = bufferOffset
    }

    /// Writes the 48 bytes of the header; `dataBytes` of the read's data follow.
    public func encode(dataBytes: Int, into bytes: UnsafeMutableRawBufferPointer) {
        let writer = ByteWriter(clearing: bytes, count: BasicHeader.size)
        writer.uint8(0, TargetOpcode.dataIn.rawValue)
        var flags: UInt8 = final ? 0x80 : 0
        var sent = numbers
        if let ending {
            flags |= 0x01 | ending.residual.flags
            writer.uint8(3, ending.status.rawValue)
            writer.uint32(44, ending.residual.count)
        } else {
            sent.statSN = 0
        }
        writer.uint8(1, flags)
        writer.uint24(5, UInt32(truncatingIfNeeded: dataBytes))
        // LUN and target transfer tag count only with the A bit, which error recovery level 0 never sets; a tag that is
        // not valid is sent as all ones (section 11.7.4).
        writer.uint64(8, lun.raw)
        writer.uint32(16, initiatorTaskTag)
        writer.uint32(20, BasicHeader.reservedTag)
        sent.write(writer)
        writer.uint32(36, dataSN)
        writer.uint32(40, bufferOffset)
    }
}
