public import Netlink

/// The way of one VLAN out by an uplink, where a bridge cannot filter: a VLAN device (802.1Q) on the uplink, as a port
/// of the bridge that stands for the VLAN.
public struct VLANPortSpec: Hashable, Sendable {
    /// The uplink that it is on.
    public let lower: InterfaceName
    public let vlan: UInt16
    /// The switch that stands for the VLAN.
    public let switchName: String

    public init(lower: InterfaceName, vlan: UInt16, switchName: String) {
        self.lower = lower
        self.vlan = vlan
        self.switchName = switchName
    }

    /// The resource's name: `eth1.10`.
    public var resourceName: String { "\(lower).\(vlan)" }

    /// The device: the same, or a hashed form of a longer one.
    public var interface: InterfaceName { .derived(from: resourceName) }
}
