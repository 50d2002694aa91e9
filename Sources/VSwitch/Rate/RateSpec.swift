public import Netlink
internal import Manifest

/// A cap on one direction of a NIC.
public struct RateCap: Hashable, Sendable, CustomStringConvertible {
    /// In bits a second.
    public let rate: UInt64
    /// How many bytes may pass at once after a silence.
    public let burst: UInt32

    /// A cap; the smallest burst with which it can be held, if nothing else is said.
    public init(rate: UInt64, burst: UInt32? = nil) {
        self.rate = rate
        self.burst = burst ?? Self.smallestBurst(at: rate)
    }

    /// In bits a second. Below, one packet takes most of a second; above, the kernel's clock is too coarse.
    static let range: ClosedRange<UInt64> = 64_000...100_000_000_000

    /// What the kernel must be able to let pass at once to hold a rate: the largest packet that a hypervisor hands
    /// over, and what is due after a timer that was late by 2 ms.
    static func smallestBurst(at rate: UInt64) -> UInt32 { max(64 << 10, UInt32(clamping: rate / 8 / 500)) }

    /// The kernel keeps it as a time of at most 274 s (32 bits of 64 ns).
    static func largestBurst(at rate: UInt64) -> UInt32 { UInt32(min(1 << 30, rate / 8 * 240)) }

    /// What holds the cap. The queue takes what comes in 50 ms, beside a burst.
    var bucket: TokenBucket {
        let queue = max(64 << 10, UInt32(clamping: rate / 8 / 20))
        return TokenBucket(rate: rate / 8, burst: burst, limit: burst + queue)
    }

    public var description: String { bucket.words }
}

extension TokenBucket {
    /// In the words of the manifest.
    var words: String { "\(BitRate(rate * 8)), burst \(ByteSize(UInt64(burst)))" }
}

/// The caps of a NIC, held by token buckets.
///
/// What a NIC receives waits at its port on this node. What it sends has no queue there: it goes through an ifb, a link
/// whose queue it waits in, and back to the port.
public struct RateSpec: Hashable, Sendable {
    /// The NIC's port on this node.
    public var interface: InterfaceName
    /// Its port is a tap, which is to have no queue when the cap has gone.
    public var isTap: Bool
    /// On what the NIC receives.
    public var ingress: RateCap?
    /// On what the NIC sends.
    public var egress: RateCap?

    public init(interface: InterfaceName, isTap: Bool, ingress: RateCap? = nil, egress: RateCap? = nil) {
        self.interface = interface
        self.isTap = isTap
        self.ingress = ingress
        self.egress = egress
    }

    /// The link in whose queue waits what the NIC sends.
    var ifb: InterfaceName { .derived(from: "ifb-\(interface)") }
}

/// How queueing disciplines and filters are known as ours: by a number that nobody else has a reason to choose.
enum RateMark {
    /// Of a discipline, `5da2:`.
    static let major: UInt16 = 0x5da2
    /// Of the filter that sends on what a NIC has sent.
    static let priority: UInt16 = 0x5da2
    /// Packets are counted, as a user does, without the Ethernet header in front of them.
    static let overhead: Int32 = -14

    static func redirection(on port: Int32, to ifb: Int32 = 0) -> TrafficFilter {
        TrafficFilter(on: port, .ingress, priority: priority, .redirect(to: ifb))
    }
}
