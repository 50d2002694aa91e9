internal import CNetlink

/// An entry of a forwarding database: where frames to a MAC address go (RTM_NEWNEIGH of AF_BRIDGE).
///
/// A bridge has one, which leads to its ports, and a VXLAN link has one, which leads to peers. In the latter the MAC
/// address of all zeros stands for all that nothing else leads to, and may lead to several peers.
public struct ForwardingEntry: Hashable, Sendable {
    /// Whose database it is in.
    public enum Table: Hashable, Sendable {
        /// The bridge's, of which the link is a port (NTF_MASTER).
        case bridge
        /// The link's own (NTF_SELF).
        case link
    }

    /// How it came to be there, and how it goes.
    public enum Origin: Hashable, Sendable {
        /// Set by somebody, and kept. In a bridge's database: frames to it go out by this port.
        case fixed
        /// In a bridge's database: the address is the node's own, frames to it go up its stack.
        case local
        /// Learned from a frame; it ages.
        case learned
        /// Another control plane's (NTF_EXT_LEARNED), such as a routing daemon's.
        case external
    }

    /// The VXLAN link or bridge port.
    public var link: Int32
    public var table: Table
    public var mac: MACAddress
    public var origin: Origin
    /// The peer, of an entry of a VXLAN link.
    public var peer: IPAddress?
    /// It stays at its port when frames from that MAC address come in elsewhere (NTF_STICKY, Linux 4.20).
    public var isSticky = false
    /// Only for this VLAN.
    public var vlan: UInt16?
    /// What the way to the peer differs in from the link's own: UDP port, VNI, outgoing interface.
    public var detour = Detour()

    /// Where an entry of a VXLAN link departs from the link's own settings.
    public struct Detour: Hashable, Sendable {
        public var port: UInt16?
        public var vni: UInt32?
        public var interface: UInt32?

        /// No departure.
        public init() {}
    }

    /// Frames to this MAC address go to this peer.
    public init(_ mac: MACAddress, to peer: IPAddress, on link: Int32) {
        self.link = link
        table = .link
        self.mac = mac
        origin = .fixed
        self.peer = peer
    }

    /// Frames to this MAC address go out by this port of a bridge, whatever is heard elsewhere.
    public init(_ mac: MACAddress, atPort link: Int32) {
        self.link = link
        table = .bridge
        self.mac = mac
        origin = .fixed
        isSticky = true
    }
}

extension ForwardingEntry {
    init?(_ message: Message) {
        guard message.type == UInt16(RTM_NEWNEIGH), let header = message.header(as: ndmsg.self) else { return nil }
        guard Int32(header.ndm_family) == AF_BRIDGE else { return nil }
        let flags = Int32(header.ndm_flags)
        link = header.ndm_ifindex
        isSticky = flags & NTF_STICKY != 0
        var mac: MACAddress?
        var isOfBridge = false
        for attribute in message.attributes(after: ndmsg.self) {
            switch attribute.type {
            case Int(NDA_LLADDR): mac = attribute.macAddress
            case Int(NDA_DST): peer = attribute.address
            case Int(NDA_MASTER): isOfBridge = true
            case Int(NDA_VLAN): vlan = attribute.number()
            case Int(NDA_PORT): detour.port = attribute.bigEndian()
            case Int(NDA_VNI): detour.vni = attribute.number()
            case Int(NDA_IFINDEX): detour.interface = attribute.number()
            default: break
            }
        }
        guard let mac else { return nil }
        self.mac = mac
        table = isOfBridge && flags & NTF_SELF == 0 ? .bridge : .link
        origin = Self.origin(state: Int32(header.ndm_state), flags: flags, table)
    }

    /// NUD_PERMANENT is a bridge's word for the node's own addresses (fdb_to_nud in net/bridge/br_fdb.c), and a VXLAN
    /// link's for what was set.
    private static func origin(state: Int32, flags: Int32, _ table: Table) -> Origin {
        if flags & NTF_EXT_LEARNED != 0 { return .external }
        if state & NUD_PERMANENT != 0 { return table == .bridge ? .local : .fixed }
        return state & NUD_NOARP != 0 ? .fixed : .learned
    }
}

extension NetlinkSocket {
    /// Lists what one link has in its own database and, as a port, in its bridge's; learned entries too.
    public mutating func forwardingEntries(of link: Int32) throws(NetlinkError) -> [ForwardingEntry] {
        try listEntries(of: link).filter { $0.link == link }
    }

    /// Lists what all links have.
    public mutating func forwardingEntries() throws(NetlinkError) -> [ForwardingEntry] { try listEntries(of: 0) }

    private mutating func listEntries(of link: Int32) throws(NetlinkError) -> [ForwardingEntry] {
        var request = MessageWriter(capacity: 64)
        request.message(UInt16(RTM_GETNEIGH), .dump, operation: "list forwarding entries") {
            var header = ndmsg()
            header.ndm_family = UInt8(AF_BRIDGE)
            header.ndm_ifindex = link
            $0.append(header)
        }
        return try dump(request) { ForwardingEntry($0) }
    }
}

extension MessageWriter {
    /// Sets where frames to a MAC address go: what was learned or set before is replaced.
    ///
    /// Frames to the MAC address of all zeros go to one more peer; success if they do already.
    @discardableResult
    public mutating func setForwardingEntry(_ entry: ForwardingEntry) -> Int {
        // A VXLAN link replaces unicast entries only, and appends to the others (vxlan_fdb_update_existing).
        let flags: MessageFlags = entry.mac.isZero ? [.create, .append] : [.create, .replace]
        return message(UInt16(RTM_NEWNEIGH), flags, operation: "set forwarding entry") {
            $0.write(entry, state: entry.table == .bridge ? NUD_NOARP : NUD_PERMANENT)
        }
    }

    /// Takes an entry away; of several peers behind one MAC address only this one. ENOENT if there is none.
    @discardableResult
    public mutating func removeForwardingEntry(_ entry: ForwardingEntry) -> Int {
        message(UInt16(RTM_DELNEIGH), operation: "remove forwarding entry") { $0.write(entry, state: 0) }
    }
}

extension AttributeWriter {
    fileprivate mutating func write(_ entry: ForwardingEntry, state: Int32) {
        var header = ndmsg()
        header.ndm_family = UInt8(AF_BRIDGE)
        header.ndm_ifindex = entry.link
        header.ndm_state = UInt16(truncatingIfNeeded: state)
        header.ndm_flags = UInt8(truncatingIfNeeded: entry.table == .bridge ? NTF_MASTER : NTF_SELF)
        if entry.isSticky, state != 0 { header.ndm_flags |= UInt8(truncatingIfNeeded: NTF_STICKY) }
        append(header)
        attribute(Int(NDA_LLADDR), bytes: entry.mac.bytes)
        if let peer = entry.peer { attribute(Int(NDA_DST), bytes: peer.bytes) }
        if let vlan = entry.vlan { attribute(Int(NDA_VLAN), vlan) }
        if let port = entry.detour.port { attribute(Int(NDA_PORT), bigEndian: port) }
        if let vni = entry.detour.vni { attribute(Int(NDA_VNI), vni) }
        if let interface = entry.detour.interface { attribute(Int(NDA_IFINDEX), interface) }
    }
}
