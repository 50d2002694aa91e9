internal import CNetlink

/// Which link a message means.
public enum LinkTarget: Hashable, Sendable {
    case index(Int32)
    case name(InterfaceName)
}

/// What a message sets on a link; nil leaves a property as it is.
public struct LinkChange: Hashable, Sendable {
    /// Its new name, where the message means the link by its index. Before Linux 6.2 it must be down (EBUSY).
    public var name: InterfaceName?
    /// The hardware address.
    public var mac: MACAddress?
    /// The largest packet in bytes.
    public var mtu: UInt32?
    /// The free text, at most 255 bytes; empty takes it away.
    public var alias: String?
    /// The bridge it becomes a port of; 0 takes it out.
    public var master: Int32?
    /// The link group.
    public var group: UInt32?
    /// Switched on or off.
    public var isUp: Bool?
    /// How it forms IPv6 link-local addresses. The kernel refuses it (EAFNOSUPPORT) where IPv6 is compiled out.
    public var addressGeneration: AddressGeneration?
    /// Whether addresses of a subnet stay when the first of them goes.
    public var promotesSecondaries: Bool?
    /// Of a bridge. The kernel takes a forward delay outside 2 to 30 s only while STP is off already (ERANGE), and
    /// reads the delay first: a bridge with STP on needs `isSTPEnabled = false` in a message before.
    public var bridge: BridgeAttributes?
    /// Of a bridge: STP alone.
    public var isSTPEnabled: Bool?
    /// Of a bridge: filtering of VLANs alone.
    public var filtersVLANs: Bool?
    /// Of a bridge: no VLAN for ports that come. Those that have the one that was so far are taken out of it.
    public var hasNoDefaultVLAN = false

    /// Changes nothing yet.
    public init() {}

    fileprivate var changesBridge: Bool {
        bridge != nil || isSTPEnabled != nil || filtersVLANs != nil || hasNoDefaultVLAN
    }
}

extension MessageWriter {
    /// Makes a bridge; EEXIST if the name is taken.
    @discardableResult
    public mutating func createBridge(
        _ name: InterfaceName, mac: MACAddress, mtu: UInt32, attributes: BridgeAttributes = BridgeAttributes()
    ) -> Int {
        message(UInt16(RTM_NEWLINK), [.create, .exclusive], operation: "create bridge") {
            $0.append(ifinfomsg())
            $0.attribute(Int(IFLA_IFNAME), name.description)
            $0.attribute(Int(IFLA_ADDRESS), bytes: mac.bytes)
            $0.attribute(Int(IFLA_MTU), mtu)
            $0.nested(Int(IFLA_LINKINFO)) {
                $0.attribute(Int(IFLA_INFO_KIND), "bridge")
                $0.nested(Int(IFLA_INFO_DATA)) {
                    $0.write(attributes)
                    // A new bridge and its ports are in VLAN 1 else. Kernels that have no VLANs are not asked.
                    if attributes.filtersVLANs {
                        $0.attribute(Int(IFLA_BR_VLAN_FILTERING), UInt8(1))
                        $0.attribute(Int(IFLA_BR_VLAN_DEFAULT_PVID), UInt16(0))
                    }
                }
            }
        }
    }

    /// Makes a veth pair whose far end appears in another namespace; EEXIST if either name is taken.
    ///
    /// - Parameter namespace: an open descriptor of the far end's namespace.
    @discardableResult
    public mutating func createVeth(
        _ name: InterfaceName, mac: MACAddress, mtu: UInt32, far: InterfaceName, farMAC: MACAddress, namespace: Int32
    ) -> Int {
        message(UInt16(RTM_NEWLINK), [.create, .exclusive], operation: "create veth pair") {
            $0.append(ifinfomsg())
            $0.attribute(Int(IFLA_IFNAME), name.description)
            $0.attribute(Int(IFLA_ADDRESS), bytes: mac.bytes)
            $0.attribute(Int(IFLA_MTU), mtu)
            $0.nested(Int(IFLA_LINKINFO)) {
                $0.attribute(Int(IFLA_INFO_KIND), "veth")
                $0.nested(Int(IFLA_INFO_DATA)) {
                    $0.nested(Int(VETH_INFO_PEER)) {
                        $0.append(ifinfomsg())
                        $0.attribute(Int(IFLA_IFNAME), far.description)
                        $0.attribute(Int(IFLA_ADDRESS), bytes: farMAC.bytes)
                        $0.attribute(Int(IFLA_MTU), mtu)
                        $0.attribute(Int(IFLA_NET_NS_FD), namespace)
                    }
                }
            }
        }
    }

    /// Makes a VLAN device (802.1Q) on another link; EEXIST if the name, or the VLAN on that link, is taken.
    @discardableResult
    public mutating func createVLAN(_ name: InterfaceName, on lower: Int32, vlan: UInt16) -> Int {
        message(UInt16(RTM_NEWLINK), [.create, .exclusive], operation: "create VLAN device") {
            $0.append(ifinfomsg())
            $0.attribute(Int(IFLA_IFNAME), name.description)
            $0.attribute(Int(IFLA_LINK), lower)
            $0.nested(Int(IFLA_LINKINFO)) {
                $0.attribute(Int(IFLA_INFO_KIND), "vlan")
                $0.nested(Int(IFLA_INFO_DATA)) { $0.attribute(Int(IFLA_VLAN_ID), vlan) }
            }
        }
    }

