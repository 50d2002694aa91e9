internal import Netlink
internal import Reconcile

/// What differs between an overlay's spec and the node, and the changes that mend it. Pure.
struct OverlayDifference {
    /// In the words of the manifest; empty if nothing differs.
    private(set) var fields: [FieldChange] = []
    /// What any link has.
    private(set) var link = LinkChange()
    /// The tunnel as it should be, where it is not so.
    private(set) var tunnel: VXLANAttributes?
    /// The bridge's port as it should be, where it is not so.
    private(set) var port: BridgePortAttributes?
    /// The VLANs that it is in and is to be in, where they differ; those that it is in may not be known.
    private(set) var vlans: (from: PortVLANs?, to: PortVLANs)?
    /// IPv6 must be switched off on the port.
    private(set) var isIPv6Due = false
    /// The link must be switched on, last of all.
    private(set) var isUpDue = false
    /// What the tables of the kernel lack and have too much.
    let program: EntryProgram

    /// - Parameters:
    ///   - link: the overlay's own link, which needs no replacement.
    init(_ spec: OverlaySpec, _ link: Link, _ observation: OverlayObservation) {
        program = EntryProgram(from: observation.entries, to: spec.entries)
        if link.master == nil || link.master != observation.bridge?.index {
            note("switch", from: link.master == nil ? nil : "another bridge", to: spec.switchName)
            self.link.master = observation.bridge?.index
            port = spec.bridgePort
            vlans = spec.vlans.map { (nil, $0) }
        } else if let wanted = spec.vlans, let seen = link.vlans, seen != wanted {
            note("vlans", from: seen.words, to: wanted.words)
            vlans = (seen, wanted)
        }
        if link.mtu != spec.mtu {
            note("mtu", from: "\(link.mtu)", to: "\(spec.mtu)")
            self.link.mtu = spec.mtu
        }
        if link.mac != spec.mac {
            note("mac", from: link.mac?.description, to: "\(spec.mac)")
            self.link.mac = spec.mac
        }
        if let generation = link.addressGeneration, generation != .none {
            note("address generation", from: "\(generation)", to: "none")
            self.link.addressGeneration = AddressGeneration.none
        }
        compare(spec, link.vxlan ?? spec.tunnel)
        if port == nil { compare(spec, link.port ?? BridgePortAttributes()) }
        if link.isIPv6Disabled == false {
            note("ipv6 of the port", from: "on", to: "off")
            isIPv6Due = true
        }
        if !link.isUp {
            note("state", from: "down", to: "up")
            isUpDue = true
        }
        fields += program.fields
    }

    /// A larger MTU gives the link its IPv6 back, which is to be off again before the link is up.
    mutating func noteIPv6Return() {
        link.addressGeneration = AddressGeneration.none
        (isIPv6Due, isUpDue) = (true, true)
    }

    private mutating func note(_ field: String, from: String?, to: String?) {
        fields.append(FieldChange(field, from: from, to: to))
    }

    private mutating func compare(_ spec: OverlaySpec, _ seen: VXLANAttributes) {
        let wanted = spec.tunnel
        guard seen != wanted else { return }
        tunnel = wanted
        if seen.local != wanted.local {
            note("local", from: seen.local?.description, to: "\(spec.local)")
        }
        if seen.isLearning != wanted.isLearning {
            note("learning", from: "\(seen.isLearning)", to: "\(wanted.isLearning)")
        }
        if seen.ageing != wanted.ageing {
            note("ageing", from: "\(seen.ageing) s", to: "\(wanted.ageing) s")
        }
        if seen.timeToLive != wanted.timeToLive {
            note("time to live", from: "\(seen.timeToLive)", to: "the route's")
        }
        if seen.fragmentation != wanted.fragmentation {
            note("fragmentation", from: "\(seen.fragmentation)", to: "\(wanted.fragmentation)")
        }
    }

    private mutating func compare(_ spec: OverlaySpec, _ seen: BridgePortAttributes) {
        let wanted = spec.bridgePort
        guard seen != wanted else { return }
        port = wanted
        if seen.suppressesNeighbours != wanted.suppressesNeighbours {
            note("suppress", from: "\(seen.suppressesNeighbours)", to: "\(wanted.suppressesNeighbours)")
        }
        var rest = seen
        rest.suppressesNeighbours = wanted.suppressesNeighbours
        if rest != wanted {
            note("port of the switch", from: "learning, flooding, isolation or lock", to: "as asked")
        }
    }
}

extension OverlaySpec {
    /// Why a link of ours cannot become this overlay in place; nil if it can.
    func replaceReason(_ link: Link) -> String? {
        if link.name != interface { return "its link is \(link.name) and is to be \(interface)" }
        guard let seen = link.vxlan else { return "the link shows no VXLAN" }
        if seen.vni != vni { return "a link keeps its VNI, which is \(seen.vni) and is to be \(vni)" }
        if seen.port != port { return "a link keeps its UDP port, which is \(seen.port) and is to be \(port)" }
        if seen.local?.isIPv4 != local.isIPv4 {
            return "a link keeps the family of its own address, and \(local) is of another"
        }
        if !seen.hasChecksum { return "the link sends without UDP checksums, and keeps doing so" }
        return nil
    }

    /// What a reader wants to know before the overlay is made.
    func summary(isLocalThere: Bool) -> [FieldChange] {
        let peers = reach.peers.sorted()
        let names = peers.count > 8 ? "\(peers.count)" : peers.map(\.description).joined(separator: ", ")
        var fields = [
            FieldChange("vni", to: "\(vni)"),
            FieldChange("local", to: isLocalThere ? "\(local)" : "\(local), which the node does not have yet"),
            FieldChange("peers", to: peers.isEmpty ? "none" : names),
        ]
        if !reach.hosts.isEmpty { fields.append(FieldChange("hosts", to: "\(reach.hosts.count)")) }
        return fields
    }
}
