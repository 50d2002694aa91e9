public import Netlink

/// A virtual switch as the manifest asks for it: a Linux bridge of our own.
public struct SwitchSpec: Hashable, Sendable {
    /// Its name in the manifest.
    public let name: String
    /// The largest packet in bytes, without the Ethernet header, for the bridge and by default for its NICs.
    public var mtu: UInt32
    /// Physical ports that it borrows, in the order of the manifest.
    public var uplinks: [InterfaceName]
    /// This node's own address in the overlay that joins it with switches of other nodes; nil if none does.
    public var local: IPAddress?

    /// What it learns, its part in a spanning tree, what it does with multicast.
    public var settings = SwitchSettings()

    /// How it keeps VLANs apart, where NICs on it name any: filled in by `VLANs.derivation`.
    public var vlans: SwitchVLANs?
    /// The VLAN of another switch for which it stands; nil for one of the manifest.
    public var part: VLANPart?

    /// Whether br_netfilter shows its frames to conntrack: where NICs have groups, and bridges have no conntrack of
    /// their own.
    public var isTracked = false
    /// The conntrack zone of its flows; nil where nobody asks conntrack about them.
    public var zone: UInt16?
    /// Those of its VLANs but 1, by VLAN, where its bridge filters.
    public var vlanZones: [UInt16: UInt16] = [:]
    /// The switches to which routers lead from it, itself included; empty where no router is on it.
    public var joined: Set<String> = []

    /// A switch with these properties.
    public init(name: String, mtu: UInt32 = 1500, uplinks: [InterfaceName] = [], local: IPAddress? = nil) {
        self.name = name
        self.mtu = mtu
        self.uplinks = uplinks
        self.local = local
    }

    /// The bridge's name: the switch's, or a hashed form of one longer than 15 bytes.
    public var bridge: InterfaceName { Self.bridge(of: name) }

    /// The bridge's own properties.
    var bridging: BridgeAttributes {
        var bridge = settings.bridging
        bridge.callsNetfilter = isTracked
        bridge.filtersVLANs = vlans?.way == .filtering
        return bridge
    }

    /// Whether the bridge forms a link-local address. Only a querier needs one on its own account: hosts answer MLD
    /// queries from such an address alone (RFC 3810 section 5.1.14).
    var addressGeneration: AddressGeneration { settings.multicast == .snoop(isQuerier: true) ? .eui64 : .none }

    /// The name of the bridge of a switch.
    public static func bridge(of name: String) -> InterfaceName { .derived(from: name) }

    /// The bridge's hardware address: pinned, since the kernel else takes the lowest of its ports'.
    ///
    /// Where the same switch is on other nodes too, each node's has its own: routers send from it.
    public var mac: MACAddress { .derived(from: local.map { "switch/\(name)/\($0)" } ?? "switch/\(name)") }

    /// Whether its NICs speak a version of IP among themselves only: where no router is, the node has no route to them.
    ///
    /// - Parameter nics: those that are on it. One without addresses may have any.
    public func isApart(_ nics: [NICSpec], isIPv4: Bool) -> Bool {
        joined.isEmpty
            && nics.contains { nic in
                nic.addresses.isEmpty || nic.addresses.contains { $0.address.isIPv4 == isIPv4 }
            }
    }
}
