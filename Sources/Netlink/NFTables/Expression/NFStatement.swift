/// How many packets or bytes may pass in a time (linux/netfilter/nf_tables.h, enum nft_limit_attributes).
public struct NFLimit: Hashable, Sendable {
    /// What is counted.
    public enum Counted: UInt32, Hashable, Sendable {
        case packets = 0
        case bytes = 1
    }

    /// In what time, in seconds.
    public enum Unit: UInt64, Hashable, Sendable {
        case second = 1
        case minute = 60
        case hour = 3600
        case day = 86_400
        case week = 604_800
    }

    /// The kernel's own burst of packets where none is named (NFT_LIMIT_PKT_BURST_DEFAULT).
    private static let defaultBurst: UInt32 = 5

    public let rate: UInt64
    public let counted: Counted
    public let unit: Unit
    /// What may come at once on top of the rate.
    public let burst: UInt32
    /// Whether it matches what is beyond the limit, rather than what is within.
    public let isOver: Bool

    public init(_ rate: UInt64, _ counted: Counted, per unit: Unit, burst: UInt32 = 0, isOver: Bool = false) {
        self.rate = rate
        self.counted = counted
        self.unit = unit
        self.burst = counted == .packets && burst == 0 ? Self.defaultBurst : burst
        self.isOver = isOver
    }
}

/// To whom a packet is told of.
public enum NFLog: Hashable, Sendable {
    /// To the listeners of a group of nfnetlink_log, with so many bytes of the packet (nil: as many as they asked for).
    case group(UInt16, prefix: String, snapLength: UInt32? = nil)
    /// To the kernel's log. Only the first network namespace writes there (sysctl net.netfilter.nf_log_all_netns).
    case kernel(NFLogLevel, prefix: String)

    /// The longest prefix in bytes (NF_LOG_PREFIXLEN less its NUL); the kernel refuses a longer one.
    public static let maximumPrefix = 127
}

/// linux/netfilter/nf_tables.h, enum nft_log_level: those of syslog.
public enum NFLogLevel: UInt32, Hashable, Sendable {
    case emergency = 0
    case alert, critical, error, warning, notice, info, debug
}

/// What the sender of a refused packet is told.
public enum NFRejection: Hashable, Sendable {
    /// A TCP reset; the rule must match TCP only.
    case tcpReset
    /// ICMP destination unreachable with this code, of the one protocol that the rule matches (RFC 792, RFC 4443).
    case icmp(code: UInt8)
    /// The like in families that see both protocols: the kernel chooses ICMP's or ICMPv6's code.
    case unreachable(NFUnreachable)
}

/// linux/netfilter/nf_tables.h, enum nft_reject_inet_code.
public enum NFUnreachable: UInt8, Hashable, Sendable {
    case network = 0
    case port = 1
    case host = 2
    case prohibited = 3
}

/// A change of a dynamic set by a packet (linux/netfilter/nf_tables.h, enum nft_dynset_attributes).
public struct NFDynamicChange: Hashable, Sendable {
    public enum Operation: UInt32, Hashable, Sendable {
        /// Puts the key in where it is not.
        case add = 0
        /// Puts it in, or begins its time anew.
        case update = 1
        case delete = 2
    }

    public let operation: Operation
    public let set: String
    public let key: NFRegister
    /// What the key leads to, in a map.
    public let data: NFRegister?
    /// How long the element stays, in seconds; nil for the time of the set. Linux 6.13 shows 0 where none was given.
    public let timeout: UInt32?
    /// What each element does of its own.
    public let each: Each?

    /// What an element does with the packets that find it, or put it in.
    public enum Each: Hashable, Sendable {
        /// The rule goes on only while they come slower than this.
        case limit(NFLimit)
        /// They are counted.
        case count
    }

    public init(
        _ operation: Operation, _ key: NFRegister, in set: String, data: NFRegister? = nil, timeout: UInt32? = nil,
        each: Each? = nil
    ) {
        self.operation = operation
        self.set = set
        self.key = key
        self.data = data
        self.timeout = timeout == 0 ? nil : timeout
        self.each = each
    }
}
