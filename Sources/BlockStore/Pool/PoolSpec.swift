import Manifest
public import Reconcile
public import SystemPackage

/// A directory that holds volumes and images, as the manifest asks for it.
public struct PoolSpec: Hashable, Sendable {
    /// Its name in the manifest.
    public let name: String
    /// The directory, absolute.
    public let path: FilePath
}

extension PoolKind {
    /// `pools` of the manifest.
    /// - Parameter places: where pools lie that do not say.
    public static func section(_ places: PoolPlaces) -> Section {
        Section("pools") { entry, desired, diagnostics in
            guard ResourceName.check(entry.entry, of: name, diagnostics) else { return }
            var fields = Fields(entry.entry.value, of: "pool '\(entry.name)'", diagnostics)
            let path = fields.string("path")
            fields.finish()
            let directory = path.map { FilePath(entry.directory).pushing(FilePath($0)).lexicallyNormalized() }
            let spec = PoolSpec(name: entry.name, path: directory ?? places.defaultPath(entry.name))
            desired.add(PoolKind.self, entry.name, spec, at: entry.entry.keyPosition)
        }
    }
}
