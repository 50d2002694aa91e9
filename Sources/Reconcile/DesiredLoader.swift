public import Manifest

/// The whole way from manifest text to the desired set.
public struct DesiredLoader: Sendable {
    public let sections: [Section]
    /// In the order in which they run.
    public let derivations: [Derivation]
    public let kinds: [any ResourceKind]

    public init(sections: [Section], derivations: [Derivation], kinds: [any ResourceKind]) {
        self.sections = sections
        self.derivations = derivations
        self.kinds = kinds
    }

    /// Decodes, derives and checks references. With any mistake the answer is nil, and nothing may be touched.
    public func load(_ sources: [Source], _ diagnostics: Diagnostics) -> Desired? {
        resolve(ManifestLoader(sections: sections.map(\.key)).load(sources, diagnostics), diagnostics)
    }

    /// The same with what it takes to read another version of the texts by what differs.
    public func outlined(
        _ sources: [Source], _ diagnostics: Diagnostics
    ) -> (desired: Desired, outline: ManifestOutline)? {
        let (entries, outline) = ManifestLoader(sections: sections.map(\.key)).outlined(sources, diagnostics)
        return resolve(entries, diagnostics).map { ($0, outline) }
    }

    private func decode(_ entries: [ManifestEntry], _ diagnostics: Diagnostics) -> Desired {
        let byKey = Dictionary(sections.map { ($0.key, $0) }) { first, _ in first }
        var desired = Desired()
        for entry in entries { byKey[entry.section]?.decode(entry, &desired, diagnostics) }
        return desired
    }

    private func resolve(_ entries: [ManifestEntry], _ diagnostics: Diagnostics) -> Desired? {
        var desired = decode(entries, diagnostics)
        for derivation in derivations { derivation.run(&desired, diagnostics) }
        // A resource with a mistake is not in the set: what refers to it would be reported a second time, wrongly.
        guard diagnostics.isEmpty else { return nil }
        for (from, reference) in desired.danglingReferences(kinds: kinds) {
            let names = names(of: reference.target.kind, desired)
            diagnostics.reportDangling(reference.target, from: from, at: reference.position, among: names)
        }
        desired.arrange()
        return diagnostics.isEmpty ? desired : nil
    }

    /// Does for a few entries that differ what `load` does for all.
    ///
    /// Positions stay as they were: they are behind by what has moved, until all is read again.
    ///
    /// - Parameter old: what was loaded before the edit, without mistakes.
    /// - Returns: nil where that takes more than these entries, or there is a mistake: then all has to be read.
    public func amend(_ old: Desired, by edit: ManifestEdit) -> Revision? {
        let diagnostics = Diagnostics()
        let before = decode(edit.before, diagnostics)
        let after = decode(edit.after, diagnostics)
        guard diagnostics.isEmpty, let amendment = Amendment(from: before, to: after, kinds: kinds) else { return nil }
        var revision = Revision(old)
        for kind in kinds { Self.replace(kind, by: amendment, in: &revision) }
        for id in amendment.ids {
            let references = amendment.references(of: id, besides: old.references(of: id))
            guard references.allSatisfy({ old.contains($0.target, kinds: kinds) }) else { return nil }
            revision.setReferences(of: id, references)
        }
        for derivation in derivations where !derivation.amend(&revision, amendment) { return nil }
        // Of what derivations have made something else of, they must have said what it is now.
        return revision.ids.isSuperset(of: amendment.ids) ? revision : nil
    }

    /// What no derivation has changed is asked as the manifest says.
    private static func replace<Kind: ResourceKind>(
        _ kind: Kind, by amendment: Amendment, in revision: inout Revision
    ) {
        let changes = amendment.changes(of: Kind.self)
        guard !changes.isEmpty else { return }
        let known = revision.desired.specs(of: Kind.self)
        for change in changes where known[change.name] == change.before {
            revision.replace(Kind.self, change.name, change.after)
        }
    }

    private func names(of kind: String, _ desired: Desired) -> [String] {
        for candidate in kinds where Self.isNamed(candidate, kind) { return Self.names(candidate, desired) }
        return []
    }

    private static func isNamed<Kind: ResourceKind>(_ kind: Kind, _ name: String) -> Bool { Kind.name == name }

    private static func names<Kind: ResourceKind>(_ kind: Kind, _ desired: Desired) -> [String] {
        Array(desired.specs(of: Kind.self).keys)
    }
}

extension Diagnostics {
    fileprivate func reportDangling(
        _ target: ResourceID, from: ResourceID, at position: Position?, among names: [String]
    ) {
        report(
            at: position ?? Position(file: "manifest", line: 0, column: 0), width: target.name.count,
            "\(from) needs \(target), which the manifest does not have",
            hint: Fields.suggestion(for: target.name, in: names))
    }
}
