public import Netlink

/// What the node shows of a NIC.
public struct NICObservation: Hashable, Sendable {
    /// The link that carries our mark for this NIC: a tap, or the near end of a veth pair.
    public var link: Link?
    /// A link that is not this NIC's and has the name that its interface is to have.
    public var occupant: Link?
    /// The index of the bridge of the wanted switch, if it is there and ours.
    public var bridge: Int32?
    /// The user who is to own the tap, by number; nil for root alone.
    public var owner: UInt32?
    /// What the namespace shows of the far end, if the NIC is to have one and the namespace is there.
    public var farEnd: FarEndObservation?
    /// The MAC addresses that are set at its port, and stay there; nil where nobody asked.
    public var fixed: Set<MACAddress>?
    /// Why this node cannot have the NIC: an unknown user, a namespace that does not exist.
    public var problem: String?

    init() {}
}

/// What a network namespace shows of the far end of a veth pair.
public struct FarEndObservation: Hashable, Sendable {
    /// The far end itself.
    public var link: Link
    /// All of its addresses.
    public var addresses: Set<IPPrefix>
    /// Those of its addresses that carry our mark.
    public var ownAddresses: Set<IPPrefix>
    /// Next hops of default routes through it that carry our mark.
    public var gateways: Set<IPAddress>
}
