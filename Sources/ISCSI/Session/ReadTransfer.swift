/// The account of one read's data (RFC 7143 section 11.7): cuts it into Data-In PDUs. Owned by a task; all of it is
/// integers.
public struct ReadTransfer: Equatable, Sendable {
    /// One Data-In to be sent.
    public struct Segment: Equatable, Sendable {
        /// Offset in the command's data, and in the initiator's buffer.
        public let offset: UInt32
        public let length: UInt32
        public let dataSN: UInt32
        /// The F bit: ends a burst of MaxBurstLength, or the data.
        public let final: Bool
        /// The last of the command: a good status can travel in it.
        public let last: Bool
    }

    /// Bytes that will be sent: no more than the command has, no more than the initiator expects.
    public let total: UInt32
    public let residual: Residual
    private let segmentLimit: UInt32
    private let burstLimit: UInt32
    private var sent: UInt32 = 0
    private var inBurst: UInt32 = 0
    private var dataSN: UInt32 = 0

    /// - Parameters:
    ///   - available: bytes that the command has for the initiator.
    ///   - expected: what the initiator expects; 0 for a command without its R bit.
    public init(available: UInt64, expected: UInt32, limits: TransferLimits) {
        total = UInt32(min(available, UInt64(expected)))
        residual = Residual(available: available, expected: expected)
        segmentLimit = max(1, limits.maxSendDataSegment)
        burstLimit = max(1, limits.maxBurst)
    }

    /// The account of a command's answer.
    public init(_ command: SCSICommand, available: UInt64, limits: TransferLimits) {
        self.init(
            available: available, expected: command.reads ? command.expectedDataTransferLength : 0, limits: limits)
    }

    /// Data-In PDUs handed out so far: the ExpDataSN of a response.
    public var segmentCount: UInt32 { dataSN }

    /// The next Data-In, nil after the last. Data-In PDUs are in order, without gaps.
    public mutating func next() -> Segment? {
        guard sent < total else { return nil }
        let length = min(segmentLimit, burstLimit - inBurst, total - sent)
        let segment = Segment(
            offset: sent, length: length, dataSN: dataSN,
            final: inBurst + length == burstLimit || sent + length == total, last: sent + length == total)
        sent += length
        inBurst = segment.final ? 0 : inBurst + length
        dataSN &+= 1
        return segment
    }
}
