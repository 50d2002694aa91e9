import Manifest
public import Reconcile
import SystemPackage

/// A volume as the manifest asks for it.
public struct VolumeSpec: Hashable, Sendable {
    /// Its name in the manifest.
    public let name: String
    public let pool: String
    /// Bytes of the disk, a multiple of 512.
    public let size: UInt64
    public let format: VolumeFormat
    /// The image that it is cloned from; nil for an empty disk.
    public let image: String?
}

extension VolumeKind {
    /// `volumes` of the manifest.
    public static var section: Section {
        Section("volumes") { entry, desired, diagnostics in
            guard ResourceName.check(entry.entry, of: name, diagnostics) else { return }
            var fields = Fields(entry.entry.value, of: "volume '\(entry.name)'", diagnostics)
            let pool = fields.reference("pool", required: true)
            let sizeNode = fields.node("size", required: true)
            let size = sizeNode?.bytes(as: "'size' of volume '\(entry.name)'", in: 512...(1 << 50), diagnostics)
            let image = fields.reference("image")
            let format = fields.choice("format", VolumeFormat.self) ?? .qcow2
            fields.finish()
            if let size, let sizeNode, size % 512 != 0 {
                diagnostics.report(at: sizeNode.position, "'size' of volume '\(entry.name)' is not a multiple of 512B")
                return
            }
            if let image, format == .raw {
                diagnostics.report(
                    at: image.position, "a raw volume cannot be cloned from an image",
                    hint: "leave 'format' out, so that it is qcow2")
                return
            }
            guard let pool, let size else { return }
            var references = [Reference(PoolKind.id(pool.name), at: pool.position)]
            if let image { references.append(Reference(ImageKind.id(image.name), at: image.position)) }
            let spec = VolumeSpec(
                name: entry.name, pool: pool.name, size: size, format: format, image: image?.name)
            desired.add(VolumeKind.self, entry.name, spec, references: references, at: entry.entry.keyPosition)
        }
    }

    /// Volumes and the images that they are cloned from lie in one pool, since backing files are found nowhere else.
    public static var derivation: Derivation {
        Derivation(of: [VolumeKind.name, ImageKind.name]) { desired, diagnostics in
            for (name, spec) in desired.specs(of: VolumeKind.self).sorted(by: { $0.key < $1.key }) {
                guard let image = spec.image.flatMap({ desired.specs(of: ImageKind.self)[$0] }) else { continue }
                guard image.pool != spec.pool else { continue }
                guard let position = desired.position(of: VolumeKind.id(name)) else { continue }
                diagnostics.report(
                    at: position, width: name.count,
                    "volume '\(name)' is in the pool '\(spec.pool)', its image '\(image.name)' in '\(image.pool)'",
                    hint: "keep an image in each pool whose volumes are cloned from it")
            }
        }
    }
}
