/// The part that every PDU header has in common (RFC 7143 section 11.2.1): enough to find where the PDU ends.
///
/// Read it from the first 48 bytes as soon as they are there, then wait for `pduLength`.
public struct BasicHeader: Equatable, Sendable {
    /// Bytes of a header without additional segments.
    public static let size = 48

    /// The low six bits of byte 0; perhaps no known opcode.
    public let opcode: UInt8
    /// The I bit: deliver at once, whatever the order of CmdSN.
    public let immediate: Bool
    /// The F bit (T in a login request): the last PDU of a sequence.
    public let final: Bool
    /// Bytes of additional header segments, a multiple of four, at most 1020.
    public let additionalBytes: Int
    /// Bytes of data, without padding, at most 2^24 - 1.
    public let dataBytes: Int
    public let lun: LogicalUnitNumber
    public let initiatorTaskTag: UInt32

    /// Reads the header at the start of `bytes`. With fewer than 48 bytes the missing ones read as zero.
    public init(_ bytes: UnsafeRawBufferPointer) {
        let reader = ByteReader(bytes)
        opcode = reader.uint8(0) & 0x3f
        immediate = reader.uint8(0) & 0x40 != 0
        final = reader.uint8(1) & 0x80 != 0
        additionalBytes = Int(reader.uint8(4)) * 4
        dataBytes = Int(reader.uint24(5))
        lun = LogicalUnitNumber(raw: reader.uint64(8))
        initiatorTaskTag = reader.uint32(16)
    }

    /// The opcode, when an initiator may send it.
    public var initiatorOpcode: InitiatorOpcode? { InitiatorOpcode(rawValue: opcode) }

    /// A tag that names no task (RFC 7143 section 11.2.1.8).
    public static let reservedTag: UInt32 = 0xffff_ffff

    /// Zero bytes that follow the data up to a multiple of four.
    public var padding: Int { -dataBytes & 3 }

    /// Bytes of the header with its additional segments and, if digests are on, its digest.
    public func headerLength(_ framing: Framing) -> Int {
        Self.size + additionalBytes + (framing.headerDigest ? CRC32C.size : 0)
    }

    /// Bytes of the data segment with padding and, if digests are on and there is data, its digest.
    public func dataLength(_ framing: Framing) -> Int {
        guard dataBytes > 0 else { return 0 }
        return dataBytes + padding + (framing.dataDigest ? CRC32C.size : 0)
    }

    /// Bytes of the whole PDU on the wire.
    public func pduLength(_ framing: Framing) -> Int {
        headerLength(framing) + dataLength(framing)
    }
}

/// What a connection agreed on about the shape of its PDUs. During login: no digests, and 8192 bytes of data
/// (RFC 7143 section 13.12).
public struct Framing: Equatable, Sendable {
    public var headerDigest: Bool
    public var dataDigest: Bool
    /// The most data that one PDU towards us may carry: our declared MaxRecvDataSegmentLength.
    public var maxReceiveData: Int

    public init(headerDigest: Bool, dataDigest: Bool, maxReceiveData: Int) {
        self.headerDigest = headerDigest
        self.dataDigest = dataDigest
        self.maxReceiveData = maxReceiveData
    }

    public static let login = Framing(headerDigest: false, dataDigest: false, maxReceiveData: 8192)
}

/// The sequence numbers that nearly every answer of a target carries.
public struct StatusNumbers: Equatable, Sendable {
    /// Number of this status; meaningless where the PDU carries none.
    public var statSN: UInt32
    public var expCmdSN: UInt32
    public var maxCmdSN: UInt32

    public init(statSN: UInt32, expCmdSN: UInt32, maxCmdSN: UInt32) {
        self.statSN = statSN
        self.expCmdSN = expCmdSN
        self.maxCmdSN = maxCmdSN
    }

    /// All three stand at the same place in every PDU of a target (bytes 24 to 35).
    func write(_ writer: ByteWriter) {
        writer.uint32(24, statSN)
        writer.uint32(28, expCmdSN)
        writer.uint32(32, maxCmdSN)
    }
}
