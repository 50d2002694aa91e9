/// What is wrong with the data of a write. At error recovery level 0 the cure is to reject the PDU and to drop the
/// session (RFC 7143 section 7.2): the initiator comes back and repeats its commands.
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

    /// All data is here and no Data-Out is outstanding.
    public var isComplete: Bool { !unsolicitedOpen && r2tSent == r2tDone && arrived == wanted }

    /// R2T PDUs sent so far: the ExpDataSN of the response.
    public var r2tCount: UInt32 { r2tSent }

    /// Checks a Data-Out PDU and says where its bytes belong.
    public mutating func receive(_ data: DataOut) throws(TransferFault) -> Placement {
        data.isUnsolicited ? try receiveUnsolicited(data) : try receiveSolicited(data)
    }

    private mutating func receiveUnsolicited(_ data: DataOut) throws(TransferFault) -> Placement {
        guard unsolicitedOpen else { throw .unsolicitedNotNegotiated }
        try checkOrder(data, offset: unsolicited)
        guard data.dataBytes <= limits.firstBurst &- min(limits.firstBurst, unsolicited) else {
            throw .beyondFirstBurst
        }
        guard data.dataBytes <= expected &- unsolicited else { throw .beyondExpectedLength }
        let keep = min(data.dataBytes, wanted &- min(wanted, unsolicited))
        let place = Placement(offset: unsolicited, keep: keep)
        unsolicited += data.dataBytes
        arrived += keep
        asked = arrived
        burstEnd = arrived
        if data.final {
            unsolicitedOpen = false
            nextDataSN = 0
        } else if unsolicited == min(limits.firstBurst, expected) {
            throw .notFinal
        }
        return place
    }

    private mutating func receiveSolicited(_ data: DataOut) throws(TransferFault) -> Placement {
        guard r2tDone != r2tSent, data.targetTransferTag == tag(r2tDone) else {
            throw .unexpectedTransferTag(data.targetTransferTag)
        }
        try checkOrder(data, offset: arrived)
        if burstEnd == arrived { burstEnd = arrived &+ min(limits.maxBurst, wanted &- arrived) }
        guard data.dataBytes <= burstEnd &- arrived else { throw .burstTooLong }
        let place = Placement(offset: arrived, keep: data.dataBytes)
        arrived += data.dataBytes
        if data.final {
            guard arrived == burstEnd else { throw .burstTooShort }
            r2tDone &+= 1
            nextDataSN = 0
        } else if arrived == burstEnd {
            throw .notFinal
        }
        return place
    }

    /// DataSN counts from zero in each burst, data comes in order (DataPDUInOrder=Yes).
    private mutating func checkOrder(_ data: DataOut, offset: UInt32) throws(TransferFault) {
        guard data.dataSN == nextDataSN else { throw .unexpectedDataSN(data.dataSN, wanted: nextDataSN) }
        guard data.bufferOffset == offset else { throw .unexpectedOffset(data.bufferOffset, wanted: offset) }
        nextDataSN &+= 1
    }

    /// The next burst to ask for, if one is left and the initiator may have one more R2T open. Ask until nil.
    public mutating func nextRequest() -> Request? {
        guard !unsolicitedOpen, asked < wanted, r2tSent &- r2tDone < min(limits.maxOutstandingR2T, 255) else {
            return nil
        }
        let length = min(limits.maxBurst, wanted - asked)
        let request = Request(r2tSN: r2tSent, targetTransferTag: tag(r2tSent), offset: asked, length: length)
        asked += length
        r2tSent &+= 1
        return request
    }

    private func tag(_ r2tSN: UInt32) -> UInt32 { tagBase | r2tSN & 0xff }
}
