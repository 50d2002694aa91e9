internal import CNetlink

/// A neighbour: the MAC address that an IP address has behind a link (RTM_NEWNEIGH of AF_INET and AF_INET6).
public struct Neighbour: Hashable, Sendable {
    /// The link behind which it is.
    public var link: Int32
    public var address: IPAddress
    /// Nil while the kernel is still asking for it.
    public var mac: MACAddress?
    /// NUD_PERMANENT: set by somebody; the kernel neither asks for it nor forgets it.
    public var isPermanent: Bool
    /// Who put it there (NDA_PROTOCOL, Linux 5.0): `OwnershipMark.protocolNumber` for ours, 0 for the kernel.
    public var protocolNumber: UInt8

    /// A neighbour of ours.
    public init(_ address: IPAddress, mac: MACAddress, link: Int32) {
        self.link = link
        self.address = address
        self.mac = mac
        isPermanent = true
        protocolNumber = OwnershipMark.protocolNumber
    }
}

extension Neighbour {
    init?(_ message: Message) {
        guard message.type == UInt16(RTM_NEWNEIGH), let header = message.header(as: ndmsg.self) else { return nil }
        guard [AF_INET, AF_INET6].contains(Int32(header.ndm_family)) else { return nil }
        link = header.ndm_ifindex
        isPermanent = Int32(header.ndm_state) & NUD_PERMANENT != 0
        protocolNumber = 0
        var address: IPAddress?
        for attribute in message.attributes(after: ndmsg.self) {
            switch attribute.type {
            case Int(NDA_DST): address = attribute.address
            case Int(NDA_LLADDR): mac = attribute.macAddress
            case Int(NDA_PROTOCOL): protocolNumber = attribute.number() ?? 0
            default: break
            }
        }
        guard let address, address.isIPv4 == (Int32(header.ndm_family) == AF_INET) else { return nil }
        self.address = address
    }
}

extension NetlinkSocket {
    /// Lists the neighbours that one program has put there, both families, all links.
    public mutating func neighbours(ofProtocol number: UInt8) throws(NetlinkError) -> [Neighbour] {
        var request = MessageWriter(capacity: 64)
        // The kernel filters by link only; the header must be empty otherwise (neigh_valid_dump_req).
        request.message(UInt16(RTM_GETNEIGH), .dump, operation: "list neighbours") { $0.append(ndmsg()) }
        return try dump(request) { (message) throws(NetlinkError) -> Neighbour? in
            guard let neighbour = Neighbour(message), neighbour.protocolNumber == number else { return nil }
            return neighbour
        }
    }
}

extension MessageWriter {
    /// Makes a neighbour permanent, with the owner it names; replaces what the kernel has learned of its address.
    ///
    /// EINVAL for an IPv6 address on a link without IPv6: one whose MTU is below 1280.
    @discardableResult
    public mutating func setNeighbour(_ neighbour: Neighbour) -> Int {
        message(UInt16(RTM_NEWNEIGH), [.create, .replace], operation: "set neighbour") {
            $0.write(neighbour, state: NUD_PERMANENT)
            if let mac = neighbour.mac { $0.attribute(Int(NDA_LLADDR), bytes: mac.bytes) }
            $0.attribute(Int(NDA_PROTOCOL), neighbour.protocolNumber)
        }
    }

    /// Takes a neighbour away; ENOENT if there is none.
    @discardableResult
    public mutating func removeNeighbour(_ neighbour: Neighbour) -> Int {
        message(UInt16(RTM_DELNEIGH), operation: "remove neighbour") { $0.write(neighbour, state: 0) }
    }
}

extension AttributeWriter {
    fileprivate mutating func write(_ neighbour: Neighbour, state: Int32) {
        var header = ndmsg()
        header.ndm_family = UInt8(neighbour.address.isIPv4 ? AF_INET : AF_INET6)
        header.ndm_ifindex = neighbour.link
        header.ndm_state = UInt16(truncatingIfNeeded: state)
        append(header)
        attribute(Int(NDA_DST), bytes: neighbour.address.bytes)
    }
}
