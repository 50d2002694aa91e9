import BlockStore
import Netlink
import Reconcile
import Syscall
import SystemPackage
import VRouter
import VSwitch

/// What of ours is on the node, or shall be: what a finding is weighed against.
struct Circumstances: Hashable, Sendable {
    /// Whether a manifest says so; else it is what the node shows.
    var hasManifest = false
    /// The bridges of switches, sorted.
    var bridges: [String] = []
    /// Those of them whose packets br_netfilter shows to the rules of IP, whatever the node's own setting: NICs on them
    /// have groups, and bridges have no conntrack.
    var tracked: [String] = []
    /// Those of them that a router has a leg on.
    var routed: [String] = []
    /// The bridges between which each router forwards.
    var legs: [Legs] = []
    /// The bridges on which no router is, by what their NICs speak.
    var apart = Legs()
    /// Borrowed physical ports, sorted.
    var uplinks: [String] = []
    /// Addresses of NICs on routed switches: each is a neighbour of this node.
    var neighbours = 0
    /// Whether a router translates addresses or ports.
    var translates = false
    /// Whether a router has IPv6 addresses.
    var speaksIPv6 = false
    /// Pairs of routers with one subnet: "a and b".
    var sharedSubnets: [String] = []
    /// Pools by name.
    var pools: [String: FilePath] = [:]
    /// Bytes of all volumes of a pool, were they full.
    var promised: [String: UInt64] = [:]
    var volumes = 0
    /// Portals on addresses that only this node reaches.
    var loopbackPortals = 0
    var portals: [String] = []

    /// The bridges on which IPv4 is spoken, and those on which IPv6 is.
    struct Legs: Hashable, Sendable {
        var bridges4: [String] = []
        var bridges6: [String] = []
    }

    init() {}

    /// What the manifest asks for.
    init(_ desired: Desired) {
        hasManifest = true
        bridges = desired.specs(of: SwitchKind.self).values.map(\.bridge.description).sorted()
        tracked = desired.specs(of: SwitchKind.self).values.filter(\.isTracked).map(\.bridge.description).sorted()
        let nics = Dictionary(grouping: desired.specs(of: NICKind.self).values, by: \.switchName)
        for (name, spec) in desired.specs(of: SwitchKind.self).sorted(by: { $0.key < $1.key }) {
            if spec.isApart(nics[name] ?? [], isIPv4: true) { apart.bridges4.append(spec.bridge.description) }
            if spec.isApart(nics[name] ?? [], isIPv4: false) { apart.bridges6.append(spec.bridge.description) }
        }
        uplinks = desired.specs(of: UplinkKind.self).keys.sorted()
        let routers = desired.specs(of: RouterKind.self)
        let legs = routers.values.flatMap(\.interfaces)
        routed = Set(legs.map(\.bridge.description)).sorted()
        self.legs = routers.sorted { $0.key < $1.key }.map {
            Legs(bridges4: $0.value.bridges(isIPv4: true), bridges6: $0.value.bridges(isIPv4: false))
        }
        neighbours = desired.specs(of: NICKind.self).values
            .filter { nic in legs.contains { $0.switchName == nic.switchName } }.map(\.addresses.count).reduce(0, +)
        translates = routers.values.contains { !$0.snat.isEmpty || !$0.forwards.isEmpty }
        speaksIPv6 = legs.contains { $0.addresses.contains { !$0.value.isIPv4 } }
        sharedSubnets = Self.sharedSubnets(routers)
        let specs = desired.specs(of: VolumeKind.self)
        pools = desired.specs(of: PoolKind.self).mapValues(\.path)
        for volume in specs.values { promised[volume.pool, default: 0] &+= volume.size }
        volumes = specs.count
        let places = desired.specs(of: TargetKind.self).values.flatMap(\.portals)
        portals = Set(places.map(\.description)).sorted()
        loopbackPortals = portals.filter { $0.hasPrefix("127.") || $0.hasPrefix("[::1]") }.count
    }

    /// What the node shows where there is no manifest: links with our mark.
    init(_ links: [Link]) {
        let ours = links.filter { $0.alias.flatMap { OwnershipMark.name(inAlias: $0, kind: SwitchKind.name) } != nil }
        bridges = ours.map(\.name.description).sorted()
        tracked = ours.filter { $0.bridge?.callsNetfilter == true }.map(\.name.description).sorted()
    }

    private static func sharedSubnets(_ routers: [String: RouterSpec]) -> [String] {
        let legs = routers.sorted { $0.key < $1.key }.flatMap { name, spec in
            spec.interfaces.flatMap { leg in leg.addresses.map { (router: name, network: $0.value.network) } }
        }
        var pairs: [String] = []
        for (index, one) in legs.enumerated() {
            for other in legs[(index + 1)...]
            where other.router != one.router && !one.network.isLinkLocal && other.network == one.network {
                pairs.append("\(one.router) and \(other.router) (\(one.network))")
            }
        }
        return pairs
    }
}

extension IPPrefix {
    /// fe80::/10: every link has the same ones.
    fileprivate var isLinkLocal: Bool {
        if case .v6 = self { description.hasPrefix("fe8") } else { false }
    }
}
