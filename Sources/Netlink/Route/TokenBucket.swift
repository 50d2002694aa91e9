internal import CNetlink

/// The parameters of a `tbf`, the discipline that lets packets pass at a rate.
public struct TokenBucket: Hashable, Sendable {
    public static let kind = "tbf"

    /// In bytes a second.
    public var rate: UInt64
    /// How many bytes may pass at once after a silence.
    public var burst: UInt32
    /// How many bytes may wait; what comes on top is dropped.
    public var limit: UInt32

    public init(rate: UInt64, burst: UInt32, limit: UInt32) {
        self.rate = rate
        self.burst = burst
        self.limit = limit
    }

    /// Whether the kernel shows this one where `wanted` was asked for (`SchedulerTick`).
    public func isAs(_ wanted: TokenBucket) -> Bool {
        rate == wanted.rate && limit == wanted.limit && SchedulerTick.isSame(burst, as: wanted.burst)
    }
}

extension TokenBucket {
    init?(_ options: AttributeReader) {
        var parameters: tc_tbf_qopt?
        var wide: UInt64?
        for option in options {
            switch option.type {
            case Int(TCA_TBF_PARMS): parameters = option.value()
            case Int(TCA_TBF_RATE64): wide = option.number()
            default: break
            }
        }
        guard let parameters else { return nil }
        rate = wide ?? UInt64(parameters.rate.rate)
        limit = parameters.limit
        burst = SchedulerTick.bytes(parameters.buffer, at: rate)
    }
}

extension MessageWriter {
    /// Makes a token bucket the root discipline of a link, or changes the one that is there, which loses no packet.
    ///
    /// EEXIST if there is another discipline that somebody has chosen.
    /// - Parameters:
    ///   - major: its number; the kernel's own begin at 0x8000.
    ///   - overhead: what is added to the length of each packet.
    @discardableResult
    public mutating func setTokenBucket(
        _ bucket: TokenBucket, of link: Int32, major: UInt16, overhead: Int32
    ) -> Int {
        message(UInt16(RTM_NEWQDISC), [.create, .replace], operation: "set rate of link") {
            $0.appendDiscipline(of: link, parent: UInt32(TC_H_ROOT), major: major)
            $0.attribute(Int(TCA_KIND), TokenBucket.kind)
            $0.nested(Int(TCA_OPTIONS)) { $0.write(bucket) }
            $0.appendSize(overhead: overhead)
        }
    }
}

extension AttributeWriter {
    fileprivate mutating func write(_ bucket: TokenBucket) {
        var parameters = tc_tbf_qopt()
        parameters.rate = Self.rate(bucket.rate)
        parameters.limit = bucket.limit
        attribute(Int(TCA_TBF_PARMS), structure: parameters)
        // The kernel takes the burst in bytes, in place of the ticks among the parameters, since Linux 3.13.
        attribute(Int(TCA_TBF_BURST), bucket.burst)
        if bucket.rate > UInt64(UInt32.max) { attribute(Int(TCA_TBF_RATE64), bucket.rate) }
    }

    /// A rate in the old form, of 32 bits; a wider one goes into an attribute of its own.
    static func rate(_ bytes: UInt64) -> tc_ratespec {
        var rate = tc_ratespec()
        rate.rate = UInt32(clamping: bytes)
        // Said, so that the kernel asks for no table of times (qdisc_get_rtab).
        rate.linklayer = UInt8(truncatingIfNeeded: TC_LINKLAYER_ETHERNET.rawValue)
        return rate
    }
}
