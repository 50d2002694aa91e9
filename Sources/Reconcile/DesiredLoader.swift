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
        let entries = ManifestLoader(sections: sections.map(\.key)).load(sources, diagnostics)
        let byKey = Dictionary(sections.map { ($0.key, $0) }) { first, _ in first }
        var desired = Desired()
        for entry in entries { byKey[entry.section]?.decode(entry, &desired, diagnostics) }
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
