import Reconcile

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
    /// The kinds of this node.
    static func node() -> Kinds {
        Kinds(all: [], sections: [], derivations: [])
    }
}
