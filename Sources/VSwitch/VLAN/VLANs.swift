public import Capabilities
internal import Manifest
internal import Netlink
public import Reconcile

/// VLANs on switches: what the NICs name becomes what ports, uplinks and bridges are to be.
public enum VLANs {
    /// The name of a VLAN of a switch: of the switch that stands for it where a bridge cannot filter, and of the zone
    /// of its flows. VLAN 1 is the switch itself.
    static func segment(of switchName: String, _ vlan: UInt16?) -> String {
        guard let vlan, vlan != 1 else { return switchName }
        return "\(switchName).\(vlan)"
    }

    /// Runs when all is read, and before anything takes from a switch what it lacks itself.
    ///
    /// - Parameter capabilities: asked only where some NIC names a VLAN.
    public static func derivation(
        capabilities: @escaping @Sendable () -> Capabilities = { .current }
    ) -> Derivation {
        Derivation(
            of: [NICKind.name, SwitchKind.name, UplinkKind.name, OverlayKind.name, "router"],
            amend: NICKind.indifference
        ) { desired, diagnostics in
            let nics = desired.specs(of: NICKind.self).values.filter { $0.vlans != nil }
            guard !nics.isEmpty else { return }
            let known = capabilities()
            // What the manifest itself asks for; later there are switches that it does not name.
            let asked = desired.danglingReferences(kinds: [SwitchKind(links: LinkListing())])
            for name in Set(nics.map(\.switchName)).sorted() {
                guard let network = desired.specs(of: SwitchKind.self)[name] else { continue }
                var division = Division(network, desired, known)
                division.check(asked.map(\.reference), diagnostics)
                division.divide()
                desired = division.desired
            }
        }
    }
}

/// One switch on which NICs name VLANs.
private struct Division {
    private let network: SwitchSpec
    private(set) var desired: Desired
    private let known: Capabilities
    /// All of its NICs, in order.
    private let nics: [NICSpec]

    init(_ network: SwitchSpec, _ desired: Desired, _ known: Capabilities) {
        self.network = network
        self.desired = desired
        self.known = known
        nics = desired.specs(of: NICKind.self).values.filter { $0.switchName == network.name }
            .sorted { $0.resourceName < $1.resourceName }
    }

    private var uplinks: [InterfaceName] { network.uplinks }

    private var ids: VLANSet { nics.reduce(VLANSet(1)) { $0.union($1.vlans?.members ?? VLANSet()) } }

    private mutating func replace<Kind: ResourceKind>(_ kind: Kind.Type, _ name: String, _ spec: Kind.Spec) {
        let id = Kind.id(name)
        desired.add(kind, name, spec, references: desired.references(of: id), at: desired.position(of: id))
    }

    mutating func divide() {
        if known.lacks(.vlanFiltering) { split() } else { filter() }
    }
}

// MARK: What holds on any kernel

extension Division {
    /// - Parameter asked: references of the manifest, at least all those to switches that it does not have.
    func check(_ asked: [Reference], _ diagnostics: Diagnostics) {
        checkOverlay(diagnostics)
        let others = desired.specs(of: SwitchKind.self)
        let positions = Dictionary(asked.map { ($0.target, $0.position) }) { first, _ in first }
        for vlan in ids.ids where vlan != 1 {
            let name = VLANs.segment(of: network.name, vlan)
            let id = SwitchKind.id(name)
            if others[name] != nil, let position = desired.position(of: id) {
                diagnostics.report(
                    at: position, width: name.count,
                    "'\(name)' is the name of VLAN \(vlan) of switch '\(network.name)'",
                    hint: "give this switch another name")
            }
            guard let place = positions[id], let position = place else { continue }
            diagnostics.report(
                at: position, width: name.count, "'\(name)' is VLAN \(vlan) of switch '\(network.name)', and no switch",
                hint: "a nic in it has 'switch: \(network.name)' and 'vlan: \(vlan)'; routers are in VLAN 1")
        }
    }

    private func checkOverlay(_ diagnostics: Diagnostics) {
        guard desired.specs(of: OverlayKind.self)[network.name] != nil else { return }
        for nic in nics {
            let id = NICKind.id(nic.resourceName)
            let rest = (nic.vlans?.members ?? VLANSet()).subtracting(VLANSet(1))
            guard let position = desired.position(of: id), !rest.isEmpty else { continue }
            diagnostics.report(
                at: position, "\(id) is in VLAN \(rest) of switch '\(network.name)', whose overlay carries VLAN 1 only",
                hint: "a VLAN that reaches other nodes is a switch of its own, with an overlay of its own 'vni'")
        }
    }
}

