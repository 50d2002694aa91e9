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
            let path = fields.node("path")
            let text = path?.string(as: "'path' of pool '\(entry.name)'", diagnostics)
            fields.finish()
            let directory = text.map { FilePath(entry.directory).pushing(FilePath($0)).lexicallyNormalized() }
            if let path, let text, let directory, text.isEmpty || directory.components.isEmpty {
                diagnostics.report(
                    at: path, "'path' of pool '\(entry.name)' is \(text.isEmpty ? "empty" : "the root directory")",
                    hint: "a directory for this pool alone; left out, it is \(places.defaultPath(entry.name))")
                return
            }
            let spec = PoolSpec(name: entry.name, path: directory ?? places.defaultPath(entry.name))
            desired.add(PoolKind.self, entry.name, spec, at: entry.entry.keyPosition)
        }
    }

    /// Pools lie beside each other, not in each other.
    public static var derivation: Derivation {
        Derivation(of: [name]) { desired, diagnostics in
            let pools = desired.specs(of: PoolKind.self).values.sorted { $0.name < $1.name }
            for (index, later) in pools.enumerated() {
                for earlier in pools[..<index] {
                    let isInside = later.path.starts(with: earlier.path) || earlier.path.starts(with: later.path)
                    guard isInside, let position = desired.position(of: id(later.name)) else { continue }
                    let (one, other) = (id(later.name), id(earlier.name))
                    let words =
                        later.path == earlier.path
                        ? "\(one) and \(other) both lie at \(later.path)"
                        : "\(one) at \(later.path) and \(other) at \(earlier.path): one lies in the other"
                    diagnostics.report(
                        at: position, width: later.name.count, words, hint: "give each a directory of its own")
                    break
                }
            }
        }
    }
}
