internal import Capabilities
internal import Netlink
internal import Reconcile

/// All that a manifest says of groups, and how this kernel tells of connections.
struct Policy: Sendable {
    var groups: [String: GroupSpec] = [:]
    var sets: [String: AddressSetSpec] = [:]
    var state = StateSource.mark

    /// A policy without groups: NICs are open.
    init() {}

    /// The policy of a manifest.
    init(_ desired: Desired) {
        groups = desired.specs(of: GroupKind.self)
        sets = desired.specs(of: AddressSetKind.self)
        // The kernel is asked only where the answer matters.
        if !groups.isEmpty { state = .ofThisKernel }
    }
}

/// Where a connection's state comes from in the bridge family.
enum StateSource: Hashable, Sendable {
    /// Conntrack sees bridged frames itself (NF_CONNTRACK_BRIDGE, Linux 5.3).
    case conntrack
    /// br_netfilter shows them to conntrack in the inet family, and the table of `StateKind` writes into the packet's
    /// mark what that says.
    case mark

    static let ofThisKernel: StateSource = Capabilities.current.has(.conntrackBridge) ? .conntrack : .mark
}