// MARK: One bridge that filters

extension Division {
    private mutating func filter() {
        let vlans = SwitchVLANs(way: .filtering, ids: ids)
        var whole = network
        whole.vlans = vlans
        replace(SwitchKind.self, network.name, whole)
        for var nic in nics {
            nic.port.vlans = nic.vlans ?? .usual
            if !nic.groups.isEmpty, nic.segment != nic.switchName, known.lacks(.conntrackBridge) {
                // br_netfilter does not tell the VLANs of one bridge apart.
                nic.refusal =
                    "`groups` in a VLAN need \(known.remedy(for: .conntrackBridge)); leave them out, or give "
                    + "the VLAN a switch of its own"
            }
            replace(NICKind.self, nic.resourceName, nic)
        }
        for uplink in uplinks {
            guard var spec = desired.specs(of: UplinkKind.self)[uplink.description] else { continue }
            spec.vlans = vlans.ofUplinks
            replace(UplinkKind.self, spec.resourceName, spec)
        }
        guard var overlay = desired.specs(of: OverlayKind.self)[network.name] else { return }
        overlay.vlans = .usual
        replace(OverlayKind.self, network.name, overlay)
    }
}

// MARK: A bridge for each VLAN

extension Division {
    private var lack: String { Capability.vlanFiltering.facts.option }

    private mutating func split() {
        var whole = network
        let access = nics.compactMap(\.vlans).filter(\.tagged.isEmpty).reduce(VLANSet(1)) { $0.union($1.members) }
        whole.vlans = SwitchVLANs(way: .bridges(lack: lack), ids: access)
        replace(SwitchKind.self, network.name, whole)
        var made: Set<UInt16> = []
        for var nic in nics {
            guard let vlans = nic.vlans else { continue }
            guard vlans.tagged.isEmpty, let vlan = vlans.native else {
                nic.refusal =
                    "`trunk` needs \(known.remedy(for: .vlanFiltering)): where a bridge cannot filter, each "
                    + "VLAN is a bridge of its own, with access ports only; give it a nic with `vlan` for each VLAN"
                replace(NICKind.self, nic.resourceName, nic)
                continue
            }
            guard vlan != 1 else { continue }
            if made.insert(vlan).inserted { addPart(vlan) }
            move(nic, to: vlan)
        }
    }

    private mutating func addPart(_ vlan: UInt16) {
        let name = VLANs.segment(of: network.name, vlan)
        var part = SwitchSpec(name: name, mtu: network.mtu)
        part.settings = network.settings
        part.part = VLANPart(whole: network.name, vlan: vlan, lack: lack)
        let isCut = !uplinks.isEmpty && known.lacks(.vlanDevice)
        if isCut, let uplink = uplinks.first {
            part.part?.refusal =
                "VLAN \(vlan) of switch '\(network.name)' cannot leave by \(uplink): that needs "
                + "\(known.remedy(for: .vlanFiltering)), or with \(Capability.vlanDevice.facts.option); or take "
                + "\(uplink) from the switch's `uplinks`"
        }
        desired.add(SwitchKind.self, name, part, at: desired.position(of: SwitchKind.id(network.name)))
        guard !isCut else { return }
        for uplink in uplinks {
            let port = VLANPortSpec(lower: uplink, vlan: vlan, switchName: name)
            let needs = [UplinkKind.id(uplink.description), SwitchKind.id(name)].map { Reference($0) }
            desired.add(
                VLANPortKind.self, port.resourceName, port, references: needs,
                at: desired.position(of: UplinkKind.id(uplink.description)))
        }
    }

    private mutating func move(_ nic: NICSpec, to vlan: UInt16) {
        var nic = nic
        let (old, id) = (SwitchKind.id(nic.switchName), NICKind.id(nic.resourceName))
        nic.switchName = VLANs.segment(of: network.name, vlan)
        let references = desired.references(of: id).map { reference in
            guard reference.target == old else { return reference }
            return Reference(SwitchKind.id(nic.switchName), at: reference.position, isVital: reference.isVital)
        }
        desired.add(NICKind.self, nic.resourceName, nic, references: references, at: desired.position(of: id))
    }
}
