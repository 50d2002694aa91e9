import BlockStore
import Netlink
import Reconcile
import Rules
import VRouter
import VSwitch

/// The list of kinds: the only place that knows them all. A new kind is one line in each list it takes part in.
struct Kinds: Sendable {
    /// In the order in which they are made: what others stand on comes first.
    let all: [any ResourceKind]
    /// The top-level keys of the manifest.
    let sections: [Section]
    /// In the order in which they run.
    let derivations: [Derivation]
    /// Has the next look take for granted what the kernel has told no change of: another look follows.
    var hasten: @Sendable () -> Void = {}

    var loader: DesiredLoader { DesiredLoader(sections: sections, derivations: derivations, kinds: all) }
}

extension Kinds {
    /// The kinds of this node.
    ///
    /// - Parameters:
    ///   - storage: what serves the targets; nil where none are served: in a command, or without io_uring.
    ///   - location: the network namespace; that of this process, if nothing else is said.
    ///   - tenure: how long tables of rules are held. A command ends, and what it made is for a daemon to hold.
    static func node(
        _ state: StateDirectory, storage: Storage? = nil, in location: NetworkLocation = .own,
        tenure: NFTenure = .passing
    ) -> Kinds {
        let places = PoolPlaces(state: state.path)
        let links = LinkListing(in: location)
        let ledger = NFLedger(in: location, tenure: tenure)
        let filters = ForeignFilterListing(ledger)
        return Kinds(
            all: [
                PoolKind(places, disks: storage?.disks),
                ImageKind(places),
                VolumeKind(places, disks: storage?.disks),
                SwitchKind(links: links, filters),
                UplinkKind(links: links),
                OverlayKind(links: links),
                VLANPortKind(links: links),
                FenceKind<BridgeFence>(links: links, ledger),
                FenceKind<HostFence>(links: links, ledger),
                FenceKind<ARPFence>(links: links, ledger),
                GroupKind(ledger),
                AddressSetKind(),
                StateKind(ledger),
                RoutedKind(ledger),
                GuardKind(links: links, ledger),
                MarkingKind(links: links, ledger),
                NICKind(links: links),
                RateKind(links: links),
                ShareKind(links: links),
                MirrorKind(links: links),
                NATKind(ledger),
                RouterKind(in: location, filters),
                TargetKind(storage?.server),
                VMKind(),
            ],
            sections: [
                SwitchKind.section,
                AddressSetKind.section,
                GroupKind.section,
                RouterSection.section,
                PoolKind.section(places),
                ImageKind.section,
                VolumeKind.section,
                TargetKind.section,
                VMKind.section,
                MirrorKind.section,
            ],
            derivations: [
                PoolKind.derivation,
                VolumeKind.derivation,
                TargetKind.derivation,
                VLANs.derivation(),
                OverlayKind.resolution(subnets: RouterKind.subnets),
                NICKind.resolution(subnets: RouterKind.subnets),
                FenceKind<BridgeFence>.derivation,
                FenceKind<HostFence>.derivation,
                FenceKind<ARPFence>.derivation,
                GuardKind.derivation,
                ShareKind.derivation,
                MirrorKind.derivation,
                MarkingKind.derivation,
                RoutedKind.derivation,
                StateKind.derivation(joined: RouterKind.joinedSwitches),
                RouterChecks.derivation(claims: nicAddresses, coming: NICKind.addresses(in:)),
                RouterKind.resolution(bridges: bridgeAddresses),
                NATKind.derivation,
                VMKind.derivation,
            ], hasten: { links.hasten() })
    }
}

extension Kinds {
    /// The MAC addresses of the bridges by switch, from which routers form link-local addresses.
    @Sendable
    private static func bridgeAddresses(_ desired: Desired) -> [String: MACAddress] {
        desired.specs(of: SwitchKind.self).mapValues(\.mac)
    }

    /// The addresses that NICs have on each switch, for the check that no router has them too.
    @Sendable
    private static func nicAddresses(_ desired: Desired) -> [AddressClaim] {
        desired.specs(of: NICKind.self).sorted { $0.key < $1.key }.flatMap { name, spec -> [AddressClaim] in
            let id = NICKind.id(name)
            guard let position = desired.position(of: id) else { return [] }
            return spec.addresses.map {
                AddressClaim(owner: id, switchName: spec.segment, address: $0.address, position: position)
            }
        }
    }
}
