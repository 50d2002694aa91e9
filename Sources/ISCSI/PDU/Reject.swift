/// Why a PDU was refused (RFC 7143 section 11.17.1).
public enum RejectReason: UInt8, Sendable {
    case dataDigestError = 0x02
    case snackReject = 0x03
    case protocolError = 0x04
    case commandNotSupported = 0x05
    case tooManyImmediateCommands = 0x06
    case taskInProgress = 0x07
    case invalidDataACK = 0x08
    case invalidPDUField = 0x09
    case longOperation = 0x0a
    case negotiationReset = 0x0b
    case waitingForLogout = 0x0c
}

/// Says that a PDU was refused; the data segment holds the 48 bytes of its header (RFC 7143 section 11.17).
public struct Reject: Equatable, Sendable {
    public var reason: RejectReason
    public var numbers: StatusNumbers

    public init(reason: RejectReason, numbers: StatusNumbers) {
        self.reason = reason
        self.numbers = numbers
    }

    /// Bytes that follow the header: that of the PDU that was refused.
    public static let dataBytes = BasicHeader.size

    /// Writes the 48 bytes of the header; the refused header follows as data.
    public func encode(into bytes: UnsafeMutableRawBufferPointer) {
        let writer = ByteWriter(clearing: bytes, count: BasicHeader.size)
        writer.uint8(0, TargetOpcode.reject.rawValue)
        writer.uint8(1, 0x80)
        writer.uint8(2, reason.rawValue)
        writer.uint24(5, UInt32(Self.dataBytes))
        writer.uint32(16, BasicHeader.reservedTag)
        numbers.write(writer)
    }
}
