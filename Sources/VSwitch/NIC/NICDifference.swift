internal import Netlink
internal import Reconcile
internal import Syscall

/// What differs between a NIC's spec and its link, and the changes that mend it. Pure.
struct NICDifference {
    /// In the words of the manifest; empty if nothing differs.
    private(set) var fields: [FieldChange] = []
    /// What one message to the near end mends.
    private(set) var link = LinkChange()
    /// IPv6 must be switched off on the port.
    private(set) var isIPv6Due = false
    /// What the bridge must be told of the port.
    private(set) var port: BridgePortAttributes?
    /// The VLANs that the port is in and is to be in, where they differ; those that it is in may not be known.
    private(set) var vlans: (from: PortVLANs?, to: PortVLANs)?
    /// MAC addresses that must be set at the port, and those that must go from it.
    private(set) var fixed: (added: Set<MACAddress>, removed: Set<MACAddress>) = ([], [])
    /// Who may open the tap must be set.
    private(set) var access: Tap.Access?
    /// The far end must be looked after.
    private(set) var isFarEndDue = false

    /// Whether entries of MAC addresses differ.
    var hasAddresses: Bool { !fixed.added.isEmpty || !fixed.removed.isEmpty }

    /// Whether the bridge must be told anything of the port.
    var concernsBridge: Bool { port != nil || vlans != nil || hasAddresses }

    /// - Parameters:
    ///   - link: the NIC's own link, of the right type.
    ///   - observation: what was seen around it.
    init(_ spec: NICSpec, _ link: Link, _ observation: NICObservation) {
        if link.master != observation.bridge || link.master == nil {
            note("switch", from: link.master == nil ? nil : "another bridge", to: spec.switchName)
            self.link.master = observation.bridge
        }
        if let mtu = spec.mtu, link.mtu != mtu {
            note("mtu", from: "\(link.mtu)", to: "\(mtu)")
            self.link.mtu = mtu
        }
        if link.mac != spec.hostMAC {
            note("host mac", from: link.mac?.description, to: "\(spec.hostMAC)")
            self.link.mac = spec.hostMAC
        }
        if let generation = link.addressGeneration, generation != .none {
            note("address generation", from: "\(generation)", to: "none")
            self.link.addressGeneration = AddressGeneration.none
        }
        if link.isIPv6Disabled == false {
            note("ipv6 of the port", from: "on", to: "off")
            isIPv6Due = true
        }
        if !link.isUp {
            note("state", from: "down", to: "up")
            self.link.isUp = true
        }
        comparePort(spec, link, observation)
        switch spec.attachment {
        case .tap: compareOwner(link, observation)
        case .namespace(_, let name, let gateways): compareFarEnd(spec, name, gateways, observation.farEnd)
        }
    }

    private mutating func note(_ field: String, from: String?, to: String?) {
        fields.append(FieldChange(field, from: from, to: to))
    }

    private mutating func comparePort(_ spec: NICSpec, _ link: Link, _ observation: NICObservation) {
        let wanted = spec.port.bridging
        let addresses: Set<MACAddress> = spec.port.learning == .fixed ? [spec.mac] : []
        guard self.link.master == nil else {
            // A port that comes anew has forgotten all.
            if spec.port != PortSettings() { port = wanted }
            vlans = spec.port.vlans.map { (nil, $0) }
            fixed.added = addresses
            return
        }
        if let seen = link.port, seen != wanted {
            fields += seen.differences(from: wanted)
            port = wanted
        }
        // As long as the bridge does not filter yet, they are not listed: then all is in VLAN 1.
        if let wanted = spec.port.vlans, link.vlans ?? .usual != wanted {
            note("vlan", from: link.vlans?.words, to: wanted.words)
            vlans = (link.vlans, wanted)
            // An entry is of one VLAN.
            fixed = (addresses, observation.fixed ?? [])
            return
        }
        guard let seen = observation.fixed, seen != addresses else { return }
        note("mac at the port", from: Self.words(seen), to: Self.words(addresses))
        fixed = (addresses.subtracting(seen), seen.subtracting(addresses))
    }

