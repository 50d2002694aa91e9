internal import Netlink
internal import Reconcile

/// Links by whose they are, read from their marks once for all kinds of a look.
struct SortedLinks: Sendable {
    /// Those with the mark of a NIC, each with the NIC's name.
    private(set) var nics: [(name: String, link: Link)] = []
    /// The rest: few, where there are thousands of NICs.
    private(set) var others: [Link] = []
    /// Those of the rest that are not ours.
    private(set) var foreign: [Link] = []

    init(_ links: [Link]) {
        for link in links {
            if let name = NICKind.owner(of: link) {
                nics.append((name, link))
            } else {
                others.append(link)
                if link.owner == nil { foreign.append(link) }
            }
        }
    }
}

extension Sequence<Link> {
    /// Of these names those that links have which are not ours.
    func strangers(under names: Set<InterfaceName>) -> Set<InterfaceName> {
        Set(lazy.filter { names.contains($0.name) && $0.owner == nil }.map(\.name))
    }
}

extension Link {
    /// The switch, overlay, VLAN of an uplink, NIC or rate that the link is for, by its mark; nil for a link of
    /// somebody else's.
    var owner: ResourceID? {
        SwitchKind.owner(of: self).map(SwitchKind.id) ?? OverlayKind.owner(of: self).map(OverlayKind.id)
            ?? VLANPortKind.owner(of: self).map(VLANPortKind.id) ?? NICKind.owner(of: self).map(NICKind.id)
            ?? RateKind.owner(of: self).map(RateKind.id)
    }

    /// What a resource is told that is to have the name of this link; nil where the link is not ours.
    var obstacle: Obstacle? {
        owner.map {
            Obstacle($0, "the link \(self.name) has the mark of \($0), which does not give the name up: see there")
        }
    }
}
