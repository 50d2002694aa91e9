internal import Netlink
internal import Reconcile

/// The bridges of our switches, and the ports that belong on them: NICs, uplinks and their VLANs, overlays. All others
/// are strangers.
struct Fenced: Sendable {
    private(set) var bridges: [InterfaceName: MACAddress] = [:]
    private(set) var ports: Set<InterfaceName> = []

    /// What a manifest asks for.
    init(_ desired: Desired) {
        for spec in desired.specs(of: SwitchKind.self).values { bridges[spec.bridge] = spec.mac }
        ports.formUnion(desired.specs(of: NICKind.self).values.map(\.interface))
        ports.formUnion(desired.specs(of: UplinkKind.self).values.map(\.interface))
        ports.formUnion(desired.specs(of: OverlayKind.self).values.map(\.interface))
        ports.formUnion(desired.specs(of: VLANPortKind.self).values.map(\.interface))
    }

    /// Whether any of these links has the name of a thing of ours that a compiled table tells of: it knows the ports
    /// already, if it asks for them, and no set of thousands is made to see that there is none.
    static func isAny(of foreign: [Link], in table: NFTable, _ desired: Desired) -> Bool {
        let uplinks = Set(desired.specs(of: UplinkKind.self).values.map(\.interface))
        let bridges = Set(desired.specs(of: SwitchKind.self).values.map(\.bridge))
        let ports = table.sets["ports"]
        return foreign.contains { link in
            bridges.contains(link.name)
                || ports?.elements[NFKey(.interface(link.name))] != nil && !uplinks.contains(link.name)
        }
    }

    /// Without what has the name of a thing of ours, and is somebody else's: a stranger under our name.
    ///
    /// - Parameter links: those of the node. A port that is not there yet is none of them.
    /// - Returns: whether there was any.
    mutating func exclude(_ links: [Link], _ desired: Desired) -> Bool {
        let uplinks = Set(desired.specs(of: UplinkKind.self).values.map(\.interface))
        var any = false
        for link in links {
            let isPort = ports.contains(link.name) && !uplinks.contains(link.name)
            guard isPort || bridges[link.name] != nil, link.owner == nil else { continue }
            if isPort { ports.remove(link.name) }
            bridges[link.name] = nil
            any = true
        }
        return any
    }

    /// Interface names, as the rules look for them.
    var portSet: NFSet { Self.names("ports", ports) }
    var bridgeSet: NFSet { Self.names("bridges", bridges.keys) }

    private static func names(_ name: String, _ interfaces: some Sequence<InterfaceName>) -> NFSet {
        var set = NFSet(name, key: [.interfaceName])
        for interface in interfaces { set.insert(NFKey(.interface(interface))) }
        return set
    }

    /// The addresses that the node itself sends from on our bridges.
    var stationSet: NFSet {
        var set = NFSet("stations", key: [.etherAddress])
        for mac in bridges.values { set.insert(NFKey(.mac(mac))) }
        return set
    }
}
