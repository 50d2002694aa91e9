/// What a target tells without being asked (RFC 7143 section 11.9.1).
public enum AsyncEvent: Equatable, Sendable {
    /// A unit attention of a unit; sense data follows.
    case sense(LogicalUnitNumber)
    /// Please log out of the connection within so many seconds.
    case requestLogout(seconds: UInt16)
    /// This connection is going to be dropped; come back after `wait`, state is kept for `retain` seconds.
    case dropConnection(connectionID: UInt16, wait: UInt16, retain: UInt16)
    /// All connections of the session are going to be dropped.
    case dropSession(wait: UInt16, retain: UInt16)
}

/// Carries such an event (RFC 7143 section 11.9).
public struct AsyncMessage: Equatable, Sendable {
    public var event: AsyncEvent
    public var numbers: StatusNumbers

    public init(event: AsyncEvent, numbers: StatusNumbers) {
        self.event = event
        self.numbers = numbers
    }

    /// Writes the 48 bytes of the header; after a sense event `dataBytes` of sense data follow.
    public func encode(dataBytes: Int, into bytes: UnsafeMutableRawBufferPointer) {
        let writer = ByteWriter(clearing: bytes, count: BasicHeader.size)
        writer.uint8(0, TargetOpcode.asyncMessage.rawValue)
        writer.uint8(1, 0x80)
        writer.uint24(5, UInt32(truncatingIfNeeded: dataBytes))
        writer.uint32(16, BasicHeader.reservedTag)
        numbers.write(writer)
        switch event {
        case .sense(let lun):
            writer.uint64(8, lun.raw)
        case .requestLogout(let seconds):
            writer.uint8(36, 1)
            writer.uint16(42, seconds)
        case .dropConnection(let connectionID, let wait, let retain):
            writer.uint8(36, 2)
            writer.uint16(38, connectionID)
            writer.uint16(40, wait)
            writer.uint16(42, retain)
        case .dropSession(let wait, let retain):
            writer.uint8(36, 3)
            writer.uint16(40, wait)
            writer.uint16(42, retain)
        }
    }
}
