public import Netlink

/// A network interface of a VM (or of a container) as the manifest asks for it: a port on a switch.
///
/// What it takes from others (its MTU from the switch, prefix lengths from the router's subnets) is filled in by
/// `NICKind.resolution`, so that comparing needs nothing but this value.
///
/// What it is is held once, however many copies there are: they are looked through by thousands.
@dynamicMemberLookup
public struct NICSpec: Hashable, Sendable {
    /// An address of the NIC, with its prefix length where that is known.
    public struct Address: Hashable, Sendable {
        /// The address itself.
        public var address: IPAddress
        /// As the manifest gives it, or that of the subnet that contains the address; nil before `resolution`.
        public var length: Int?

        /// An address with or without its prefix length.
        public init(_ address: IPAddress, length: Int? = nil) {
            self.address = address
            self.length = length
        }

        /// The address with its prefix length, which is the whole width where none is known.
        public var prefix: IPPrefix {
            length.flatMap { IPPrefix(address: address, length: $0) } ?? IPPrefix(host: address)
        }
    }

    /// A user by number or by name; a name is looked up on the node when the tap is made.
    public enum Owner: Hashable, Sendable, CustomStringConvertible {
        case number(UInt32)
        case name(String)

        public var description: String {
            switch self {
            case .number(let number): "\(number)"
            case .name(let name): name
            }
        }
    }

    /// What the NIC plugs into on the VM's side.
    public enum Attachment: Hashable, Sendable {
        /// A persistent tap that a hypervisor opens. The owner may do so without privileges.
        case tap(owner: Owner?)
        /// A veth pair whose far end lands in a network namespace, with addresses and default routes.
        case namespace(String, farEnd: InterfaceName, gateways: [IPAddress])
    }

    /// All that is asked of a NIC.
    public struct Fields: Hashable, Sendable {
        /// The VM it belongs to.
        public let machine: String
        /// Its name within the VM: given, or net0, net1 by position.
        public let name: String
        /// The switch it is a port of.
        public var switchName: String
        /// The interface on this node: the tap, or the near end of the veth pair.
        public var interface: InterfaceName
        /// The VM's own hardware address, which anti-spoofing holds it to.
        public var mac: MACAddress
        /// Its addresses; empty if the manifest gives none.
        public var addresses: [Address]
        /// What it may use beside its own MAC address and addresses.
        public var allow = Allowance()
        /// The guards that it is let off.
        public var unguarded: Set<Guard> = []
        /// The security groups that hold it, sorted; empty if it is open.
        public var groups: [String]
        /// The largest packet in bytes; nil before `resolution` if the manifest gives none.
        public var mtu: UInt32?
        /// A tap, or a namespace.
        public var attachment: Attachment
        /// The code point of what it sends; nil if that is left as it comes.
        public var codePoint: CodePoint?
        /// What it is sure of where it leaves by an uplink, in bits a second.
        public var guarantee: UInt64?
        /// How the switch treats its port.
        public var port = PortSettings()
        /// The VLANs that the manifest names for it; nil for none, which is VLAN 1 where others name some.
        public var vlans: PortVLANs?
        /// Why this kernel cannot have it; nil if it can. What is there of it stays as it is.
        public var refusal: String?
        /// The resource's name: `vm1/net0`.
        public let resourceName: String

        fileprivate init(
            machine: String, name: String, switchName: String, interface: InterfaceName, mac: MACAddress,
            addresses: [Address], groups: [String], mtu: UInt32?, attachment: Attachment
        ) {
            self.machine = machine
            self.name = name
            self.switchName = switchName
            self.interface = interface
            self.mac = mac
            self.addresses = addresses
            self.groups = groups
            self.mtu = mtu
            self.attachment = attachment
            resourceName = "\(machine)/\(name)"
        }
    }

    private final class Holder: Sendable {
        let fields: Fields

        init(_ fields: Fields) { self.fields = fields }
    }

    private var holder: Holder

    /// A field of it.
    public subscript<Value>(dynamicMember field: KeyPath<Fields, Value>) -> Value { holder.fields[keyPath: field] }

    /// A field of it, to be changed in this copy.
    public subscript<Value>(dynamicMember field: WritableKeyPath<Fields, Value>) -> Value {
        get { holder.fields[keyPath: field] }
        set { change { $0[keyPath: field] = newValue } }
    }

    /// Changes several fields of this copy at once.
    mutating func change(_ body: (inout Fields) -> Void) {
        var fields = holder.fields
        body(&fields)
        holder = Holder(fields)
    }

    public static func == (left: NICSpec, right: NICSpec) -> Bool {
        left.holder === right.holder || left.holder.fields == right.holder.fields
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(holder.fields) }

    /// A NIC with everything derived that can be.
    public init(
        machine: String, name: String, switchName: String, interface: InterfaceName? = nil, mac: MACAddress? = nil,
        addresses: [Address] = [], groups: [String] = [], mtu: UInt32? = nil, attachment: Attachment = .tap(owner: nil)
    ) {
        holder = Holder(
            Fields(
                machine: machine, name: name, switchName: switchName,
                interface: interface ?? .derived(from: "\(machine)-\(name)"),
                mac: mac ?? .derived(from: "\(machine)/\(name)"), addresses: addresses, groups: groups, mtu: mtu,
                attachment: attachment))
    }

    /// Among whom its addresses are its own: its switch, or a VLAN of that.
    public var segment: String { VLANs.segment(of: self.switchName, self.port.vlans?.native) }

    /// The MAC addresses that it may send from.
    var macs: [MACAddress] { [self.mac] + self.allow.macs }

    /// The addresses at which it may be reached, as hosts and networks.
    var reach: [IPPrefix] { self.addresses.map { IPPrefix(host: $0.address) } + self.allow.networks }

    /// The hardware address of the interface on this node. It differs from the VM's in the first byte: a bridge takes
    /// frames to a port's own address for itself, so the two must never be the same.
    public var hostMAC: MACAddress {
        self.mac.replacingFirstByte(with: self.mac.bytes[0] == 0xfe ? 0xfa : 0xfe)
    }
}
