/// Asks for or offers text keys in the full feature phase, SendTargets above all (RFC 7143 section 11.10).
public struct TextRequest: Equatable, Sendable {
    public let immediate: Bool
    public let final: Bool
    /// The C bit: the text goes on in the next request.
    public let continues: Bool
    public let lun: LogicalUnitNumber
    public let initiatorTaskTag: UInt32
    /// All ones in a new exchange, else the tag of the response that this continues.
    public let targetTransferTag: UInt32
    public let cmdSN: UInt32
    public let expStatSN: UInt32
    public let dataBytes: UInt32

    public init(_ bytes: UnsafeRawBufferPointer) {
        let reader = ByteReader(bytes)
        immediate = reader.uint8(0) & 0x40 != 0
        final = reader.uint8(1) & 0x80 != 0
        continues = reader.uint8(1) & 0x40 != 0
        dataBytes = reader.uint24(5)
        lun = LogicalUnitNumber(raw: reader.uint64(8))
        initiatorTaskTag = reader.uint32(16)
        targetTransferTag = reader.uint32(20)
        cmdSN = reader.uint32(24)
        expStatSN = reader.uint32(28)
    }
}

/// The target's answer to a text request (RFC 7143 section 11.11).
public struct TextResponse: Equatable, Sendable {
    public var final: Bool
    public var continues: Bool
    public var initiatorTaskTag: UInt32
    /// All ones when the exchange ends here.
    public var targetTransferTag: UInt32
    public var numbers: StatusNumbers

    public init(
        final: Bool, continues: Bool, initiatorTaskTag: UInt32, targetTransferTag: UInt32, numbers: StatusNumbers
    ) {
        self.final = final
        self.continues = continues
        self.initiatorTaskTag = initiatorTaskTag
        self.targetTransferTag = targetTransferTag
        self.numbers = numbers
    }

    /// Writes the 48 bytes of the header; `dataBytes` of text keys follow.
    public func encode(dataBytes: Int, into bytes: UnsafeMutableRawBufferPointer) {
        let writer = ByteWriter(clearing: bytes, count: BasicHeader.size)
        writer.uint8(0, TargetOpcode.text.rawValue)
        writer.uint8(1, (final ? 0x80 : 0) | (continues ? 0x40 : 0))
        writer.uint24(5, UInt32(truncatingIfNeeded: dataBytes))
        writer.uint32(16, initiatorTaskTag)
        writer.uint32(20, targetTransferTag)
        numbers.write(writer)
    }
}
