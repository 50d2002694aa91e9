internal import Manifest
internal import Netlink
internal import Reconcile

/// What NICs are allowed, and who else has it: an address that belongs to another would let a NIC take its traffic.
/// Addresses that several are allowed are the point of it, but they stand for one policy.
struct AllowanceCheck {
    private let desired: Desired
    private let subnets: [String: [IPPrefix]]
    private let diagnostics: Diagnostics
    private let nics: [NICSpec]
    /// What has been reported: of a network that many own, the first says enough.
    private var reported: Set<Holding> = []

    /// - Parameter subnets: the routers' own addresses on each switch, by the switch's name.
    init(_ desired: Desired, _ subnets: [String: [IPPrefix]], _ diagnostics: Diagnostics) {
        self.desired = desired
        self.subnets = subnets
        self.diagnostics = diagnostics
        nics = Array(desired.specs(of: NICKind.self).values)
    }

    mutating func run() {
        // Most nodes have none that is allowed anything.
        guard nics.contains(where: { $0.allow != Allowance() }) else { return }
        let nics = nics.sorted { $0.resourceName < $1.resourceName }
        let switches = desired.specs(of: SwitchKind.self)
        // A MAC address is once on a switch, whatever the VLANs, an IP address once in each VLAN.
        let wholes = Dictionary(grouping: nics) { switches[$0.switchName]?.part?.whole ?? $0.switchName }
        for (name, nics) in wholes.sorted(by: { $0.key < $1.key }) { checkMACs(nics, of: switches[name]) }
        for (name, nics) in Dictionary(grouping: nics, by: \.segment).sorted(by: { $0.key < $1.key }) {
            checkAddresses(nics, of: name)
        }
    }

    private func checkMACs(_ nics: [NICSpec], of network: SwitchSpec?) {
        var owners = Dictionary(nics.map { ($0.mac, "\(NICKind.id($0.resourceName))") }) { first, _ in first }
        if let network { owners[network.mac] = "\(SwitchKind.id(network.name))" }
        for nic in nics {
            for mac in nic.allow.macs {
                guard let owner = owners[mac] else { continue }
                report(
                    nic, mac == nic.mac ? "\(mac) is its own MAC address" : "\(mac) is the MAC address of \(owner)",
                    hint: "leave it out of 'allow'")
            }
        }
    }

    /// Somebody who has a network, or an address alone.
    private struct Holding: Hashable {
        let network: IPPrefix
        /// Nil for a router.
        let nic: NICSpec?
        let isAllowed: Bool
    }

    private mutating func checkAddresses(_ nics: [NICSpec], of segment: String) {
        guard nics.contains(where: { !$0.allow.networks.isEmpty }) else { return }
        var holdings = (subnets[segment] ?? []).map {
            Holding(network: IPPrefix(host: $0.address), nic: nil, isAllowed: false)
        }
        for nic in nics {
            holdings += nic.addresses.map {
                Holding(network: IPPrefix(host: $0.address), nic: nic, isAllowed: false)
            }
            holdings += nic.allow.networks.map { Holding(network: $0, nic: nic, isAllowed: true) }
        }
        // Networks contain each other or have nothing in common: those that contain the next one are the last ones.
        var around: [Holding] = []
        for holding in holdings.sorted(by: { $0.network < $1.network }) {
            around.removeAll { !$0.network.contains(holding.network) }
            for other in around { compare(other, holding) }
            around.append(holding)
        }
    }

    private mutating func compare(_ one: Holding, _ other: Holding) {
        switch (one.isAllowed, other.isAllowed) {
        case (true, true): comparePolicies(one, other)
        case (true, false): judge(one, against: other)
        case (false, true): judge(other, against: one)
        case (false, false): break
        }
    }

    private mutating func judge(_ allowed: Holding, against owned: Holding) {
        guard let nic = allowed.nic else { return }
        let address = owned.network.address
        if owned.nic?.resourceName == nic.resourceName {
            // Who routes for a network has an address in it.
            guard allowed.network.isHost else { return }
            return report(nic, "\(address) is its own address", hint: "leave it out of 'allow'")
        }
        guard reported.insert(allowed).inserted else { return }
        let owner = owned.nic.map { "\(NICKind.id($0.resourceName))" } ?? "a router on the switch"
        report(nic, "\(address) is the address of \(owner)", hint: Self.around, allowed.network)
    }

    private mutating func comparePolicies(_ one: Holding, _ other: Holding) {
        guard let first = one.nic, let second = other.nic, first.groups != second.groups else { return }
        guard reported.insert(other).inserted else { return }
        report(
            second, "\(NICKind.id(first.resourceName)) may have the same addresses, and has other groups",
            hint: "what comes to an address that either may have meets one policy: give both the same 'groups'",
            other.network)
    }

    private static let around = "whoever may use it could take that traffic: leave it out, or allow networks around it"

    private func report(_ nic: NICSpec, _ words: String, hint: String, _ network: IPPrefix? = nil) {
        let id = NICKind.id(nic.resourceName)
        guard let position = desired.position(of: id) else { return }
        let subject = network.map { " \($0.isHost ? "\($0.address)" : "\($0)")" } ?? ""
        diagnostics.report(at: position, "\(id) cannot be allowed\(subject): \(words)", hint: hint)
    }
}
