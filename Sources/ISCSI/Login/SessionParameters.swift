/// What we offer in a login; the defaults suit a target that wants large transfers and few round trips.
public struct TargetOffers: Equatable, Sendable {
    /// Most data in one PDU towards us; a buffer of the connection has this size.
    public var maxReceiveDataSegment: UInt32 = 262_144
    public var maxBurst: UInt32 = 1_048_576
    public var firstBurst: UInt32 = 262_144
    public var maxOutstandingR2T: UInt32 = 8
    public var initialR2T = false
    public var immediateData = true
    public var time2Wait: UInt32 = 2
    public var time2Retain: UInt32 = 0
    /// Whether an initiator that prefers a digest gets it.
    public var digests: DigestOffer = .either

    public enum DigestOffer: Sendable {
        /// The first that the initiator names.
        case either
        /// CRC32C only: an initiator that does not offer it is refused by its own rules.
        case required
        case never
    }

    public init() {}
}

/// What one connection and its session agreed on (RFC 7143 section 13): the fixed rules of everything that follows.
public struct SessionParameters: Equatable, Sendable {
    /// Nil in a discovery session.
    public internal(set) var targetName: String?
    public internal(set) var initiatorName = ""
    public internal(set) var initiatorAlias: String?
    public internal(set) var isid = InitiatorSessionID(raw: 0)
    public internal(set) var tsih: UInt16 = 0
    public internal(set) var connectionID: UInt16 = 0
    public internal(set) var portalGroupTag: UInt16 = 1

    // The values before negotiation are the defaults of RFC 7143.
    public internal(set) var headerDigest = false
    public internal(set) var dataDigest = false
    /// Most data that the initiator takes in one PDU: its own MaxRecvDataSegmentLength.
    public internal(set) var maxSendDataSegment: UInt32 = 8192
    public internal(set) var maxReceiveDataSegment: UInt32 = 8192
    public internal(set) var maxBurst: UInt32 = 262_144
    public internal(set) var firstBurst: UInt32 = 65_536
    public internal(set) var initialR2T = true
    public internal(set) var immediateData = true
    public internal(set) var maxOutstandingR2T: UInt32 = 1
    public internal(set) var time2Wait: UInt32 = 2
    public internal(set) var time2Retain: UInt32 = 20

    /// CmdSN with which the session's command window begins.
    public internal(set) var firstCmdSN: UInt32 = 0
    /// StatSN of the first answer in the full feature phase.
    public internal(set) var nextStatSN: UInt32 = 0

    public init() {}

    public var isDiscovery: Bool { targetName == nil }

    /// The shape of PDUs from now on.
    public var framing: Framing {
        Framing(headerDigest: headerDigest, dataDigest: dataDigest, maxReceiveData: Int(maxReceiveDataSegment))
    }

    /// The rules for the data of commands. Where we choose the cuts they fall between sectors of 512 bytes, so that
    /// each part can be read from a disk by itself.
    public var transferLimits: TransferLimits {
        TransferLimits(
            maxSendDataSegment: maxSendDataSegment & ~511, maxBurst: maxBurst & ~511,
            firstBurst: min(firstBurst, maxBurst),
            initialR2T: initialR2T, immediateData: immediateData, maxOutstandingR2T: maxOutstandingR2T)
    }

    /// Two sessions of one identity cannot stand side by side: a new login with it ends the old session
    /// (session reinstatement, RFC 7143 section 6.3.5).
    public var identity: Identity {
        Identity(
            initiatorName: initiatorName.lowercased(), isid: isid, targetName: targetName,
            portalGroupTag: portalGroupTag)
    }

    public struct Identity: Hashable, Sendable {
        public let initiatorName: String
        public let isid: InitiatorSessionID
        public let targetName: String?
        public let portalGroupTag: UInt16
    }
}

/// What was agreed about the data of commands; small enough to be copied into each transfer.
public struct TransferLimits: Equatable, Sendable {
    public var maxSendDataSegment: UInt32
    public var maxBurst: UInt32
    public var firstBurst: UInt32
    public var initialR2T: Bool
    public var immediateData: Bool
    public var maxOutstandingR2T: UInt32

    public init(
        maxSendDataSegment: UInt32, maxBurst: UInt32, firstBurst: UInt32, initialR2T: Bool, immediateData: Bool,
        maxOutstandingR2T: UInt32
    ) {
        self.maxSendDataSegment = maxSendDataSegment
        self.maxBurst = maxBurst
        self.firstBurst = firstBurst
        self.initialR2T = initialR2T
        self.immediateData = immediateData
        self.maxOutstandingR2T = maxOutstandingR2T
    }
}
