import BlockStore
import Reconcile
import VSwitch

/// The list of kinds: the only place that knows them all. A new kind is one line in each list it takes part in.
struct Kinds: Sendable {
    /// In the order in which they are made: what others stand on comes first.
    let all: [any ResourceKind]
    /// The top-level keys of the manifest.
    let sections: [Section]
    /// In the order in which they run.
    let derivations: [Derivation]

    var loader: DesiredLoader { DesiredLoader(sections: sections, derivations: derivations, kinds: all) }
}

extension Kinds {
    /// The kinds of this node, in the network namespace of this process.
    ///
    /// - Parameter disks: the volumes that this process serves; nil in a command, which serves none.
    static func node(_ state: StateDirectory, disks: OpenDisks? = nil) -> Kinds {
        let places = PoolPlaces(state: state.path)
        let links = LinkListing()
        return Kinds(
            all: [
                PoolKind(places),
                ImageKind(places),
                VolumeKind(places, disks: disks),
                SwitchKind(links: links),
                UplinkKind(links: links),
                GuardKind(),
                NICKind(links: links),
                VMKind(),
            ],
            sections: [
                SwitchKind.section,
                PoolKind.section(places),
                ImageKind.section,
                VolumeKind.section,
                VMKind.section,
            ],
            derivations: [
                VolumeKind.derivation,
                NICKind.resolution(),
                GuardKind.derivation,
                VMKind.derivation,
            ])
    }
}
