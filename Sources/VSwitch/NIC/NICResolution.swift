internal import Manifest
public import Netlink
public import Reconcile

extension NICKind {
    /// Fills in what NICs take from others, and reports what two resources cannot both have. It runs when all is read.
    ///
    /// - Parameter subnets: the routers' interface addresses on each switch, by the switch's name: an address without
    ///   a prefix length gets that of the subnet that contains it.
    public static func resolution(
        subnets: @escaping @Sendable (Desired) -> [String: [IPPrefix]] = { _ in [:] }
    ) -> Derivation {
        Derivation(
            of: [name, SwitchKind.name, UplinkKind.name, OverlayKind.name, RateKind.name, "router"],
            amend: { revision, amendment in
                amendment.concernsOnly(NICPolicy.kinds) && amend(&revision, amendment, subnets)
            }
        ) { desired, diagnostics in
            let switches = desired.specs(of: SwitchKind.self)
            let subnets = subnets(desired)
            var claims = Claims(diagnostics)
            for spec in switches.values.sorted(by: { $0.name < $1.name }) {
                claims.claim(.interface(spec.bridge), by: SwitchKind.id(spec.name), desired)
            }
            for (name, spec) in desired.specs(of: UplinkKind.self).sorted(by: { $0.key < $1.key }) {
                claims.claim(.interface(spec.interface), by: UplinkKind.id(name), desired)
            }
            for (name, spec) in desired.specs(of: OverlayKind.self).sorted(by: { $0.key < $1.key }) {
                claims.claim(.interface(spec.interface), by: OverlayKind.id(name), desired)
            }
            for (name, spec) in desired.specs(of: VLANPortKind.self).sorted(by: { $0.key < $1.key }) {
                claims.claim(.interface(spec.interface), by: VLANPortKind.id(name), desired)
            }
            for (name, spec) in desired.specs(of: RateKind.self).sorted(by: { $0.key < $1.key })
            where spec.egress != nil {
                claims.claim(.interface(spec.ifb), by: RateKind.id(name), desired)
            }
            for (name, unresolved) in desired.specs(of: NICKind.self).sorted(by: { $0.key < $1.key }) {
                let id = NICKind.id(name)
                var spec = unresolved
                // Routers are in VLAN 1.
                spec.resolve(switches[spec.switchName], subnets[spec.segment] ?? [])
                claims.claim(spec, by: id, on: switches[spec.switchName]?.part?.whole, desired)
                if let mtu = spec.mtu, let limit = switches[spec.switchName]?.mtu, mtu > limit {
                    claims.report(
                        id, "mtu \(mtu) of \(id) is above that of switch '\(spec.switchName)', which is \(limit)",
                        hint: "longer packets would be lost; raise 'mtu' of the switch", desired)
                }
                let hasIPv6 = spec.addresses.contains { !$0.address.isIPv4 }
                if let mtu = spec.mtu, mtu < PortIPv6.minimumMTU, hasIPv6 {
                    claims.report(
                        id, "mtu \(mtu) of \(id) is too small for its IPv6 address",
                        hint: "IPv6 needs \(PortIPv6.minimumMTU) or more", desired)
                }
                let references = desired.references(of: id)
                desired.add(NICKind.self, name, spec, references: references, at: desired.position(of: id))
            }
            var check = AllowanceCheck(desired, subnets, diagnostics)
            check.run()
        }
    }
}

extension NICSpec {
    /// Takes the MTU from the switch, and prefix lengths from the subnets on it, where the manifest gives none.
    mutating func resolve(_ network: SwitchSpec?, _ subnets: [IPPrefix]) {
        change { fields in
            fields.mtu = fields.mtu ?? min(network?.mtu ?? 1500, fields.attachment.largestMTU)
            fields.port.guardsTree = network?.settings.spanningTree != nil
            for index in fields.addresses.indices where fields.addresses[index].length == nil {
                let address = fields.addresses[index].address
                // The longest prefix is the nearest subnet.
                let subnet = subnets.filter { $0.contains(address) }.max { $0.length < $1.length }
                fields.addresses[index].length = subnet?.length ?? address.bitWidth
            }
        }
    }
}

extension NICSpec.Attachment {
    /// The largest MTU that its interface takes: a tap keeps room for the Ethernet header (drivers/net/tun.c).
    fileprivate var largestMTU: UInt32 {
        switch self {
        case .tap: 65_521
        case .namespace: 65_535
        }
    }
}

/// Who has what that only one may have.
private struct Claims {
    /// What only one resource may have.
    enum Good: Hashable, CustomStringConvertible {
        case interface(InterfaceName)
        case mac(MACAddress, switchName: String)
        case address(IPAddress, switchName: String)
        case farEnd(InterfaceName, namespace: String)

        var description: String {
            switch self {
            case .interface(let name): "the interface name \(name)"
            case .mac(let mac, let name): "the MAC address \(mac) on switch '\(name)'"
            case .address(let address, let name): "the address \(address) on switch '\(name)'"
            case .farEnd(let name, let namespace): "\(name) in network namespace '\(namespace)'"
            }
        }

        var hint: String {
            switch self {
            case .interface: "set 'interface' of a nic, or rename one of the two"
            case .mac: "leave 'mac' out: it is then derived from the names"
            case .address: "give one of them another address"
            case .farEnd: "a namespace takes the nics of one vm"
            }
        }
    }

    private var owners: [Good: ResourceID] = [:]
    private let diagnostics: Diagnostics

    init(_ diagnostics: Diagnostics) { self.diagnostics = diagnostics }

    /// - Parameter whole: the switch whose VLAN its own stands for. A MAC address is once on a switch, whatever the
    ///   VLANs, an IP address once in each VLAN.
    mutating func claim(_ spec: NICSpec, by id: ResourceID, on whole: String?, _ desired: Desired) {
        claim(.interface(spec.interface), by: id, desired)
        claim(.mac(spec.mac, switchName: whole ?? spec.switchName), by: id, desired)
        for address in spec.addresses {
            claim(.address(address.address, switchName: spec.segment), by: id, desired)
        }
        if case .namespace(let namespace, let name, _) = spec.attachment {
            claim(.farEnd(name, namespace: namespace), by: id, desired)
        }
    }

    mutating func claim(_ good: Good, by id: ResourceID, _ desired: Desired) {
        guard let other = owners[good] else {
            owners[good] = id
            return
        }
        let words = other == id ? "\(id) has \(good) twice" : "\(id) and \(other) both have \(good)"
        report(id, words, hint: good.hint, desired)
    }

    func report(_ id: ResourceID, _ words: String, hint: String, _ desired: Desired) {
        guard let position = desired.position(of: id) else { return }
        diagnostics.report(at: position, words, hint: hint)
    }
}
