/// Why an initiator leaves (RFC 7143 section 11.14.1).
public enum LogoutReason: UInt8, Sendable {
    case closeSession = 0
    case closeConnection = 1
    case removeForRecovery = 2
}

/// How a logout went (RFC 7143 section 11.15.1).
public enum LogoutOutcome: UInt8, Sendable {
    case closed = 0
    case connectionNotFound = 1
    case recoveryNotSupported = 2
    case cleanupFailed = 3
}

/// Asks to end the session or one connection (RFC 7143 section 11.14).
public struct LogoutRequest: Equatable, Sendable {
    public let immediate: Bool
    /// Nil for a reason that RFC 7143 does not define.
    public let reason: LogoutReason?
    public let initiatorTaskTag: UInt32
    public let connectionID: UInt16
    public let cmdSN: UInt32
    public let expStatSN: UInt32

    public init(_ bytes: UnsafeRawBufferPointer) {
        let reader = ByteReader(bytes)
        immediate = reader.uint8(0) & 0x40 != 0
        reason = LogoutReason(rawValue: reader.uint8(1) & 0x7f)
        initiatorTaskTag = reader.uint32(16)
        connectionID = reader.uint16(20)
        cmdSN = reader.uint32(24)
        expStatSN = reader.uint32(28)
    }

    /// The answer in a session of one connection at error recovery level 0, whose connection has the given id.
    public func outcome(connectionID own: UInt16) -> LogoutOutcome {
        switch reason {
        case .closeSession: .closed
        case .closeConnection: connectionID == own ? .closed : .connectionNotFound
        case .removeForRecovery: .recoveryNotSupported
        case nil: .cleanupFailed
        }
    }
}

/// The target's answer; after `closed` it closes the connection (RFC 7143 section 11.15).
public struct LogoutResponse: Equatable, Sendable {
    public var outcome: LogoutOutcome
    public var initiatorTaskTag: UInt32
    public var numbers: StatusNumbers
    /// Seconds to wait before and to keep state after a lost connection.
    public var time2Wait: UInt16
    public var time2Retain: UInt16

    public init(
        outcome: LogoutOutcome, initiatorTaskTag: UInt32, numbers: StatusNumbers, time2Wait: UInt16,
        time2Retain: UInt16
    ) {
        self.outcome = outcome
        self.initiatorTaskTag = initiatorTaskTag
        self.numbers = numbers
        self.time2Wait = time2Wait
        self.time2Retain = time2Retain
    }

    /// Writes the 48 bytes of the header; no data follows.
    public func encode(into bytes: UnsafeMutableRawBufferPointer) {
        let writer = ByteWriter(clearing: bytes, count: BasicHeader.size)
        writer.uint8(0, TargetOpcode.logout.rawValue)
        writer.uint8(1, 0x80)
        writer.uint8(2, outcome.rawValue)
        writer.uint32(16, initiatorTaskTag)
        numbers.write(writer)
        writer.uint16(40, time2Wait)
        writer.uint16(42, time2Retain)
    }
}
