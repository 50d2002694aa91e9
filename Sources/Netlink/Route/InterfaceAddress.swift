internal import CNetlink

/// An address of an interface as the kernel lists it (RTM_NEWADDR).
public struct InterfaceAddress: Hashable, Sendable {
    /// The interface by its index.
    public var link: Int32
    /// The address with its prefix length.
    public var prefix: IPPrefix
    /// Who put it there (IFA_PROTO, Linux 5.18): `OwnershipMark.protocolNumber` for ours. 0 on an older kernel.
    public var protocolNumber: UInt8
    /// How far it is valid: RT_SCOPE_UNIVERSE (0), RT_SCOPE_LINK (253), RT_SCOPE_HOST (254).
    public var scope: UInt8
    /// IFA_F_PERMANENT: not given for a time by a router or a DHCP server.
    public var isPermanent: Bool

    init?(_ message: Message) {
        guard message.type == UInt16(RTM_NEWADDR), let header = message.header(as: ifaddrmsg.self) else { return nil }
        var address: IPAddress?
        var local: IPAddress?
        var owner: UInt8 = 0
        var flags = UInt32(header.ifa_flags)
        for attribute in message.attributes(after: ifaddrmsg.self) {
            switch attribute.type {
            case Int(IFA_ADDRESS): address = attribute.address
            case Int(IFA_LOCAL): local = attribute.address
            case Int(IFA_PROTO): owner = attribute.number() ?? 0
            case Int(IFA_FLAGS): flags = attribute.number() ?? flags
            default: break
            }
        }
        // IFA_ADDRESS is the peer's on a point-to-point link; IFA_LOCAL, where there is one, is always ours.
        guard let address = local ?? address else { return nil }
        guard let prefix = IPPrefix(address: address, length: Int(header.ifa_prefixlen)) else { return nil }
        self.prefix = prefix
        link = Int32(bitPattern: header.ifa_index)
        protocolNumber = owner
        scope = header.ifa_scope
        isPermanent = flags & UInt32(IFA_F_PERMANENT) != 0
    }
}

extension NetlinkSocket {
    /// Lists all addresses of the socket's namespace, both families.
    public mutating func addresses() throws(NetlinkError) -> [InterfaceAddress] {
        var request = MessageWriter(capacity: 64)
        request.message(UInt16(RTM_GETADDR), .dump, operation: "list addresses") { $0.append(ifaddrmsg()) }
        return try dump(request) { InterfaceAddress($0) }
    }
}

extension MessageWriter {
    /// Gives an interface an address, marked as ours; EEXIST if it has it already.
    ///
    /// IPv6 without duplicate address detection: the manifest has decided whose it is, and it is usable at once.
    @discardableResult
    public mutating func addAddress(_ prefix: IPPrefix, to link: Int32) -> Int {
        message(UInt16(RTM_NEWADDR), [.create, .exclusive], operation: "add address") {
            $0.write(prefix, on: link)
            switch prefix {
            case .v4(let v4) where v4.length < 31: $0.attribute(Int(IFA_BROADCAST), bytes: v4.last.bytes)
            case .v4: break
            case .v6: $0.attribute(Int(IFA_FLAGS), UInt32(IFA_F_NODAD))
            }
            $0.attribute(Int(IFA_PROTO), OwnershipMark.protocolNumber)
        }
    }

    /// Takes an address from an interface; EADDRNOTAVAIL if it does not have it.
    @discardableResult
    public mutating func removeAddress(_ prefix: IPPrefix, from link: Int32) -> Int {
        message(UInt16(RTM_DELADDR), operation: "remove address") {
            $0.write(prefix, on: link)
        }
    }
}

extension MessageWriter {
    /// Takes an address from an interface and from nobody else: by default the kernel takes the later IPv4 addresses of
    /// the same subnet with it (promote_secondaries, Linux ip-sysctl).
    public mutating func removeAddressAlone(_ prefix: IPPrefix, from link: Link) {
        let isDue = prefix.isIPv4 && link.promotesSecondaries == false
        var change = LinkChange()
        change.promotesSecondaries = true
        if isDue { changeLink(.index(link.index), change) }
        removeAddress(prefix, from: link.index)
        change.promotesSecondaries = false
        if isDue { changeLink(.index(link.index), change) }
    }
}

extension AttributeWriter {
    fileprivate mutating func write(_ prefix: IPPrefix, on link: Int32) {
        var header = ifaddrmsg()
        header.ifa_family = UInt8(prefix.isIPv4 ? AF_INET : AF_INET6)
        header.ifa_prefixlen = UInt8(prefix.length)
        header.ifa_index = UInt32(bitPattern: link)
        append(header)
        attribute(Int(IFA_LOCAL), bytes: prefix.address.bytes)
        attribute(Int(IFA_ADDRESS), bytes: prefix.address.bytes)
    }
}
