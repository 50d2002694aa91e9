/// A network interface as the kernel lists it (RTM_NEWLINK), so far as we care.
///
/// What is known of it is held once, however many copies there are: every kind of a look passes thousands on.
@dynamicMemberLookup
public struct Link: Hashable, Sendable {
    /// All that is known of a link.
    public struct Fields: Hashable, Sendable {
        /// The number by which the kernel knows it; another namespace may have the same one.
        public var index: Int32
        /// Its name.
        public var name: InterfaceName
        /// What made it; nil for physical ports and loopback.
        public var kind: LinkKind?
        /// Free text of up to 255 bytes; our ownership mark stands here.
        public var alias: String?
        /// Further names, up to 127 bytes each (Linux 5.5).
        public var alternativeNames: [String] = []
        /// Its hardware address; nil where it has none of six bytes.
        public var mac: MACAddress?
        /// The largest packet in bytes, without the Ethernet header.
        public var mtu: UInt32 = 0
        /// IFF_UP: switched on by somebody.
        public var isUp = false
        /// IFF_RUNNING: switched on, and there is a carrier.
        public var isRunning = false
        /// IFF_LOOPBACK.
        public var isLoopback = false
        /// The bridge (or bond) it is a port of.
        public var master: Int32?
        /// The other end of a veth, the lower device of a VLAN: an index in `peerNamespace`, or here if that is nil.
        public var peer: Int32?
        /// The local id of the namespace in which the other end lives.
        public var peerNamespace: Int32?
        /// The kind of its root queueing discipline, as tc(8) prints it.
        public var discipline: String?
        /// The link group, 0 unless set.
        public var group: UInt32 = 0
        /// How it forms IPv6 link-local addresses; nil where IPv6 is off.
        public var addressGeneration: AddressGeneration?
        /// net.ipv6.conf.NAME.disable_ipv6; nil where the kernel has no IPv6.
        public var isIPv6Disabled: Bool?
        /// net.ipv4.conf.NAME.promote_secondaries: when an address goes, those of its subnet that came after it stay.
        /// Nil where the link has no IPv4.
        public var promotesSecondaries: Bool?
        /// Of a tun or tap.
        public var tun: TunAttributes?
        /// Of a bridge.
        public var bridge: BridgeAttributes?
        /// Of a VLAN device, whose lower link is its `peer`: its VLAN id (802.1Q).
        public var vlan: UInt16?
        /// Of a VXLAN link.
        public var vxlan: VXLANAttributes?
        /// Of a port of a bridge: how the bridge treats it.
        public var port: BridgePortAttributes?
        /// Of a bridge, and of a port of one: the VLANs that it is in. Nil where nobody has listed them, which is
        /// another dump (`NetlinkSocket.portVLANs`).
        public var vlans: PortVLANs?
        /// Of a port of a bridge that is switched on and has a carrier: the bridge has shut it all the same, as it does
        /// where a spanning tree message came in at a guarded port (BR_STATE_DISABLED).
        public var isShut = false

        init(index: Int32, name: InterfaceName) {
            self.index = index
            self.name = name
        }
    }

    @usableFromInline
    final class Holder: Sendable {
        @usableFromInline let fields: Fields

        @usableFromInline
        init(_ fields: Fields) { self.fields = fields }
    }

    @usableFromInline var holder: Holder

    /// A field of it.
    @inlinable
    public subscript<Value>(dynamicMember field: KeyPath<Fields, Value>) -> Value { holder.fields[keyPath: field] }

    /// A field of it, to be changed in this copy.
    @inlinable
    public subscript<Value>(dynamicMember field: WritableKeyPath<Fields, Value>) -> Value {
        get { holder.fields[keyPath: field] }
        set {
            var fields = holder.fields
            fields[keyPath: field] = newValue
            holder = Holder(fields)
        }
    }

    public static func == (left: Link, right: Link) -> Bool {
        left.holder === right.holder || left.holder.fields == right.holder.fields
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(holder.fields) }

    init(_ fields: Fields) { holder = Holder(fields) }

    init(index: Int32, name: InterfaceName) { self.init(Fields(index: index, name: name)) }
}

/// What made a link: the IFLA_INFO_KIND that the kernel prints.
public enum LinkKind: Hashable, Sendable, CustomStringConvertible {
    case bridge
    /// Both tun and tap devices; `TunAttributes` tells them apart.
    case tun
    case veth
    case vxlan
    /// A VLAN device on another link.
    case vlan
    case ifb
    case other(String)

    init(_ attribute: Attribute) {
        if attribute.isText("tun") {
            self = .tun
        } else if attribute.isText("veth") {
            self = .veth
        } else if attribute.isText("bridge") {
            self = .bridge
        } else if attribute.isText("vxlan") {
            self = .vxlan
        } else if attribute.isText("vlan") {
            self = .vlan
        } else if attribute.isText("ifb") {
            self = .ifb
        } else {
            self = .other(attribute.text)
        }
    }

    public var description: String {
        switch self {
        case .bridge: "bridge"
        case .tun: "tun"
        case .veth: "veth"
        case .vxlan: "vxlan"
        case .vlan: "vlan"
        case .ifb: "ifb"
        case .other(let name): name
        }
    }
}

/// How an interface forms IPv6 link-local addresses (IFLA_INET6_ADDR_GEN_MODE).
public enum AddressGeneration: UInt8, Sendable {
    case eui64 = 0
    case none = 1
    case stablePrivacy = 2
    case random = 3
}

/// What the kernel shows of a tun or tap (IFLA_TUN_*, Linux 4.17).
public struct TunAttributes: Hashable, Sendable {
    /// A tap carries Ethernet frames, a tun IP packets.
    public var isTap = false
    /// IFF_MULTI_QUEUE.
    public var isMultiQueue = false
    /// IFF_VNET_HDR.
    public var hasVirtioHeader = false
    /// Packet information before each packet: the opposite of IFF_NO_PI.
    public var hasPacketInformation = false
    /// It stays when its last descriptor is closed.
    public var isPersistent = false
    /// The user who may open it without CAP_NET_ADMIN.
    public var owner: UInt32?
    /// The group whose members may open it without CAP_NET_ADMIN.
    public var group: UInt32?
}
