internal import Capabilities
internal import Netlink

/// How a switch carries frames: what it learns, whether it takes part in a spanning tree, what it does with multicast.
public struct SwitchSettings: Hashable, Sendable {
    /// Part in the spanning tree protocol (IEEE 802.1D-2004, its first version, which is what Linux bridges speak).
    public struct SpanningTree: Hashable, Sendable {
        /// The bridge with the lowest one becomes the root of the tree.
        public var priority: UInt16 = 32_768
        /// How long a port listens, and then learns, before it carries frames, in seconds: 4 to 30.
        public var forwardDelay: UInt32 = 15

        /// A bridge as the standard recommends it.
        public init() {}

        /// How long what other bridges have said is believed, in seconds. The standard asks for at most twice the
        /// forward delay less one second.
        var maximumAge: UInt32 { min(20, 2 * (forwardDelay - 1)) }
    }

    /// Where frames to multicast groups go.
    public enum Multicast: Hashable, Sendable {
        /// Everywhere.
        case flood
        /// To the ports from which IGMP and MLD reports have come. Who stops being asked stops reporting, and gets
        /// nothing: without a querier of its own the switch relies on a router's.
        case snoop(isQuerier: Bool)
    }

    /// Nil where it takes no part in one.
    public var spanningTree: SpanningTree?
    /// Where frames to multicast groups go.
    public var multicast: Multicast = .flood
    /// After how many seconds of silence a learned MAC address is forgotten.
    public var ageing: UInt32 = 300
    /// How many MAC addresses it learns at most; nil for no limit.
    public var macs: UInt32?

    /// A switch that forwards at once and to all.
    public init() {}

    /// What they are on a bridge. The kernel counts time in hundredths of a second (USER_HZ).
    var bridging: BridgeAttributes {
        var bridge = BridgeAttributes()
        if let tree = spanningTree {
            bridge.isSTPEnabled = true
            bridge.forwardDelay = tree.forwardDelay * 100
            bridge.maximumAge = tree.maximumAge * 100
            bridge.priority = tree.priority
        }
        if case .snoop(let isQuerier) = multicast {
            bridge.isMulticastSnooping = true
            bridge.isQuerier = isQuerier
            // Those of today's hosts. A version 2 query would make them fall back.
            bridge.igmpVersion = 3
            bridge.mldVersion = 2
        }
        bridge.ageing = ageing * 100
        bridge.learnedLimit = macs ?? 0
        return bridge
    }
}

extension SwitchSettings {
    /// Why this kernel cannot have such a switch; nil if it can. What every kernel has is not asked for.
    func lack(in capabilities: () -> Capabilities) -> String? {
        var needs: [(field: String, capability: Capability)] = []
        if macs != nil { needs.append(("macs", .macLimit)) }
        if multicast != .flood { needs.append(("multicast.snooping", .multicastSnooping)) }
        guard !needs.isEmpty else { return nil }
        let known = capabilities()
        for need in needs where known.lacks(need.capability) {
            return "`\(need.field)` needs \(known.remedy(for: need.capability))"
        }
        return nil
    }
}
