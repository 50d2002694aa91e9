internal import Netlink
internal import Reconcile

// Ports: what a bridge is told of one that is not as the kernel makes it.
extension NICRun {
    /// The messages that make a link a port and switch it on. One with settings of its own comes up when it has them:
    /// before, it would carry what it must not.
    static func enslave(
        _ target: LinkTarget, _ spec: NICSpec, _ change: LinkChange, _ writer: inout MessageWriter
    ) {
        guard spec.port != PortSettings() else {
            writer.changeLink(target, change)
            return
        }
        var first = change
        first.isUp = false
        writer.changeLink(target, first)
        writer.changeBridgePort(target, spec.port.bridging)
    }

    /// The messages that end what `enslave` began: VLANs, the entries of its MAC addresses, then up.
    static func open(_ index: Int32, _ spec: NICSpec, _ writer: inout MessageWriter) {
        guard spec.port != PortSettings() else { return }
        if let vlans = spec.port.vlans { writer.changeVLANs(of: .port(index), from: nil, to: vlans) }
        if spec.port.learning == .fixed { writer.setForwardingEntry(ForwardingEntry(spec.mac, atPort: index)) }
        var last = LinkChange()
        last.isUp = true
        writer.changeLink(.index(index), last)
    }

    /// The messages that mend a port. One that becomes a port again is down until the bridge has been told.
    static func mend(
        _ link: Link, _ difference: NICDifference, _ change: LinkChange, _ writer: inout MessageWriter
    ) {
        var first = change
        if change.master != nil { first.isUp = false }
        if first != LinkChange() { writer.changeLink(.index(link.index), first) }
        if let port = difference.port { writer.changeBridgePort(.index(link.index), port) }
        for mac in difference.fixed.removed {
            writer.removeForwardingEntry(ForwardingEntry(mac, atPort: link.index))
        }
        if let vlans = difference.vlans { writer.changeVLANs(of: .port(link.index), from: vlans.from, to: vlans.to) }
        for mac in difference.fixed.added { writer.setForwardingEntry(ForwardingEntry(mac, atPort: link.index)) }
        guard change.master != nil else { return }
        var last = LinkChange()
        last.isUp = true
        writer.changeLink(.index(link.index), last)
    }
}

/// The MAC addresses that are set, not learned, at ports of NICs. Most nodes have none, and are not asked.
enum FixedAddresses {
    /// Whether it matters which ones a port has: the NIC is to have some, or its port does not learn.
    static func concern(_ link: Link?, _ spec: NICSpec?) -> Bool {
        guard let link, link.master != nil else { return false }
        return spec?.port.learning == .fixed || link.port?.isLearning == false
    }

    /// Notes what the ports of these NICs have.
    static func observe(
        _ names: [String], _ seen: inout [String: NICObservation], _ location: NetworkLocation
    ) throws(NetlinkError) {
        guard !names.isEmpty else { return }
        var socket = try location.socket(.route)
        var found: [Int32: Set<MACAddress>] = [:]
        let natives = names.compactMap { seen[$0]?.link }.map { ($0.index, $0.vlans?.native) }
        let vlans = Dictionary(natives) { first, _ in first }
        for entry in try socket.forwardingEntries() {
            guard entry.table == .bridge, entry.origin == .fixed, entry.isSticky else { continue }
            // Where the bridge filters, one without a VLAN leads nowhere.
            if let native = vlans[entry.link] ?? nil, entry.vlan != native { continue }
            found[entry.link, default: []].insert(entry.mac)
        }
        for name in names {
            guard let index = seen[name]?.link?.index else { continue }
            seen[name]?.fixed = found[index] ?? []
        }
    }
}