    /// Makes an ifb, a link through which others send what they have received; EEXIST if the name is taken.
    ///
    /// A kernel that has it as a module loads it, and makes `ifb0` and `ifb1` in the node's namespace with it.
    @discardableResult
    public mutating func createIFB(_ name: InterfaceName) -> Int {
        message(UInt16(RTM_NEWLINK), [.create, .exclusive], operation: "create ifb") {
            $0.append(ifinfomsg())
            $0.attribute(Int(IFLA_IFNAME), name.description)
            $0.nested(Int(IFLA_LINKINFO)) { $0.attribute(Int(IFLA_INFO_KIND), "ifb") }
        }
    }

    /// Changes an existing link: all that is named in one message.
    ///
    /// The kernel applies the parts in its own order and stops at the first that fails; earlier ones stay.
    @discardableResult
    public mutating func changeLink(_ target: LinkTarget, _ change: LinkChange) -> Int {
        message(UInt16(RTM_NEWLINK), operation: "change link") { writer in
            var header = ifinfomsg()
            if let isUp = change.isUp {
                header.ifi_change = UInt32(IFF_UP)
                header.ifi_flags = isUp ? UInt32(IFF_UP) : 0
            }
            writer.append(header, target)
            if let name = change.name { writer.attribute(Int(IFLA_IFNAME), name.description) }
            if let mac = change.mac { writer.attribute(Int(IFLA_ADDRESS), bytes: mac.bytes) }
            if let mtu = change.mtu { writer.attribute(Int(IFLA_MTU), mtu) }
            if let alias = change.alias { writer.attribute(Int(IFLA_IFALIAS), bytes: alias.utf8) }
            if let master = change.master { writer.attribute(Int(IFLA_MASTER), master) }
            if let group = change.group { writer.attribute(Int(IFLA_GROUP), group) }
            writer.writeFamilies(of: change)
            writer.writeBridge(of: change)
        }
    }

    /// Gives a link a further name; EEXIST if any link here has it.
    @discardableResult
    public mutating func addAlternativeName(_ name: String, to target: LinkTarget) -> Int {
        message(UInt16(RTM_NEWLINKPROP), [.create, .exclusive, .append], operation: "add alternative name to link") {
            $0.append(ifinfomsg(), target)
            $0.nested(Int(IFLA_PROP_LIST)) { $0.attribute(Int(IFLA_ALT_IFNAME), name) }
        }
    }

    /// Takes a further name from a link.
    @discardableResult
    public mutating func removeAlternativeName(_ name: String, from target: LinkTarget) -> Int {
        message(UInt16(RTM_DELLINKPROP), operation: "remove alternative name from link") {
            $0.append(ifinfomsg(), target)
            $0.nested(Int(IFLA_PROP_LIST)) { $0.attribute(Int(IFLA_ALT_IFNAME), name) }
        }
    }

    /// Deletes a link. Each costs an RCU grace period, some 18 ms: many go by their group instead.
    @discardableResult
    public mutating func deleteLink(_ target: LinkTarget) -> Int {
        message(UInt16(RTM_DELLINK), operation: "delete link") { $0.append(ifinfomsg(), target) }
    }

    /// Deletes all links of a group in one go. Group 0 is every link that has none, and is refused here.
    @discardableResult
    public mutating func deleteLinks(inGroup group: UInt32) -> Int {
        precondition(group != 0, "group 0 is every link of the machine")
        return message(UInt16(RTM_DELLINK), operation: "delete link group") {
            $0.append(ifinfomsg())
            $0.attribute(Int(IFLA_GROUP), group)
        }
    }
}

extension AttributeWriter {
    /// The header of a link message, and the name where the link is known by it.
    mutating func append(_ header: ifinfomsg, _ target: LinkTarget) {
        var header = header
        switch target {
        case .index(let index):
            header.ifi_index = index
            append(header)
        case .name(let name):
            append(header)
            attribute(Int(IFLA_IFNAME), name.description)
        }
    }

    fileprivate mutating func writeBridge(of change: LinkChange) {
        guard change.changesBridge else { return }
        nested(Int(IFLA_LINKINFO)) {
            // The kind must be repeated with its data.
            $0.attribute(Int(IFLA_INFO_KIND), "bridge")
            $0.nested(Int(IFLA_INFO_DATA)) {
                if let bridge = change.bridge {
                    $0.write(bridge)
                } else if let isSTPEnabled = change.isSTPEnabled {
                    $0.attribute(Int(IFLA_BR_STP_STATE), UInt32(isSTPEnabled ? 1 : 0))
                }
                if let filtersVLANs = change.filtersVLANs {
                    $0.attribute(Int(IFLA_BR_VLAN_FILTERING), UInt8(filtersVLANs ? 1 : 0))
                }
                if change.hasNoDefaultVLAN { $0.attribute(Int(IFLA_BR_VLAN_DEFAULT_PVID), UInt16(0)) }
            }
        }
    }

    fileprivate mutating func writeFamilies(of change: LinkChange) {
        guard change.addressGeneration != nil || change.promotesSecondaries != nil else { return }
        nested(Int(IFLA_AF_SPEC)) {
            if let isOn = change.promotesSecondaries {
                $0.nested(Int(AF_INET)) {
                    $0.nested(Int(IFLA_INET_CONF)) {
                        $0.attribute(Link.Fields.promoteSecondaries, UInt32(isOn ? 1 : 0))
                    }
                }
            }
            if let generation = change.addressGeneration {
                $0.nested(Int(AF_INET6)) { $0.attribute(Int(IFLA_INET6_ADDR_GEN_MODE), generation.rawValue) }
            }
        }
    }
}
