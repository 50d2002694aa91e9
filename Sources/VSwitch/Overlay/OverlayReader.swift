internal import Manifest
internal import Netlink

/// Reads the field `overlay` of one switch, and reports what is wrong within it.
struct OverlayReader {
    private let switchName: String
    private let diagnostics: Diagnostics
    private var reach = OverlayReach()
    /// The family of the underlay, once an address has told.
    private var family: IPAddress?
    /// The hosts read so far.
    private var macs: Set<MACAddress> = []
    /// Whose address each is, to say it of a second one.
    private var addresses: [IPAddress: MACAddress] = [:]
    /// Peers of which the manifest does not say who is behind them.
    private var unknown: [Node] = []

    private init(_ switchName: String, _ diagnostics: Diagnostics) {
        self.switchName = switchName
        self.diagnostics = diagnostics
    }

    /// The overlay; nil where there is none, or where a mistake in it was reported.
    ///
    /// - Parameter mtu: the switch's, where the manifest gives one.
    static func read(_ node: Node, of switchName: String, mtu: UInt32?, _ diagnostics: Diagnostics) -> OverlaySpec? {
        var reader = OverlayReader(switchName, diagnostics)
        return reader.read(node, mtu: mtu)
    }

    private mutating func read(_ node: Node, mtu: UInt32?) -> OverlaySpec? {
        var fields = Fields(node, of: "the overlay of switch '\(switchName)'", diagnostics)
        let vni = fields.int("vni", in: 1...0xff_ffff, required: true)
        let local = readUnderlay(fields.node("local", required: true), as: "'local' of \(fields.subject)")
        let port = fields.int("port", in: 1...65_535)
        let isLearning = fields.bool("learning") ?? true
        let isSuppressing = fields.bool("suppress")
        _ = fields.list("peers") { item, _ -> Bool? in
            readPeer(item, local)
            return nil
        }
        fields.finish()
        if !isLearning {
            for node in unknown {
                diagnostics.report(
                    at: node, "without learning, nobody behind this peer can be reached",
                    hint: "name its 'hosts' ('hosts: []' if it has none), or leave 'learning: false' out")
            }
        }
        guard let vni, let local else { return nil }
        return OverlaySpec(
            switchName: switchName, vni: UInt32(vni), local: local,
            port: port.flatMap(UInt16.init(exactly:)) ?? OverlaySpec.standardPort, isLearning: isLearning,
            isSuppressing: isSuppressing ?? !reach.hosts.isEmpty, mtu: mtu, reach: reach)
    }

    /// An address that a node can have in the underlay.
    private mutating func readUnderlay(_ node: Node?, as what: String) -> IPAddress? {
        guard let node else { return nil }
        let expecting = "an address such as 192.0.2.10 or fd00::10"
        guard let address = node.value(IPAddress.self, as: what, expecting: expecting, diagnostics) else { return nil }
        if let fault = address.nodeFault {
            diagnostics.report(at: node, "\(address) is no address by which other nodes reach one: \(fault)")
            return nil
        }
        if let family, family.isIPv4 != address.isIPv4 {
            diagnostics.report(
                at: node, "\(address) and \(family) are of different families",
                hint: "one overlay runs over IPv4 or over IPv6")
            return nil
        }
        family = address
        return address
    }

    private mutating func readPeer(_ node: Node, _ local: IPAddress?) {
        let what = "a peer of switch '\(switchName)'"
        guard case .mapping = node.content else {
            guard let address = readUnderlay(node, as: what) else { return }
            if add(address, at: node, local) { unknown.append(node) }
            return
        }
        var fields = Fields(node, of: what, diagnostics)
        let place = fields.node("address", required: true)
        let peer = readUnderlay(place, as: "'address' of \(what)")
        let isTold = fields.has("hosts")
        let hosts = fields.list("hosts") { item, _ in readHost(item, behind: peer) }
        fields.finish()
        guard let peer, let place, add(peer, at: place, local) else { return }
        if !isTold { unknown.append(place) }
        for (mac, host) in hosts { reach.hosts[mac] = host }
    }

    private mutating func add(_ peer: IPAddress, at node: Node, _ local: IPAddress?) -> Bool {
        if peer == local {
            diagnostics.report(at: node, "\(peer) is this node itself", hint: "'peers' are the other nodes")
            return false
        }
        guard reach.peers.insert(peer).inserted else {
            diagnostics.report(at: node, "peer \(peer) is named twice")
            return false
        }
        return true
    }
}

extension OverlayReader {
    private mutating func readHost(_ node: Node, behind peer: IPAddress?) -> (MACAddress, RemoteHost)? {
        var fields = Fields(node, of: "a host behind a peer of switch '\(switchName)'", diagnostics)
        let place = fields.node("mac", required: true)
        let expecting = "a MAC address such as 52:54:00:12:34:56"
        let mac = place?.value(
            MACAddress.self, as: "'mac' of \(fields.subject)", expecting: expecting, diagnostics)
        let found = fields.list("address") { item, _ in readAddress(item, of: mac) }
        fields.finish()
        guard let mac, let place else { return nil }
        guard !mac.isMulticast, !mac.isZero else {
            diagnostics.report(
                at: place, "\(mac) is no address for an interface",
                hint: "its first byte must be even, and not all may be zero")
            return nil
        }
        guard macs.insert(mac).inserted else {
            diagnostics.report(at: place, "the host \(mac) is named twice", hint: "a station is behind one peer")
            return nil
        }
        return peer.map { (mac, RemoteHost(behind: $0, addresses: Set(found))) }
    }

    private mutating func readAddress(_ node: Node, of mac: MACAddress?) -> IPAddress? {
        let expecting = "an address without a prefix length, such as 10.10.0.20"
        let what = "'address' of a host"
        guard let address = node.value(IPAddress.self, as: what, expecting: expecting, diagnostics) else { return nil }
        if let fault = address.hostFault {
            diagnostics.report(at: node, "\(address) is no address for an interface: \(fault)")
            return nil
        }
        guard let mac else { return address }
        if let other = addresses.updateValue(mac, forKey: address) {
            let whose = other == mac ? "this host" : "host \(other)"
            diagnostics.report(at: node, "\(address) is an address of \(whose) already")
        }
        return address
    }
}

extension IPAddress {
    /// Why other nodes cannot reach one by it, without being told an interface; nil if they can.
    fileprivate var nodeFault: String? {
        if case .v6(let address) = self, address.isLinkLocal { return "it is link-local: every link may have it" }
        return hostFault
    }
}
