public import Reconcile
import Syscall
public import SystemPackage

/// What the node shows of an image.
public struct ImageObservation: Hashable, Sendable {
    /// The pool that has it.
    public var pool: String
    /// The imported copy.
    public var path: FilePath
    /// Bytes of the disk.
    public var size: UInt64
    /// What its source hashed to; nil if the copy is not ours.
    public var sha256: String?
    /// Why it is not ours, or cannot be read.
    public var trouble: String?
    /// The volumes that build on it.
    public var users: [String]
}

/// Images: imported once into their pool, never written after, shared by the volumes cloned from them.
public struct ImageKind: ResourceKind {
    public static let name = "image"

    let places: PoolPlaces

    /// Images of the node whose state is at `places`.
    public init(_ places: PoolPlaces) { self.places = places }

    public func observe(_ desired: Desired) async throws -> [String: ImageObservation] {
        var seen: [String: ImageObservation] = [:]
        let listing = try places.listing()
        for (pool, root) in PoolContents.roots(listing, desired) {
            let contents = try PoolContents(root)
            for image in contents.images {
                let wanted = desired.specs(of: Self.self)[image.name]
                guard image.isOurs || wanted?.pool == pool else { continue }
                if let known = seen[image.name], known.pool == wanted?.pool { continue }
                seen[image.name] = ImageObservation(
                    pool: pool, path: image.path, size: image.size, sha256: image.sha256, trouble: image.trouble,
                    users: contents.users(of: image.name))
            }
        }
        for (name, spec) in desired.specs(of: Self.self) {
            guard let root = listing.lost[spec.pool] else { continue }
            seen[name] = ImageObservation(
                pool: spec.pool, path: root.appending(VolumeKind.backing(of: name)), size: 0,
                trouble: "waits for \(PoolKind.id(spec.pool)), whose directory is not there", users: [])
        }
        return seen
    }

    public func diff(name: String, spec: ImageSpec?, observation: ImageObservation?) -> Change {
        guard let spec else {
            guard let observation, observation.trouble == nil else { return .none }
            guard !observation.users.isEmpty else { return .delete }
            return .orphan(reason: "kept, since \(observation.users.joined(separator: ", ")) builds on it")
        }
        guard let observation else {
            return .create([FieldChange("source", to: "\(spec.source)"), FieldChange("pool", to: spec.pool)])
        }
        if let trouble = observation.trouble { return .conflict(reason: "\(observation.path) \(trouble)") }
        guard observation.pool == spec.pool else {
            return .conflict(
                reason: "the image is in the pool \(observation.pool) already; images are not moved, give the new one "
                    + "another name")
        }
        guard let wanted = spec.sha256, let found = observation.sha256, wanted != found else { return .none }
        return .conflict(
            reason: "it was imported from a file with the SHA-256 \(found); an image never changes, give the new one "
                + "another name")
    }

    public func perform(
        _ steps: [Step<ImageSpec, ImageObservation>], desired: Desired
    ) async -> [StepOutcome] {
        var outcomes: [StepOutcome] = []
        for step in steps {
            do throws(ImageError) {
                switch (step.change, step.spec, step.observation) {
                case (.create, let spec?, _):
                    guard let pool = desired.specs(of: PoolKind.self)[spec.pool] else { break }
                    guard PoolPlaces.isPool(pool.name, at: pool.path) else { throw .noPool }
                    outcomes.append(await Blocking.run { ImageImport(spec, into: pool.path).run() })
                    continue
                case (.delete, _, let seen?):
                    try fileCall(.remove) { () throws(Errno) in try File.remove(seen.path) }
                    try ImageCreate.syncDirectory(seen.path.removingLastComponent())
                default: break
                }
                outcomes.append(.done)
            } catch {
                outcomes.append(.failed("\(step.spec?.source ?? step.observation?.path ?? ""): \(error)"))
            }
        }
        return outcomes
    }
}
