internal import Manifest
public import Netlink
internal import Reconcile

/// How a switch treats the port of a NIC.
public struct PortSettings: Hashable, Sendable {
    /// How the switch comes to know which MAC addresses are behind the port.
    public enum Learning: String, CaseIterable, Sendable {
        /// From the frames that come in there.
        case dynamic
        /// From the manifest: the NIC's own is there, stays there whatever is heard elsewhere, and no other comes in.
        case fixed = "static"
    }

    /// It exchanges frames with ports only that are not isolated: uplinks, overlays, routers, other NICs.
    public var isIsolated = false
    /// How the switch comes to know what is behind it.
    public var learning = Learning.dynamic
    /// The switch has a spanning tree, in which a NIC takes no part: filled in by `NICKind.resolution`.
    public var guardsTree = false
    /// The VLANs that it is in, where the switch filters; nil where it does not: filled in by `VLANs.derivation`.
    public var vlans: PortVLANs?

    /// A port as the kernel makes it.
    public init() {}

    /// Reads the fields `isolated` and `learning` of a NIC.
    init(reading fields: inout Fields) {
        isIsolated = fields.bool("isolated") ?? false
        learning = fields.choice("learning", Learning.self) ?? .dynamic
    }

    /// What they are on a bridge's port.
    var bridging: BridgePortAttributes {
        var port = BridgePortAttributes()
        port.isIsolated = isIsolated
        port.isLearning = learning == .dynamic
        port.isLocked = learning == .fixed
        port.guardsTree = guardsTree
        return port
    }

    /// What a reader wants to know before the port is made.
    var summary: [FieldChange] {
        var fields: [FieldChange] = []
        if isIsolated { fields.append(FieldChange("isolated", to: "true")) }
        if learning == .fixed { fields.append(FieldChange("learning", to: learning.rawValue)) }
        return fields
    }
}

extension BridgePortAttributes {
    /// What is otherwise than it should be, in words.
    func differences(from wanted: BridgePortAttributes) -> [FieldChange] {
        let pairs: [(field: String, from: Bool, to: Bool)] = [
            ("isolated", isIsolated, wanted.isIsolated), ("learning of the port", isLearning, wanted.isLearning),
            ("locked", isLocked, wanted.isLocked), ("guarded against stp", guardsTree, wanted.guardsTree),
            ("unicast flood", floodsUnicast, wanted.floodsUnicast),
            ("multicast flood", floodsMulticast, wanted.floodsMulticast),
            ("broadcast flood", floodsBroadcast, wanted.floodsBroadcast),
            ("neighbour suppression", suppressesNeighbours, wanted.suppressesNeighbours),
        ]
        return pairs.filter { $0.from != $0.to }.map {
            FieldChange($0.field, from: $0.from ? "on" : "off", to: $0.to ? "on" : "off")
        }
    }
}
