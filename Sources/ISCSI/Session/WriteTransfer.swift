/// What is wrong with the data of a write.
///
/// Data in a wrong order or amount fails its task, once the rest of its data has passed (RFC 7143 sections 7.8 and
/// 7.9): `WriteTransfer.fault`. Data that no task has asked for breaks the protocol, for which error recovery level 0
/// has one cure, to drop the session (section 7.2): thrown.
public enum TransferFault: Error, Equatable, Sendable, CustomStringConvertible {
    case immediateNotNegotiated
    case unsolicitedNotNegotiated
    case beyondFirstBurst
    case beyondExpectedLength
    case unexpectedTransferTag(UInt32)
    case unexpectedDataSN(UInt32, wanted: UInt32)
    case unexpectedOffset(UInt32, wanted: UInt32)
    case burstTooLong
    case burstTooShort
    case notFinal

    /// What the task's response says of it (RFC 7143 section 11.4.7.2).
    public var sense: Sense {
        switch self {
        case .immediateNotNegotiated, .unsolicitedNotNegotiated:
            Sense(.abortedCommand, .unexpectedUnsolicitedData)
        case .unexpectedTransferTag, .unexpectedDataSN, .unexpectedOffset:
            Sense(.abortedCommand, .protocolServiceCRCError)
        case .beyondFirstBurst, .beyondExpectedLength, .burstTooLong, .burstTooShort, .notFinal:
            Sense(.abortedCommand, .notEnoughUnsolicitedData)
        }
    }

    public var description: String {
        switch self {
        case .immediateNotNegotiated: "immediate data, which ImmediateData=No excludes"
        case .unsolicitedNotNegotiated: "unsolicited Data-Out, which InitialR2T=Yes excludes or the command ended"
        case .beyondFirstBurst: "unsolicited data beyond FirstBurstLength"
        case .beyondExpectedLength: "data beyond the command's expected data transfer length"
        case .unexpectedTransferTag(let tag): "Data-Out with transfer tag \(tag), for which no R2T is open"
        case .unexpectedDataSN(let number, let wanted): "Data-Out with DataSN \(number) instead of \(wanted)"
        case .unexpectedOffset(let offset, let wanted): "Data-Out at offset \(offset) instead of \(wanted)"
        case .burstTooLong: "more Data-Out than the R2T asked for"
        case .burstTooShort: "a final Data-Out before all that the R2T asked for"
        case .notFinal: "the last Data-Out of a burst without the F bit"
        }
    }
}

/// The account of one write's data (RFC 7143 sections 4.2.4.2 and 11.7): what has arrived, what to ask for. Owned by a
/// task; all of it is integers.
public struct WriteTransfer: Equatable, Sendable {
    /// One burst to be asked for by an R2T.
    public struct Request: Equatable, Sendable {
        public let r2tSN: UInt32
        public let targetTransferTag: UInt32
        public let offset: UInt32
        public let length: UInt32
    }

    /// Where a Data-Out's bytes belong.
    public struct Placement: Equatable, Sendable {
        /// Offset in the command's data.
        public let offset: UInt32
        /// Bytes to keep; what is beyond them the command does not want and is to be dropped.
        public let keep: UInt32
    }

    /// Bytes that the command will get: no more than it wants, no more than the initiator has.
    public let wanted: UInt32
    public let residual: Residual
    /// Why the task fails. Its data then passes unkept, and `isComplete` tells when the response may go.
    public private(set) var fault: TransferFault?
    private let expected: UInt32
    private let limits: TransferLimits
    private let tagBase: UInt32

    // The unsolicited part is contiguous from offset 0; the bursts follow it, in order (DataSequenceInOrder=Yes).
    private var unsolicitedOpen: Bool
    private var unsolicited: UInt32
    private var asked: UInt32 = 0
    private var arrived: UInt32 = 0
    private var r2tSent: UInt32 = 0
    private var r2tDone: UInt32 = 0
    private var nextDataSN: UInt32 = 0
    private var burstEnd: UInt32 = 0
    /// No burst that is open goes beyond.
    private var bound: UInt32 = .max

    /// Takes the command and its immediate data into account.
    /// - Parameters:
    ///   - required: bytes that the command descriptor block asks for; 0 for a command that will fail, whose
    ///     unsolicited data must nevertheless pass.
    ///   - tagBase: marks this task in the tags of its R2Ts; its low eight bits are zero.
    public init(
        _ command: SCSICommand, required: UInt64, limits: TransferLimits, tagBase: UInt32
    ) throws(TransferFault) {
        precondition(tagBase & 0xff == 0 && tagBase < 0xffff_ff00, "not a base for transfer tags")
        expected = command.writes ? command.expectedDataTransferLength : 0
        wanted = UInt32(min(required, UInt64(expected)))
        residual = Residual(available: required, expected: expected)
        self.limits = limits
        self.tagBase = tagBase
        unsolicited = command.dataBytes
        unsolicitedOpen = !command.final && command.writes
        if command.dataBytes > 0 {
            guard limits.immediateData else { throw .immediateNotNegotiated }
            guard command.dataBytes <= limits.firstBurst else { throw .beyondFirstBurst }
            guard command.dataBytes <= expected else { throw .beyondExpectedLength }
        }
        if unsolicitedOpen, limits.initialR2T { throw .unsolicitedNotNegotiated }
        arrived = min(unsolicited, wanted)
        asked = arrived
        burstEnd = arrived
    }

