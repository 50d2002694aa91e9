/// The three stages a login passes through (RFC 7143 section 11.12.3); 2 is not assigned.
public enum LoginStage: UInt8, Sendable {
    case security = 0
    case operational = 1
    case fullFeature = 3
}

/// The initiator's part of a session's name (RFC 7143 section 11.12.5): 48 bits, kept in the low end of an integer.
public struct InitiatorSessionID: Equatable, Hashable, Sendable, CustomStringConvertible {
    public let raw: UInt64

    public init(raw: UInt64) {
        self.raw = raw & 0xffff_ffff_ffff
    }

    public var description: String {
        let digits = String(raw, radix: 16)
        return "0x" + String(repeating: "0", count: 12 - digits.count) + digits
    }
}

/// Asks for a login or for its next step (RFC 7143 section 11.12). Its data segment holds text keys.
public struct LoginRequest: Equatable, Sendable {
    /// The T bit: ready to go on to `nextStage`.
    public let transit: Bool
    /// The C bit: the text goes on in the next request.
    public let continues: Bool
    /// Nil when the two bits name no stage.
    public let currentStage: LoginStage?
    /// Nil when the two bits name no stage; means something only with `transit`.
    public let nextStage: LoginStage?
    public let versionMax: UInt8
    public let versionMin: UInt8
    public let isid: InitiatorSessionID
    /// Target session identifying handle: zero asks for a new session.
    public let tsih: UInt16
    public let initiatorTaskTag: UInt32
    public let connectionID: UInt16
    public let cmdSN: UInt32
    public let expStatSN: UInt32

    public init(_ bytes: UnsafeRawBufferPointer) {
        let reader = ByteReader(bytes)
        let flags = reader.uint8(1)
        transit = flags & 0x80 != 0
        continues = flags & 0x40 != 0
        currentStage = LoginStage(rawValue: flags >> 2 & 3)
        nextStage = LoginStage(rawValue: flags & 3)
        versionMax = reader.uint8(2)
        versionMin = reader.uint8(3)
        isid = InitiatorSessionID(raw: UInt64(reader.uint32(8)) << 16 | UInt64(reader.uint16(12)))
        tsih = reader.uint16(14)
        initiatorTaskTag = reader.uint32(16)
        connectionID = reader.uint16(20)
        cmdSN = reader.uint32(24)
        expStatSN = reader.uint32(28)
    }
}
