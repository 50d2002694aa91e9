internal import CNetlink

extension NetlinkSocket {
    /// Lists all links of the socket's namespace.
    public mutating func links() throws(NetlinkError) -> [Link] {
        var request = MessageWriter(capacity: 64)
        request.message(UInt16(RTM_GETLINK), .dump, operation: "list links") {
            $0.append(ifinfomsg())
            // Statistics are most of a link's message, and nobody here reads them.
            $0.attribute(Int(IFLA_EXT_MASK), UInt32(RTEXT_FILTER_SKIP_STATS))
        }
        return try dump(request) { Link($0) }
    }

    /// One link by name; nil if there is none.
    public mutating func link(named name: InterfaceName) throws(NetlinkError) -> Link? {
        var request = MessageWriter(capacity: 64)
        request.message(UInt16(RTM_GETLINK), operation: "get link") {
            $0.append(ifinfomsg())
            $0.attribute(Int(IFLA_IFNAME), name.description)
            $0.attribute(Int(IFLA_EXT_MASK), UInt32(RTEXT_FILTER_SKIP_STATS))
        }
        var link: Link?
        let outcomes = try self.request(request) { _, message in link = Link(message) ?? link }
        for case let error? in outcomes where !error.isMissing { throw error.about(name) }
        return link
    }
}

extension Link {
    /// The link in a message of the kernel; nil if it is another message or has no name.
    init?(_ message: Message) {
        guard let fields = Fields(message) else { return nil }
        self.init(fields)
    }
}

extension Link.Fields {
    fileprivate init?(_ message: Message) {
        guard message.type == UInt16(RTM_NEWLINK), let header = message.header(as: ifinfomsg.self) else { return nil }
        let attributes = message.attributes(after: ifinfomsg.self)
        let name = attributes.first { $0.type == Int(IFLA_IFNAME) }?.interfaceName
        guard let name else { return nil }
        self.init(index: header.ifi_index, name: name)
        isUp = header.ifi_flags & UInt32(IFF_UP) != 0
        isRunning = header.ifi_flags & UInt32(IFF_RUNNING) != 0
        isLoopback = header.ifi_flags & UInt32(IFF_LOOPBACK) != 0
        for attribute in attributes { read(attribute) }
    }

    private mutating func read(_ attribute: Attribute) {
        switch attribute.type {
        case Int(IFLA_IFALIAS): alias = attribute.text
        case Int(IFLA_ADDRESS): mac = attribute.macAddress
        case Int(IFLA_MTU): mtu = attribute.number() ?? 0
        case Int(IFLA_MASTER): master = attribute.number()
        case Int(IFLA_LINK): peer = attribute.number()
        case Int(IFLA_LINK_NETNSID): peerNamespace = attribute.number()
        case Int(IFLA_QDISC): discipline = attribute.text
        case Int(IFLA_GROUP): group = attribute.number() ?? 0
        case Int(IFLA_LINKINFO): readInformation(attribute.nested)
        case Int(IFLA_AF_SPEC): readFamilies(attribute.nested)
        case Int(IFLA_PROP_LIST):
            for property in attribute.nested where property.type == Int(IFLA_ALT_IFNAME) {
                alternativeNames.append(property.text)
            }
        default: break
        }
    }

    private mutating func readInformation(_ attributes: AttributeReader) {
        var isBridgePort = false
        for attribute in attributes {
            switch attribute.type {
            case Int(IFLA_INFO_KIND): kind = LinkKind(attribute)
            case Int(IFLA_INFO_SLAVE_KIND): isBridgePort = attribute.isText("bridge")
            case Int(IFLA_INFO_DATA):
                // The kernel writes the kind before its data.
                switch kind {
                case .tun: tun = TunAttributes(attribute.nested)
                case .bridge: bridge = BridgeAttributes(attribute.nested)
                case .vxlan: vxlan = VXLANAttributes(attribute.nested)
                case .vlan: vlan = attribute.nested.first { $0.type == Int(IFLA_VLAN_ID) }?.number()
                default: break
                }
            case Int(IFLA_INFO_SLAVE_DATA) where isBridgePort:
                port = BridgePortAttributes(attribute.nested)
                isShut = isUp && isRunning && BridgePortAttributes.isDisabled(attribute.nested)
            default: break
            }
        }
    }

    /// IPV4_DEVCONF_PROMOTE_SECONDARIES (linux/ip.h).
    static let promoteSecondaries = 20

    private mutating func readFamilies(_ families: AttributeReader) {
        for family in families where family.type == Int(AF_INET) {
            for attribute in family.nested where attribute.type == Int(IFLA_INET_CONF) {
                // An array of int32 that begins with IPV4_DEVCONF 1 (linux/ip.h).
                let number = attribute.payload.value(at: (Self.promoteSecondaries - 1) * 4, as: Int32.self)
                promotesSecondaries = number.map { $0 != 0 }
            }
        }
        for family in families where family.type == Int(AF_INET6) {
            for attribute in family.nested {
                switch attribute.type {
                case Int(IFLA_INET6_ADDR_GEN_MODE):
                    addressGeneration = attribute.number(as: UInt8.self).flatMap(AddressGeneration.init)
                case Int(IFLA_INET6_CONF):
                    // An array of int32 indexed by DEVCONF_* (linux/ipv6.h): 26 is DEVCONF_DISABLE_IPV6.
                    isIPv6Disabled = attribute.payload.value(at: 26 * 4, as: Int32.self).map { $0 != 0 }
                default: break
                }
            }
        }
    }
}

extension TunAttributes {
    fileprivate init(_ attributes: AttributeReader) {
        for attribute in attributes {
            let isOn = attribute.number(as: UInt8.self).map { $0 != 0 } ?? false
            switch attribute.type {
            // 1 is IFF_TUN, 2 is IFF_TAP (linux/if_tun.h).
            case Int(IFLA_TUN_TYPE): isTap = attribute.number(as: UInt8.self) == 2
            case Int(IFLA_TUN_PI): hasPacketInformation = isOn
            case Int(IFLA_TUN_VNET_HDR): hasVirtioHeader = isOn
            case Int(IFLA_TUN_PERSIST): isPersistent = isOn
            case Int(IFLA_TUN_MULTI_QUEUE): isMultiQueue = isOn
            case Int(IFLA_TUN_OWNER): owner = attribute.number()
            case Int(IFLA_TUN_GROUP): group = attribute.number()
            default: break
            }
        }
    }
}
