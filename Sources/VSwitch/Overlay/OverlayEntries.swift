internal import Netlink

/// What the kernel holds of who is behind an overlay, in three tables. A reach asks for one such value and the kernel
/// shows one, so that they can be compared.
///
///     flood        VXLAN link    00:00:00:00:00:00 → peer   a copy of what goes to many, for each peer
///     tunnels      VXLAN link    MAC → peer                 where a frame is sent
///     ports        bridge        MAC → VXLAN link           frames go there, and come from nowhere else
///     neighbours   bridge        address → MAC              what the bridge answers, and a router on it knows
struct OverlayEntries: Hashable, Sendable {
    var flood: Set<IPAddress> = []
    var tunnels: [MACAddress: IPAddress] = [:]
    var ports: Set<MACAddress> = []
    var neighbours: [IPAddress: MACAddress] = [:]
    /// Entries that somebody has set, in a form that is never ours.
    var strays: [ForwardingEntry] = []

    /// Nothing.
    init() {}

    /// The entries that a reach asks for.
    init(_ reach: OverlayReach, isSuppressing: Bool) {
        flood = reach.peers
        tunnels = reach.hosts.mapValues(\.peer)
        ports = Set(reach.hosts.keys)
        guard isSuppressing else { return }
        for (mac, host) in reach.hosts {
            for address in host.addresses { neighbours[address] = mac }
        }
    }

    /// The entries that the kernel shows. What was learned is nobody's to keep or to take away, and what another
    /// control plane has set is that one's.
    ///
    /// - Parameters:
    ///   - seen: those of the VXLAN link, of both databases.
    ///   - neighbours: those of ours on the bridge.
    ///   - stack: the MAC addresses of the link and the bridge themselves, which the kernel enters by itself.
    init(_ seen: [ForwardingEntry], _ neighbours: [Neighbour], stack: Set<MACAddress>) {
        for entry in seen { note(entry, stack) }
        for neighbour in neighbours {
            // One that is not permanent, or has no MAC address, is as good as one with a wrong one.
            self.neighbours[neighbour.address] =
                (neighbour.isPermanent ? neighbour.mac : nil) ?? MACAddress(rawValue: 0)
        }
    }

    private mutating func note(_ entry: ForwardingEntry, _ stack: Set<MACAddress>) {
        switch (entry.origin, entry.table, entry.peer) {
        case (.learned, _, _), (.external, _, _): break
        case (.local, _, _):
            if !stack.contains(entry.mac) { strays.append(entry) }
        case (.fixed, .link, let peer?) where entry == ForwardingEntry(entry.mac, to: peer, on: entry.link):
            if entry.mac.isZero {
                flood.insert(peer)
            } else if entry.mac.isMulticast {
                strays.append(entry)
            } else {
                tunnels[entry.mac] = peer
            }
        case (.fixed, .bridge, nil) where entry == ForwardingEntry(entry.mac, atPort: entry.link):
            ports.insert(entry.mac)
        case (.fixed, _, _): strays.append(entry)
        }
    }
}