    private mutating func compareOwner(_ link: Link, _ observation: NICObservation) {
        guard let owner = observation.owner, owner != link.tun?.owner else { return }
        note("owner", from: link.tun?.owner.map { "\($0)" }, to: "\(owner)")
        access = Tap.Access(owner: owner)
    }

    private mutating func compareFarEnd(
        _ spec: NICSpec, _ name: InterfaceName, _ gateways: [IPAddress], _ seen: FarEndObservation?
    ) {
        guard let seen else {
            note("far end", from: nil, to: "\(name)")
            isFarEndDue = true
            return
        }
        let before = fields.count
        if seen.link.mac != spec.mac { note("mac", from: seen.link.mac?.description, to: "\(spec.mac)") }
        if let mtu = spec.mtu, seen.link.mtu != mtu { note("far mtu", from: "\(seen.link.mtu)", to: "\(mtu)") }
        if !seen.link.isUp { note("far state", from: "down", to: "up") }
        let wanted = Set(spec.addresses.map(\.prefix))
        if !wanted.isSubset(of: seen.addresses) || !seen.ownAddresses.isSubset(of: wanted) {
            note("address", from: Self.words(seen.ownAddresses), to: Self.words(wanted))
        }
        if Set(gateways) != seen.gateways {
            note("gateway", from: Self.words(seen.gateways), to: Self.words(Set(gateways)))
        }
        if fields.count > before { isFarEndDue = true }
    }

    private static func words(_ values: Set<some CustomStringConvertible & Comparable>) -> String? {
        values.isEmpty ? nil : values.sorted().map(\.description).joined(separator: ", ")
    }
}

extension NICSpec {
    /// Why a link of ours cannot become this NIC in place; nil if it can.
    func replaceReason(_ link: Link, _ observation: NICObservation) -> String? {
        if link.name != self.interface { return "its interface is \(link.name) and is to be \(self.interface)" }
        switch self.attachment {
        case .tap:
            guard link.kind == .tun, let tun = link.tun else { return "it is a veth pair and is to be a tap" }
            if !tun.isMultiQueue { return "the tap lacks multi_queue, which hypervisors open it with" }
            if !tun.hasVirtioHeader { return "the tap lacks vnet_hdr, which hypervisors open it with" }
            if tun.hasPacketInformation { return "the tap has packet information, which hypervisors do not expect" }
            if !tun.isPersistent { return "the tap is not persistent" }
            if observation.owner == nil, let owner = tun.owner {
                return "the tap belongs to user \(owner), and an owner cannot be taken away in place"
            }
        case .namespace(let namespace, let name, _):
            guard link.kind == .veth else { return "it is a tap and is to be a veth pair" }
            guard let far = observation.farEnd else { return "its far end is not in namespace \(namespace)" }
            if far.link.name != name { return "its far end is \(far.link.name) and is to be \(name)" }
        }
        return nil
    }
}

extension NICSpec.Fields {
    /// What a reader wants to know before the NIC is made.
    var summary: [FieldChange] {
        var fields = [FieldChange("switch", to: switchName), FieldChange("interface", to: "\(interface)")]
        if let vlans { fields.append(FieldChange("vlan", to: vlans.words)) }
        fields.append(FieldChange("mac", to: "\(mac)"))
        if !addresses.isEmpty {
            let texts = addresses.map { $0.length == nil ? $0.address.description : $0.prefix.description }
            fields.append(FieldChange("address", to: texts.joined(separator: ", ")))
        }
        if allow != Allowance() { fields.append(FieldChange("allow", to: allow.words)) }
        if !unguarded.isEmpty { fields.append(FieldChange("unguarded", to: unguarded.words)) }
        if let codePoint { fields.append(FieldChange("dscp", to: "\(codePoint)")) }
        fields += port.summary
        switch attachment {
        case .tap(let owner?): fields.append(FieldChange("owner", to: "\(owner)"))
        case .tap(nil): break
        case .namespace(let namespace, let name, let gateways):
            fields.append(FieldChange("namespace", to: "\(namespace) (\(name))"))
            if !gateways.isEmpty {
                fields.append(FieldChange("gateway", to: gateways.map(\.description).joined(separator: ", ")))
            }
        }
        return fields
    }
}
