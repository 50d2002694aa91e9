internal import Manifest
public import Netlink
internal import Reconcile

/// How the rate of an uplink is shared out among the NICs of its switch.
public struct ShareSpec: Hashable, Sendable {
    /// What a NIC is sure of.
    public struct Guarantee: Hashable, Sendable {
        /// The NIC's name.
        public let nic: String
        /// Its port on this node.
        public let interface: InterfaceName
        /// In bits a second.
        public let rate: UInt64
        /// The number of its class.
        public let minor: UInt16
    }

    public let interface: InterfaceName
    /// The most that leaves by it, in bits a second.
    public let rate: UInt64
    /// By the NIC's name.
    public let guarantees: [Guarantee]
    /// The ports by which bridges send to it: itself, and VLAN devices on it, which hand on a packet with its class.
    public let exits: [InterfaceName]

    /// - Parameter devices: the VLAN devices on it.
    public init(
        interface: InterfaceName, rate: UInt64, guarantees: [Guarantee] = [], devices: [InterfaceName] = []
    ) {
        self.interface = interface
        self.rate = rate
        self.guarantees = guarantees
        exits = [interface] + devices
    }
}

extension ShareSpec {
    /// The class that all others are in, and from which they borrow.
    private static let whole: UInt16 = 1
    /// The class of all that no NIC is sure of.
    static let fallback: UInt16 = 2

    /// The classes that share it out: what they borrow from comes first.
    var classes: [TokenClass] {
        let promised = guarantees.reduce(0) { $0 + $1.rate }
        // Others have a hundredth at least: the node itself speaks by this port, too.
        let left = max(rate > promised ? rate - promised : 0, rate / 100)
        return [share(Self.whole, of: rate, in: nil), share(Self.fallback, of: left, in: Self.whole)]
            + guarantees.map { share($0.minor, of: $0.rate, in: Self.whole) }
    }

    private func share(_ minor: UInt16, of part: UInt64, in parent: UInt16?) -> TokenClass {
        // What is left over is borrowed in proportion to what one is sure of, not less than a packet at a time.
        let quantum = max(1514, UInt32(clamping: part / 1000 * 60_000 / max(1, rate / 1000)))
        return TokenClass(
            minor, parent: parent, rate: part / 8, ceiling: rate / 8, quantum: quantum,
            burst: RateCap.smallestBurst(at: part), ceilingBurst: RateCap.smallestBurst(at: rate))
    }

    /// Whose class a number is, in words.
    func words(_ minor: UInt16) -> String {
        switch minor {
        case Self.whole: "rate"
        case Self.fallback: "for others"
        default: guarantees.first { $0.minor == minor }.map { "for \($0.nic)" } ?? "class \(minor)"
        }
    }

    /// The numbers of classes by the NIC's name: the same at every apply, whoever else has a guarantee, but where two
    /// names lead to one number.
    static func minors(_ names: some Sequence<String>) -> [String: UInt16] {
        var taken: Set<UInt16> = []
        var minors: [String: UInt16] = [:]
        let (first, count) = (UInt64(16), UInt64(65_000))
        for name in names.sorted().prefix(65_000) {
            var offset = StableHash("class/\(name)").value % count
            while !taken.insert(UInt16(first + offset)).inserted { offset = (offset + 1) % count }
            minors[name] = UInt16(first + offset)
        }
        return minors
    }
}