    /// Bytes of the command's own data that immediate data brought.
    public var immediateKeep: UInt32 { min(unsolicited, wanted) }

    /// No Data-Out is outstanding, and all data is here unless there is a `fault`.
    public var isComplete: Bool {
        isIdle && (arrived == wanted || fault != nil)
    }

    /// R2T PDUs sent so far: the ExpDataSN of the response.
    public var r2tCount: UInt32 { r2tSent }

    /// Checks a Data-Out PDU and says where its bytes belong; nowhere, if there is a fault.
    /// - Throws: a fault that costs the session: data that nothing has asked for.
    public mutating func receive(_ data: DataOut) throws(TransferFault) -> Placement {
        if data.isUnsolicited {
            guard unsolicitedOpen else { throw .unsolicitedNotNegotiated }
            let place = keepUnsolicited(data)
            if data.final {
                unsolicitedOpen = false
                nextDataSN = 0
            }
            return place
        }
        guard r2tDone != r2tSent, data.targetTransferTag == tag(r2tDone) else {
            throw .unexpectedTransferTag(data.targetTransferTag)
        }
        let place = keepSolicited(data)
        if data.final {
            r2tDone &+= 1
            nextDataSN = 0
        }
        return place
    }

    private mutating func keepUnsolicited(_ data: DataOut) -> Placement {
        let room = min(limits.firstBurst, expected) &- min(limits.firstBurst, expected, unsolicited)
        fault = fault ?? disorder(data, offset: unsolicited)
        if fault == nil, data.dataBytes > room {
            fault = unsolicited + room == expected ? .beyondExpectedLength : .beyondFirstBurst
        }
        if fault == nil, data.dataBytes == room, !data.final { fault = .notFinal }
        guard fault == nil else { return Placement(offset: 0, keep: 0) }
        nextDataSN &+= 1
        let place = Placement(offset: unsolicited, keep: min(data.dataBytes, wanted &- min(wanted, unsolicited)))
        unsolicited += data.dataBytes
        arrived += place.keep
        asked = arrived
        burstEnd = arrived
        return place
    }

    private mutating func keepSolicited(_ data: DataOut) -> Placement {
        if burstEnd == arrived { burstEnd = arrived &+ min(limits.maxBurst, min(wanted, bound) &- arrived) }
        let room = burstEnd &- arrived
        fault = fault ?? disorder(data, offset: arrived)
        if fault == nil, data.dataBytes > room { fault = .burstTooLong }
        if fault == nil, data.final != (data.dataBytes == room) { fault = data.final ? .burstTooShort : .notFinal }
        guard fault == nil else { return Placement(offset: 0, keep: 0) }
        nextDataSN &+= 1
        let place = Placement(offset: arrived, keep: data.dataBytes)
        arrived += data.dataBytes
        return place
    }

    /// DataSN counts from zero in each burst, data comes in order (DataPDUInOrder=Yes).
    private func disorder(_ data: DataOut, offset: UInt32) -> TransferFault? {
        if data.dataSN != nextDataSN { return .unexpectedDataSN(data.dataSN, wanted: nextDataSN) }
        if data.bufferOffset != offset { return .unexpectedOffset(data.bufferOffset, wanted: offset) }
        return nil
    }

    /// The next burst to ask for, if one is left and the initiator may have one more R2T open. Ask until nil.
    /// - Parameter end: where the room for data ends: the burst is cut there. It moves only while no R2T is open.
    public mutating func nextRequest(upTo end: UInt32 = .max) -> Request? {
        guard fault == nil, !unsolicitedOpen, asked < min(wanted, end),
            r2tSent &- r2tDone < min(limits.maxOutstandingR2T, 255)
        else { return nil }
        bound = end
        let length = min(limits.maxBurst, min(wanted, end) - asked)
        let request = Request(r2tSN: r2tSent, targetTransferTag: tag(r2tSent), offset: asked, length: length)
        asked += length
        r2tSent &+= 1
        return request
    }

    /// All that was asked for is here, and no unsolicited data is to come; more may be left to ask for.
    public var isIdle: Bool { !unsolicitedOpen && r2tSent == r2tDone }

    private func tag(_ r2tSN: UInt32) -> UInt32 { tagBase | r2tSN & 0xff }
}
