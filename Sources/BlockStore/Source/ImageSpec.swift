import Manifest
public import Reconcile
public import SystemPackage

/// An image that volumes are cloned from, as the manifest asks for it.
public struct ImageSpec: Hashable, Sendable {
    /// Its name in the manifest.
    public let name: String
    /// The pool that keeps the imported copy.
    public let pool: String
    /// The file that it is imported from, absolute.
    public let source: FilePath
    /// How that file holds the disk: stated, never guessed from its bytes.
    public let format: VolumeFormat
    /// What the file must hash to, in lower-case hexadecimal; nil if the manifest does not say.
    public let sha256: String?
}

extension ImageKind {
    /// `images` of the manifest.
    public static var section: Section {
        Section("images") { entry, desired, diagnostics in
            guard ResourceName.check(entry.entry, of: name, diagnostics) else { return }
            var fields = Fields(entry.entry.value, of: "image '\(entry.name)'", diagnostics)
            let pool = fields.reference("pool", required: true)
            let source = fields.node("source", required: true)
            let stated = fields.choice("format", VolumeFormat.self)
            let sha256 = fields.node("sha256").flatMap { checkedHash($0, entry.name, diagnostics) }
            let named = fields.has("format")
            fields.finish()
            guard let pool, let source, let text = source.string(as: "'source'", diagnostics) else { return }
            let path = FilePath(entry.directory).pushing(FilePath(text)).lexicallyNormalized()
            guard let format = stated ?? format(ofName: path) else {
                guard !named else { return }
                diagnostics.report(
                    at: source.position, width: text.count, "the format of '\(text)' does not follow from its name",
                    hint: "add 'format: qcow2' or 'format: raw'")
                return
            }
            let spec = ImageSpec(name: entry.name, pool: pool.name, source: path, format: format, sha256: sha256)
            desired.add(
                ImageKind.self, entry.name, spec,
                references: [Reference(PoolKind.id(pool.name), at: pool.position)], at: entry.entry.keyPosition)
        }
    }

    private static func format(ofName path: FilePath) -> VolumeFormat? {
        switch path.extension {
        case "qcow2": .qcow2
        case "raw": .raw
        default: nil
        }
    }

    private static func checkedHash(_ node: Node, _ name: String, _ diagnostics: Diagnostics) -> String? {
        guard let text = node.string(as: "'sha256' of image '\(name)'", diagnostics) else { return nil }
        let hash = text.lowercased()
        let isHash = hash.utf8.count == 64 && hash.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
        if isHash { return hash }
        diagnostics.report(
            at: node.position, width: text.count, "'sha256' of image '\(name)' is not 64 hexadecimal digits",
            hint: "take the first word that `sha256sum FILE` prints")
        return nil
    }
}
