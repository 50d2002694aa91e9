public import Netlink

/// A virtual switch as the manifest asks for it: a Linux bridge of our own.
public struct SwitchSpec: Hashable, Sendable {
    /// Its name in the manifest.
    public let name: String
    /// The largest packet in bytes, without the Ethernet header, for the bridge and by default for its NICs.
    public var mtu: UInt32
    /// Physical ports that it borrows, in the order of the manifest.
    public var uplinks: [InterfaceName]

    /// A switch with these properties.
    public init(name: String, mtu: UInt32 = 1500, uplinks: [InterfaceName] = []) {
        self.name = name
        self.mtu = mtu
        self.uplinks = uplinks
    }

    /// The bridge's name: the switch's, or a hashed form of one longer than 15 bytes.
    public var bridge: InterfaceName { Self.bridge(of: name) }

    /// The name of the bridge of a switch.
    public static func bridge(of name: String) -> InterfaceName { .derived(from: name) }

    /// The bridge's hardware address: pinned, since the kernel else takes the lowest of its ports'.
    public var mac: MACAddress { .derived(from: "switch/\(name)") }
}
