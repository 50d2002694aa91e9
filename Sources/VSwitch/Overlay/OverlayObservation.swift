internal import Netlink

/// What the node shows of an overlay.
public struct OverlayObservation: Sendable {
    /// The link that holds the overlay's own address.
    struct Underlay: Hashable, Sendable {
        let name: InterfaceName
        let mtu: UInt32
    }

    /// The overlay's own link, known by its mark.
    var link: Link?
    /// A link that is not the overlay's and has the name that its own is to have.
    var occupant: Link?
    /// A VXLAN link that is not ours and has the overlay's VNI and port.
    var twin: Link?
    /// The bridge of the switch, if it is there and ours.
    var bridge: Link?
    /// Nil if the node does not have the address, or has it on a link whose MTU says nothing of the way.
    var underlay: Underlay?
    /// Whether the node has the overlay's own address.
    var isLocalThere = false
    /// What the kernel holds of who is behind it.
    var entries = OverlayEntries()
}

/// One look at all overlays of the node, named by `specs` or not.
struct OverlaySight {
    private(set) var overlays: [String: OverlayObservation] = [:]

    /// - Parameters:
    ///   - switches: those that the manifest asks for: a bridge that is about to get another MTU counts with that.
    init(
        _ listing: [Link], _ specs: [String: OverlaySpec], _ switches: [String: SwitchSpec],
        _ socket: inout NetlinkSocket
    ) throws(NetlinkError) {
        overlays = specs.mapValues { _ in OverlayObservation() }
        noteLinks(listing, specs)
        try noteEntries(listing, &socket)
        guard !specs.isEmpty else { return }
        try noteUnderlays(listing, specs, switches, &socket)
    }

    private mutating func noteLinks(_ listing: [Link], _ specs: [String: OverlaySpec]) {
        let names = Dictionary(specs.map { ($1.interface, $0) }) { first, _ in first }
        let networks = Dictionary(grouping: specs, by: \.value.vni)
        for link in listing {
            if let name = OverlayKind.owner(of: link) {
                // Two links with one mark: the one of the right name is the overlay, the other is nobody's.
                let isThere = overlays[name]?.link != nil && overlays[name]?.link?.name == specs[name]?.interface
                if !isThere { overlays[name, default: OverlayObservation()].link = link }
                continue
            }
            if let name = names[link.name] { overlays[name]?.occupant = link }
            guard let tunnel = link.vxlan else { continue }
            for (name, spec) in networks[tunnel.vni] ?? [] where tunnel.collides(with: spec.tunnel) {
                overlays[name]?.twin = link
            }
        }
    }

    /// The kernel's entries; and neighbours of ours on bridges of ours, which outlive a link that somebody deletes.
    private mutating func noteEntries(_ listing: [Link], _ socket: inout NetlinkSocket) throws(NetlinkError) {
        var bridges: [(name: String, link: Link)] = []
        for link in listing {
            if let name = SwitchKind.owner(of: link) { bridges.append((name, link)) }
        }
        var neighbours: [Int32: [Neighbour]] = [:]
        if !bridges.isEmpty {
            let all = try socket.neighbours(ofProtocol: OwnershipMark.protocolNumber)
            neighbours = Dictionary(grouping: all, by: \.link)
        }
        for (name, bridge) in bridges where overlays[name] != nil || neighbours[bridge.index] != nil {
            overlays[name, default: OverlayObservation()].bridge = bridge
        }
        for (name, overlay) in overlays {
            var entries: [ForwardingEntry] = []
            if let link = overlay.link { entries = try socket.forwardingEntries(of: link.index) }
            // A port of another bridge has that one's entries: they go when it is taken out of there.
            let isPort = overlay.bridge != nil && overlay.link?.master == overlay.bridge?.index
            let stack = [overlay.link?.mac, overlay.bridge?.mac].compactMap(\.self)
            overlays[name]?.entries = OverlayEntries(
                entries.filter { isPort || $0.table == .link },
                overlay.bridge.flatMap { neighbours[$0.index] } ?? [], stack: Set(stack))
        }
    }

    private mutating func noteUnderlays(
        _ listing: [Link], _ specs: [String: OverlaySpec], _ switches: [String: SwitchSpec],
        _ socket: inout NetlinkSocket
    ) throws(NetlinkError) {
        let links = Dictionary(listing.map { ($0.index, $0) }) { first, _ in first }
        let addresses = try socket.addresses()
        let holders = Dictionary(addresses.map { ($0.prefix.address, $0.link) }) { first, _ in first }
        for (name, spec) in specs {
            guard let index = holders[spec.local], let link = links[index] else { continue }
            overlays[name]?.isLocalThere = true
            // An address of the node as a whole is kept on one of these; what it sends leaves by other links.
            guard !link.isLoopback, link.kind != .other("dummy") else { continue }
            let planned = SwitchKind.owner(of: link).flatMap { switches[$0]?.mtu }
            overlays[name]?.underlay = OverlayObservation.Underlay(name: link.name, mtu: planned ?? link.mtu)
        }
    }
}

extension VXLANAttributes {
    /// Whether the kernel takes only one of the two (vxlan_vni_in_use in drivers/net/vxlan/vxlan_core.c).
    func collides(with other: VXLANAttributes) -> Bool {
        vni == other.vni && port == other.port && (local?.isIPv4 ?? true) == (other.local?.isIPv4 ?? true)
    }
}
