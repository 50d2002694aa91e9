public import Manifest

/// A resource that another one needs, and where the manifest says so.
public struct Reference: Hashable, Sendable {
    public let target: ResourceID
    /// Nil where the need follows from the kind, not from a word of the manifest.
    public let position: Position?
    /// Whether nothing can be done without it. A target serves the units whose volumes are there, and lets in whom it
    /// should, whatever became of another volume.
    public let isVital: Bool

    public init(_ target: ResourceID, at position: Position? = nil, isVital: Bool = true) {
        self.target = target
        self.position = position
        self.isVital = isVital
    }
}

/// Everything that the manifest asks for: specs by kind and name, with who needs whom.
public struct Desired: Sendable {
    /// By kind name: a `[String: Spec]` of that kind.
    private var shelves: [String: any Sendable] = [:]
    /// By kind name: the names as they came, which is mostly the order of a person; in that order once `arrange` was
    /// called.
    private var order: [String: [String]] = [:]
    private var isArranged = false
    private var needs: [ResourceID: [Reference]] = [:]
    private var positions: [ResourceID: Position] = [:]

    public init() {}

    /// Puts a resource in. A second one of the same id replaces the first; the loader has refused duplicates before.
    ///
    /// - Parameters:
    ///   - references: what must be there before it, and stay as long as it does.
    ///   - position: where the manifest names it; nil for a resource derived from others.
    public mutating func add<Kind: ResourceKind>(
        _ kind: Kind.Type, _ name: String, _ spec: Kind.Spec, references: [Reference] = [], at position: Position? = nil
    ) {
        // Out of the box before it is changed, so that the dictionary is not copied each time.
        var shelf = shelves.removeValue(forKey: Kind.name) as? [String: Kind.Spec] ?? [:]
        let isNew = shelf.updateValue(spec, forKey: name) == nil
        shelves[Kind.name] = shelf
        if isNew {
            order[Kind.name, default: []].append(name)
            isArranged = false
        }
        let id = Kind.id(name)
        needs[id] = references.isEmpty ? nil : references
        positions[id] = position
    }

    /// Replaces the spec of a resource that is there, and leaves the rest of it as it is.
    mutating func replace<Kind: ResourceKind>(_ kind: Kind.Type, _ name: String, _ spec: Kind.Spec) {
        var shelf = shelves.removeValue(forKey: Kind.name) as? [String: Kind.Spec] ?? [:]
        shelf[name] = spec
        shelves[Kind.name] = shelf
    }

    /// The specs of one kind by name.
    public func specs<Kind: ResourceKind>(of kind: Kind.Type) -> [String: Kind.Spec] {
        shelves[Kind.name] as? [String: Kind.Spec] ?? [:]
    }

    /// The names of one kind as a person counts them: `vm2` before `vm10`.
    func names<Kind: ResourceKind>(of kind: Kind.Type) -> [String] {
        let names = order[Kind.name] ?? []
        return isArranged ? names : names.sorted(by: naturally)
    }

    /// Sorts the names of these kinds, once for all looks.
    mutating func arrange() {
        order = order.mapValues { $0.sorted(by: naturally) }
        isArranged = true
    }

    /// Takes from another manifest what is equal there: two that differ in little are held little more than once.
    public mutating func share(with other: Desired, kinds: [any ResourceKind]) {
        for kind in kinds { share(kind, other) }
    }

    private mutating func share<Kind: ResourceKind>(_ kind: Kind, _ other: Desired) {
        guard shelves[Kind.name] != nil else { return }
        shelves[Kind.name] = Kind.sharing(specs(of: Kind.self), with: other.specs(of: Kind.self))
    }

    /// What a resource needs.
    public func references(of id: ResourceID) -> [Reference] { needs[id] ?? [] }

    /// Adds to what a resource needs: for one that stands on a derived resource (a NIC on the guard's rules).
    public mutating func addReference(from id: ResourceID, to target: ResourceID) {
        needs[id, default: []].append(Reference(target, at: positions[id]))
    }

    /// Replaces what a resource needs.
    mutating func setReferences(of id: ResourceID, _ references: [Reference]) {
        needs[id] = references.isEmpty ? nil : references
    }

    /// Where the manifest names a resource; nil for a derived one.
    public func position(of id: ResourceID) -> Position? { positions[id] }

    /// Whether the manifest names such a resource, or one was derived.
    public func contains(_ id: ResourceID, kinds: [any ResourceKind]) -> Bool {
        kinds.contains { Self.holds($0, self, id) }
    }

    private static func holds<Kind: ResourceKind>(_ kind: Kind, _ desired: Desired, _ id: ResourceID) -> Bool {
        Kind.name == id.kind && desired.specs(of: Kind.self)[id.name] != nil
    }

    /// Every reference to something that is not there, in the order of the manifest.
    public func danglingReferences(kinds: [any ResourceKind]) -> [(from: ResourceID, reference: Reference)] {
        var known: Set<ResourceID> = []
        for kind in kinds { Self.collect(kind, self, into: &known) }
        return needs.lazy.flatMap { id, references in
            references.lazy.filter { !known.contains($0.target) }.map { (from: id, reference: $0) }
        }
        .sorted { ($0.from, $0.reference.target) < ($1.from, $1.reference.target) }
    }

    private static func collect<Kind: ResourceKind>(_ kind: Kind, _ desired: Desired, into known: inout Set<ResourceID>)
    {
        for name in desired.specs(of: Kind.self).keys { known.insert(Kind.id(name)) }
    }
}
