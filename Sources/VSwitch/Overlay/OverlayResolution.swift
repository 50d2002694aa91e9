internal import Manifest
public import Netlink
public import Reconcile

extension OverlayKind {
    /// Fills in the MTU of switches that an overlay joins, and reports what overlays and others cannot both have. It
    /// runs when all is read, and before NICs take their MTU from their switch.
    ///
    /// - Parameter subnets: the routers' own addresses on each switch, by the switch's name.
    public static func resolution(
        subnets: @escaping @Sendable (Desired) -> [String: [IPPrefix]] = { _ in [:] }
    ) -> Derivation {
        Derivation(
            of: [OverlayKind.name, NICKind.name, SwitchKind.name, "router"],
            amend: { revision, amendment in
                // An overlay names hosts, none of which may have an address of a NIC's.
                revision.desired.specs(of: OverlayKind.self).isEmpty && amendment.repolicedNICs != nil
                    && amendment.concernsOnly(NICPolicy.kinds)
            }
        ) { desired, diagnostics in
            let overlays = desired.specs(of: Self.self).sorted { $0.key < $1.key }
            guard !overlays.isEmpty else { return }
            var check = OverlayCheck(desired, subnets(desired), diagnostics)
            for (_, spec) in overlays { check.settleMTU(spec) }
            for (name, _) in overlays {
                guard let spec = check.desired.specs(of: Self.self)[name] else { continue }
                check.checkNetwork(spec)
                check.checkHosts(spec)
            }
            desired = check.desired
        }
    }
}

/// What must be true of overlays among each other, and between them and the NICs and routers of this node.
private struct OverlayCheck {
    var desired: Desired
    private let subnets: [String: [IPPrefix]]
    private let diagnostics: Diagnostics
    private let nics: [String: [NICSpec]]
    private var networks: [UInt32: ResourceID] = [:]

    init(_ desired: Desired, _ subnets: [String: [IPPrefix]], _ diagnostics: Diagnostics) {
        self.desired = desired
        self.subnets = subnets
        self.diagnostics = diagnostics
        let all = desired.specs(of: NICKind.self).values.sorted { $0.resourceName < $1.resourceName }
        nics = Dictionary(grouping: all, by: \.switchName)
    }

    private func report(_ id: ResourceID, _ words: String, hint: String) {
        guard let position = desired.position(of: id) else { return }
        diagnostics.report(at: position, words, hint: hint)
    }

    /// Where a router of the manifest has the overlay's own address, that one's switch carries the overlay.
    mutating func settleMTU(_ spec: OverlaySpec) {
        let id = OverlayKind.id(spec.switchName)
        let carriers = subnets.filter { $0.value.contains { $0.address == spec.local } }.keys.sorted()
        let switches = desired.specs(of: SwitchKind.self)
        guard let name = carriers.first, let carrier = switches[name] else { return }
        guard carrier.local == nil else {
            report(
                id, "\(spec.local) is an address on switch '\(name)', which is an overlay itself",
                hint: "'local' is this node's address in the network that joins the nodes")
            return
        }
        guard spec.isMTUDerived else {
            if spec.underlayMTU > carrier.mtu {
                report(
                    id,
                    "packets of \(spec.mtu) bytes become \(spec.underlayMTU) with VXLAN, and switch '\(name)', which "
                        + "carries them, takes \(carrier.mtu)",
                    hint: "lower 'mtu' of switch '\(spec.switchName)', or raise that of '\(name)'")
            }
            return
        }
        let overhead = OverlaySpec.overhead(isIPv4: spec.local.isIPv4)
        guard carrier.mtu >= overhead + 68, var network = switches[spec.switchName] else {
            report(id, "mtu \(carrier.mtu) of switch '\(name)' leaves no room for VXLAN", hint: "raise it")
            return
        }
        var overlay = spec
        overlay.mtu = carrier.mtu - overhead
        network.mtu = overlay.mtu
        replace(OverlayKind.self, spec.switchName, overlay)
        replace(SwitchKind.self, spec.switchName, network)
    }

    private mutating func replace<Kind: ResourceKind>(_ kind: Kind.Type, _ name: String, _ spec: Kind.Spec) {
        let id = Kind.id(name)
        desired.add(kind, name, spec, references: desired.references(of: id), at: desired.position(of: id))
    }

    mutating func checkNetwork(_ spec: OverlaySpec) {
        let id = OverlayKind.id(spec.switchName)
        if let other = networks[spec.vni] {
            report(
                id, "\(id) and \(other) both have VNI \(spec.vni)",
                hint: "a VNI is one network: give each switch its own")
        }
        networks[spec.vni] = id
        let hasIPv6 = spec.isSuppressing && spec.reach.hosts.values.contains { $0.addresses.contains { !$0.isIPv4 } }
        if hasIPv6, spec.mtu < PortIPv6.minimumMTU {
            report(
                id, "mtu \(spec.mtu) of switch '\(spec.switchName)' is too small for the IPv6 addresses of its hosts",
                hint: "IPv6 needs \(PortIPv6.minimumMTU) or more")
        }
    }

    func checkHosts(_ spec: OverlaySpec) {
        guard !spec.reach.hosts.isEmpty else { return }
        var owners: [IPAddress: MACAddress] = [:]
        for (mac, host) in spec.reach.hosts {
            for address in host.addresses { owners[address] = mac }
        }
        let place = "on switch '\(spec.switchName)'"
        for nic in nics[spec.switchName] ?? [] {
            let id = NICKind.id(nic.resourceName)
            if let host = spec.reach.hosts[nic.mac] {
                report(
                    id, "\(id) has the MAC address \(nic.mac) of a host behind peer \(host.peer) \(place)",
                    hint: "a station is here or there: take it out of 'hosts'")
            }
            checkAllowance(of: nic, spec, place)
            for address in nic.addresses.map(\.address) {
                guard let mac = owners[address] else { continue }
                report(
                    id, "\(id) has the address \(address) of host \(mac), which is behind a peer \(place)",
                    hint: "give one of them another address")
            }
        }
        checkRouters(spec, owners, place)
    }

    /// What a NIC is allowed must not be a station's that is elsewhere.
    private func checkAllowance(of nic: NICSpec, _ spec: OverlaySpec, _ place: String) {
        guard nic.allow != Allowance() else { return }
        let id = NICKind.id(nic.resourceName)
        for (mac, host) in spec.reach.hosts.sorted(by: { $0.key < $1.key }) {
            let address = host.addresses.first { address in nic.allow.networks.contains { $0.contains(address) } }
            guard let good = nic.allow.macs.contains(mac) ? "\(mac)" : address.map({ "\($0)" }) else { continue }
            report(
                id, "\(id) is allowed \(good), which a host behind peer \(host.peer) has \(place)",
                hint: "leave it out of 'allow', or take the host out of 'hosts'")
        }
    }

    private func checkRouters(_ spec: OverlaySpec, _ owners: [IPAddress: MACAddress], _ place: String) {
        for address in (subnets[spec.switchName] ?? []).map(\.address) {
            guard let mac = owners[address] else { continue }
            report(
                OverlayKind.id(spec.switchName),
                "\(address) of host \(mac) is the address of a router of this node \(place)",
                hint: "give one of them another address")
        }
    }
}
