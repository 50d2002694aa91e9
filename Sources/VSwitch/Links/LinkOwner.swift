internal import Netlink
internal import Reconcile

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
            Obstacle($0, "the link \(name) has the mark of \($0), which does not give the name up: see there")
        }
    }
}
