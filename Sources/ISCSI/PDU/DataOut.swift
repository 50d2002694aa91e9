/// Carries data of a write: unsolicited, or in answer to an R2T (RFC 7143 section 11.7).
public struct DataOut: Equatable, Sendable {
    /// Ends the unsolicited burst or the answer to one R2T.
    public let final: Bool
    public let lun: LogicalUnitNumber
    public let initiatorTaskTag: UInt32
    /// The tag of the R2T that this answers; all ones when unsolicited.
    public let targetTransferTag: UInt32
    public let expStatSN: UInt32
    public let dataSN: UInt32
    public let bufferOffset: UInt32
    public let dataBytes: UInt32

    public init(_ bytes: UnsafeRawBufferPointer) {
        let reader = ByteReader(bytes)
        final = reader.uint8(1) & 0x80 != 0
        dataBytes = reader.uint24(5)
        lun = LogicalUnitNumber(raw: reader.uint64(8))
        initiatorTaskTag = reader.uint32(16)
        targetTransferTag = reader.uint32(20)
        expStatSN = reader.uint32(28)
        dataSN = reader.uint32(36)
        bufferOffset = reader.uint32(40)
    }

    public var isUnsolicited: Bool { targetTransferTag == BasicHeader.reservedTag }
}
