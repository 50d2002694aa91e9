/// One flow that conntrack knows.
public struct ConntrackEntry: Hashable, Sendable {
    /// The flow as who opened it sees it.
    public let original: ConntrackTuple
    /// The answers as they come in: where addresses are translated, not the mirror of the original.
    public let reply: ConntrackTuple
    /// The zone of both directions; 0 where there is none, or only one for a direction (`ConntrackTuple.zone`).
    public let zone: UInt16
    public let mark: UInt32
    public let status: ConntrackStatus
    /// What tells it from a later flow of the same tuple, unless that happens to lie in the same place in the kernel's
    /// memory, of which it is made.
    public let id: UInt32
    /// Seconds until it is forgotten if nothing comes; 0 where the kernel does not say.
    public let timeout: UInt32
    /// Whether conntrack met it in the middle, a TCP connection whose beginning it has not seen: who opened it is then
    /// a guess.
    public let isPickedUp: Bool

    public init(
        original: ConntrackTuple, reply: ConntrackTuple, zone: UInt16 = 0, mark: UInt32 = 0,
        status: ConntrackStatus = [], id: UInt32 = 0, timeout: UInt32 = 0, isPickedUp: Bool = false
    ) {
        self.original = original
        self.reply = reply
        self.zone = zone
        self.mark = mark
        self.status = status
        self.id = id
        self.timeout = timeout
        self.isPickedUp = isPickedUp
    }

    /// The zone in which packets of who opened it are looked for.
    public var originalZone: UInt16 { original.zone ?? zone }
}

/// One direction of a flow.
public struct ConntrackTuple: Hashable, Sendable {
    /// What the protocol tells flows apart by.
    public enum Ends: Hashable, Sendable {
        /// TCP, UDP, SCTP and what else has ports.
        case ports(source: UInt16, destination: UInt16)
        /// ICMP and ICMPv6 echo and the like.
        case icmp(type: UInt8, code: UInt8, id: UInt16)
        /// Nothing.
        case none
    }

    public let source: IPAddress
    /// Of the same family as the source.
    public let destination: IPAddress
    /// The number of the protocol: 6 for TCP, 17 for UDP.
    public let transport: UInt8
    public let ends: Ends
    /// The zone of this direction, where the flow has one of its own for it.
    public let zone: UInt16?

    public init(source: IPAddress, destination: IPAddress, transport: UInt8, ends: Ends, zone: UInt16? = nil) {
        self.source = source
        self.destination = destination
        self.transport = transport
        self.ends = ends
        self.zone = zone
    }
}

/// How a flow stands (linux/netfilter/nf_conntrack_common.h, enum ip_conntrack_status).
public struct ConntrackStatus: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Packets have come in both directions.
    public static let seenReply = ConntrackStatus(rawValue: 1 << 1)
    /// It is not dropped early when the table is full.
    public static let assured = ConntrackStatus(rawValue: 1 << 2)
    /// Its first packet has left the machine, or has been taken in.
    public static let confirmed = ConntrackStatus(rawValue: 1 << 3)
    /// Its source is translated.
    public static let sourceTranslated = ConntrackStatus(rawValue: 1 << 4)
    /// Its destination is translated.
    public static let destinationTranslated = ConntrackStatus(rawValue: 1 << 5)
    /// It is being forgotten.
    public static let dying = ConntrackStatus(rawValue: 1 << 9)
}

/// Which flows are meant; what is nil is not asked about.
public struct ConntrackFilter: Hashable, Sendable {
    public var isIPv4: Bool?
    /// The bits of the mark under the mask.
    public var mark: (bits: UInt32, mask: UInt32)? {
        get { maskedMark.map { ($0.bits, $0.mask) } }
        set { maskedMark = newValue.map { MaskedMark(bits: $0.bits, mask: $0.mask) } }
    }
    /// The zone of both directions, or of who opened the flow.
    public var zone: UInt16?

    private struct MaskedMark: Hashable {
        let bits: UInt32
        let mask: UInt32
    }

    private var maskedMark: MaskedMark?

    public init(isIPv4: Bool? = nil, mark: (bits: UInt32, mask: UInt32)? = nil, zone: UInt16? = nil) {
        self.isIPv4 = isIPv4
        self.zone = zone
        self.mark = mark
    }

    /// Whether it means this flow.
    public func matches(_ entry: ConntrackEntry) -> Bool {
        if let isIPv4, isIPv4 != entry.original.source.isIPv4 { return false }
        if let mark, entry.mark & mark.mask != mark.bits & mark.mask { return false }
        if let zone, zone != entry.originalZone { return false }
        return true
    }
}
