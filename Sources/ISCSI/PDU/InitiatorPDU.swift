/// Why a header is not a PDU that a target can take.
public enum PDUError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Fewer than 48 bytes were given.
    case truncated(bytes: Int)
    /// No initiator sends this opcode.
    case unknownOpcode(UInt8)
    /// The data segment is longer than the MaxRecvDataSegmentLength that we declared.
    case dataTooLong(bytes: Int, limit: Int)

    public var description: String {
        switch self {
        case .truncated(let bytes): "the header has \(bytes) of 48 bytes"
        case .unknownOpcode(let opcode): "opcode \(String(opcode, radix: 16))h is not one of an initiator"
        case .dataTooLong(let bytes, let limit): "a data segment of \(bytes) bytes, where \(limit) are allowed"
        }
    }
}

/// Any PDU that an initiator sends, its header decoded; the payload stays where it was received.
public enum InitiatorPDU: Equatable, Sendable {
    case nopOut(NopOut)
    case scsiCommand(SCSICommand)
    case taskManagement(TaskManagementRequest)
    case login(LoginRequest)
    case text(TextRequest)
    case dataOut(DataOut)
    case logout(LogoutRequest)
    /// Selective negative acknowledgement: belongs to error recovery levels 1 and 2, always refused.
    case snack

    /// Decodes the 48 bytes of a header and checks its data length against what the connection allows.
    public init(_ bytes: UnsafeRawBufferPointer, framing: Framing) throws(PDUError) {
        guard bytes.count >= BasicHeader.size else { throw .truncated(bytes: bytes.count) }
        let header = BasicHeader(bytes)
        guard let opcode = header.initiatorOpcode else { throw .unknownOpcode(header.opcode) }
        guard header.dataBytes <= framing.maxReceiveData else {
            throw .dataTooLong(bytes: header.dataBytes, limit: framing.maxReceiveData)
        }
        switch opcode {
        case .nopOut: self = .nopOut(NopOut(bytes))
        case .scsiCommand: self = .scsiCommand(SCSICommand(bytes))
        case .taskManagement: self = .taskManagement(TaskManagementRequest(bytes))
        case .login: self = .login(LoginRequest(bytes))
        case .text: self = .text(TextRequest(bytes))
        case .dataOut: self = .dataOut(DataOut(bytes))
        case .logout: self = .logout(LogoutRequest(bytes))
        case .snack: self = .snack
        }
    }
}
