/// What differs between two manifests that name the same resources: of some of them, what is asked.
///
/// It tells of resources as sections decode them; what follows from these is for each `Derivation` to say.
public struct Amendment: Sendable {
    private let before: Desired
    private let after: Desired
    /// The resources that differ, or of which what they stand on does.
    let ids: [ResourceID]

    /// - Returns: nil where there are other resources after than before.
    init?(from before: Desired, to after: Desired, kinds: [any ResourceKind]) {
        self.before = before
        self.after = after
        var ids: [ResourceID] = []
        for kind in kinds {
            guard let changed = Self.compare(kind, before, after) else { return nil }
            ids += changed
        }
        self.ids = ids
    }

    private static func compare<Kind: ResourceKind>(
        _ kind: Kind, _ before: Desired, _ after: Desired
    ) -> [ResourceID]? {
        let (old, new) = (before.specs(of: Kind.self), after.specs(of: Kind.self))
        guard old.keys == new.keys else { return nil }
        return old.keys.sorted().map(Kind.id).filter { id in
            old[id.name] != new[id.name]
                || before.references(of: id).map(\.target) != after.references(of: id).map(\.target)
        }
    }

    /// The kinds of which any resource differs.
    var kinds: Set<String> { Set(ids.map(\.kind)) }

    /// Whether any resource of a kind differs.
    public func concerns(_ kind: String) -> Bool { ids.contains { $0.kind == kind } }

    /// Whether resources of no other kinds differ.
    public func concernsOnly(_ kinds: Set<String>) -> Bool { ids.allSatisfy { kinds.contains($0.kind) } }

    /// What differs of one kind, in the order of names.
    public func changes<Kind: ResourceKind>(of kind: Kind.Type) -> [SpecChange<Kind.Spec>] {
        let (old, new) = (before.specs(of: Kind.self), after.specs(of: Kind.self))
        return ids.filter { $0.kind == Kind.name }.compactMap { id in
            guard let before = old[id.name], let after = new[id.name] else { return nil }
            return SpecChange(name: id.name, before: before, after: after)
        }
    }

    /// What a resource needs after, which needed `known` before: what was derived from others it still does.
    func references(of id: ResourceID, besides known: [Reference]) -> [Reference] {
        let old = Set(before.references(of: id).map(\.target))
        return after.references(of: id) + known.filter { !old.contains($0.target) }
    }
}

/// What is asked of one resource, before and after.
public struct SpecChange<Spec: Sendable>: Sendable {
    public let name: String
    public let before: Spec
    public let after: Spec

    init(name: String, before: Spec, after: Spec) {
        self.name = name
        self.before = before
        self.after = after
    }
}

/// A desired set on its way from one manifest to the next, resource by resource.
public struct Revision: Sendable {
    /// As it was before.
    let old: Desired
    /// As it is so far.
    public private(set) var desired: Desired
    /// What has been replaced.
    private(set) var ids: Set<ResourceID> = []
    private var notes: [ObjectIdentifier: any Sendable] = [:]

    init(_ old: Desired) {
        self.old = old
        desired = old
    }

    /// Asks something else of a resource that is there.
    public mutating func replace<Kind: ResourceKind>(_ kind: Kind.Type, _ name: String, _ spec: Kind.Spec) {
        ids.insert(Kind.id(name))
        desired.replace(kind, name, spec)
    }

    /// Keeps what one derivation has found out for those that come later.
    public mutating func note<Note: Sendable>(_ note: Note) { notes[ObjectIdentifier(Note.self)] = note }

    /// What an earlier derivation has found out.
    public func noted<Note: Sendable>(_ note: Note.Type) -> Note? { notes[ObjectIdentifier(Note.self)] as? Note }

    /// What it needs from now on.
    mutating func setReferences(of id: ResourceID, _ references: [Reference]) {
        desired.setReferences(of: id, references)
    }

    /// What is asked otherwise of one kind, in the order of names.
    func changes<Kind: ResourceKind>(of kind: Kind.Type) -> [SpecChange<Kind.Spec>] {
        let (before, after) = (old.specs(of: Kind.self), desired.specs(of: Kind.self))
        return ids.filter { $0.kind == Kind.name }.map(\.name).sorted().compactMap { name in
            guard let was = before[name], let spec = after[name], was != spec else { return nil }
            return SpecChange(name: name, before: was, after: spec)
        }
    }
}
