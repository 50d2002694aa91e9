internal import Manifest
public import Reconcile

extension MirrorKind {
    /// The section `mirrors` of the manifest.
    public static let section = Section("mirrors") { entry, desired, diagnostics in
        guard ResourceName.check(entry.entry, of: name, diagnostics) else { return }
        var fields = Fields(entry.entry.value, of: "mirror '\(entry.name)'", diagnostics)
        let source = readNIC("from", &fields)
        let target = readNIC("to", &fields)
        let direction = fields.choice("direction", MirrorSpec.Direction.self) ?? .both
        fields.finish()
        guard let source, let target else { return }
        if source.name == target.name {
            diagnostics.report(
                at: target.position, "mirror '\(entry.name)' leads to where it comes from", hint: "name another nic")
        }
        let spec = MirrorSpec(from: source.name, to: target.name, direction: direction)
        let references = [source, target].map { Reference(NICKind.id($0.name), at: $0.position) }
        desired.add(MirrorKind.self, entry.name, spec, references: references, at: entry.entry.keyPosition)
    }

    private static func readNIC(_ key: String, _ fields: inout Fields) -> (name: String, position: Position)? {
        guard let found = fields.reference(key, required: true) else { return nil }
        let parts = found.name.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count == 2, parts.allSatisfy({ ResourceName.isPlain(String($0)) }) { return found }
        fields.diagnostics.report(
            at: found.position, "'\(found.name.prefix(80))' is no nic",
            hint: "name the vm and its nic, such as vm1/net0")
        return nil
    }

    /// Reports mirrors that would copy copies, and NICs that two mirrors copy.
    public static let derivation = Derivation(of: [name]) { desired, diagnostics in
        let mirrors = desired.specs(of: MirrorKind.self).sorted { $0.key < $1.key }
        var sources: [String: String] = [:]
        for (name, spec) in mirrors {
            guard let position = desired.position(of: id(name)) else { continue }
            if let first = sources[spec.source] {
                diagnostics.report(
                    at: position, "mirrors '\(first)' and '\(name)' both copy \(spec.source)",
                    hint: "a nic has one mirror; one of direction 'both' copies all")
            }
            sources[spec.source] = sources[spec.source] ?? name
        }
        for (name, spec) in mirrors where spec.source != spec.target {
            guard let other = sources[spec.target], let position = desired.position(of: id(name)) else { continue }
            diagnostics.report(
                at: position, "mirror '\(name)' leads to \(spec.target), which mirror '\(other)' copies",
                hint: "copies of copies would go round; a nic that receives copies has no mirror of its own")
        }
    }
}
