import Manifest
import Reconcile
import SystemPackage
import TestSupport
import Testing

@testable import sdagent

/// A manifest that is read by what differs from the one before is the one that a reading of the whole gives.
@Suite("Amended manifests")
struct AmendmentTests {
    static let kinds = Kinds.node(StateDirectory(path: "/var/lib/sdagent"))

    static func source(_ text: String) -> [Source] { [Source(file: "node.yaml", directory: "/", text: text)] }

    /// Whatever of a random manifest is edited, and whether the text has mistakes then or not.
    @Test(arguments: 0..<10)
    func isTheSameAsIfReadWhole(seed: UInt64) throws {
        var dice = SeededGenerator(seed: seed)
        var sketch = ManifestSketch(&dice)
        var known = try LoadedManifest.outlined(Self.source(sketch.text), Self.kinds)
        var amended = 0
        for step in 0..<60 {
            let before = sketch
            sketch.edit(&dice)
            let sources = Self.source(sketch.text)
            let whole = try? LoadedManifest.outlined(sources, Self.kinds)
            if let (manifest, _) = known.amended(sources, Self.kinds) {
                amended += 1
                let whole = try #require(whole, "seed \(seed), step \(step): it has mistakes\n\(sketch.text)")
                try Self.expectEqual(manifest, whole, "seed \(seed), step \(step)\n\(before.text)---\n\(sketch.text)")
                known = manifest
            } else if let whole {
                known = whole
            } else {
                sketch = before
            }
        }
        #expect(amended > 5, "seed \(seed): \(amended) of 60 edits were amendments")
    }

    /// The kinds of edits that a node sees all day.
    @Test(arguments: [
        ("ports: [22, 443]", "ports: [22, 443, 8443]"), ("[192.0.2.0/24]", "[192.0.2.0/24, 198.51.100.7]"),
        ("address: [10.0.0.2]", "address: [10.0.0.77]"), ("address: [10.0.0.2]", "address: [10.0.0.77, 'fd00::77']"),
        ("groups: [web, ops]", "groups: [ops]"),
    ])
    func smallEditsAreAmendments(old: String, new: String) throws {
        let text = """
            switches: { blue: {} }
            routers: { r: { interfaces: { blue: { addresses: [10.0.0.1/24, fd00::1/64] } } } }
            addressSets: { office: [192.0.2.0/24] }
            groups:
              web:
                ingress:
                  - { protocol: tcp, ports: [22, 443], from: { set: office } }
                  - { protocol: any, from: { group: ops } }
              ops: {}
            vms:
              a:
                nics: [ { switch: blue, address: [10.0.0.2], groups: [web, ops] } ]
              b: { nics: [ { switch: blue, address: [10.0.0.3], groups: [web, ops] } ] }
              c: { nics: [ { switch: blue, address: [10.0.0.4], groups: [ops] } ] }

            """
        let known = try LoadedManifest.outlined(Self.source(text), Self.kinds)
        let edited = text.replacing(old, with: new, maxReplacements: 1)
        #expect(edited != text)
        let (amended, _) = try #require(known.amended(Self.source(edited), Self.kinds))
        try Self.expectEqual(amended, try LoadedManifest.outlined(Self.source(edited), Self.kinds), edited)
        // And back, by the outline of what was amended.
        let (again, _) = try #require(amended.amended(Self.source(text), Self.kinds))
        try Self.expectEqual(again, known, text)
    }

    /// Edits of which a part of the text would tell less than the whole.
    @Test(arguments: [
        // An address that another NIC has, or the router.
        ("[10.0.0.2]", "[10.0.0.3]"), ("[10.0.0.2]", "[10.0.0.1]"),
        // A group that is not there; a NIC more; one that has no groups any longer.
        ("[web]", "[web, other]"), ("  b:", "  d: { nics: [ { switch: blue } ] }\n  b:"), (", groups: [web]", ""),
        // What begins in one line and ends in others.
        ("text: |\n", "text: |\n        # no comment\n"), ("  b:", "    # more\n  b:"), ("[10.0.0.2]", "[10.0.0.2"),
        ("  b:", "  b: x"), ("vms:", "vms: &all"), ("vms:", "vms:  # all"), ("  b:", "---\n  b:"),
        // The end of the document before others of its entries.
        ("[10.0.0.2]\n        groups: [web]\n", "[10.0.0.7]\n        groups: [web]\n...\n"),
    ])
    func othersAreReadWhole(old: String, new: String) throws {
        let text = """
            switches: { blue: {} }
            routers: { r: { interfaces: { blue: { addresses: [10.0.0.1/24] } } } }
            groups: { web: {} }
            vms:
              a:
                nics:
                  - switch: blue
                    address: [10.0.0.2]
                    groups: [web]
              b: { nics: [ { switch: blue, address: [10.0.0.3], groups: [web] } ] }

            """
        let known = try LoadedManifest.outlined(Self.source(text), Self.kinds)
        let edited = text.replacing(old, with: new, maxReplacements: 1)
        guard let (amended, _) = known.amended(Self.source(edited), Self.kinds) else { return }
        try Self.expectEqual(amended, try LoadedManifest.outlined(Self.source(edited), Self.kinds), edited)
    }

    /// A comment behind a block scalar would be a part of it.
    @Test
    func aCommentMayBeText() throws {
        let text = "addressSets:\n  a: |\n    192.0.2.1\n  b: [192.0.2.2]\n"
        let outline = ManifestLoader(sections: ["addressSets"]).outlined(Self.source(text), Diagnostics()).outline
        let edited = "addressSets:\n  a: |\n    192.0.2.1\n    # text\n  b: [192.0.2.2]\n"
        #expect(outline.edit(from: Self.source(text), to: Self.source(edited)) == nil)
        let harmless = text.replacing("192.0.2.2", with: "192.0.2.3")
        #expect(outline.edit(from: Self.source(text), to: Self.source(harmless))?.edit.after.map(\.name) == ["b"])
    }

    private static func expectEqual(_ one: LoadedManifest, _ other: LoadedManifest, _ words: String) throws {
        for kind in kinds.all { try expectEqual(kind, one.desired, other.desired, words) }
    }

    private static func expectEqual<Kind: ResourceKind>(
        _ kind: Kind, _ one: Desired, _ other: Desired, _ words: String
    ) throws {
        let (specs, others) = (one.specs(of: Kind.self), other.specs(of: Kind.self))
        #expect(specs.keys.sorted() == others.keys.sorted(), "\(Kind.name): \(words)")
        for (name, spec) in specs {
            let id = Kind.id(name)
            try #require(spec == others[name], "\(id): \(words)")
            #expect(
                Set(one.references(of: id).map(\.target)) == Set(other.references(of: id).map(\.target)),
                "\(id): \(words)")
        }
    }
}
