import Manifest
public import Reconcile
import Syscall
public import SystemPackage

/// What the node shows of a volume.
public struct VolumeObservation: Hashable, Sendable {
    /// The pool that has it.
    public var pool: String
    public var path: FilePath
    public var format: VolumeFormat
    /// Bytes of the disk.
    public var size: UInt64
    /// Bytes that the file system has given to it.
    public var allocated: UInt64
    /// The file that it builds on, relative to the pool.
    public var backing: String?
    /// Why it is not ours, or cannot be read; nil if it is ours.
    public var trouble: String?
    /// What is wrong with it though it is ours; nil if it works.
    public var fault: String?
}

/// Volumes: files in a pool that carry our mark. They are made, cloned and grown, and never removed by absence.
public struct VolumeKind: ResourceKind {
    public static let name = "volume"

    let places: PoolPlaces
    let disks: OpenDisks?

    /// Volumes of the node whose state is at `places`.
    /// - Parameter disks: the volumes that this process serves; nil in a process that serves none.
    public init(_ places: PoolPlaces, disks: OpenDisks? = nil) {
        self.places = places
        self.disks = disks
    }

    public func observe(_ desired: Desired) async throws -> [String: VolumeObservation] {
        var seen: [String: VolumeObservation] = [:]
        let wanted = desired.specs(of: Self.self)
        let listing = try places.listing()
        let conditions = await disks?.conditions() ?? []
        let faults = Dictionary(conditions.map { ($0.place.path, $0.condition.fault) }) { first, _ in first }
        for (pool, root) in PoolContents.roots(listing, desired).sorted(by: { $0.key < $1.key }) {
            for item in try PoolContents(root).volumes {
                let spec = wanted[item.name]
                guard item.isOurs || spec?.pool == pool else { continue }
                // The one in the pool that the manifest names stands for the name.
                if let known = seen[item.name], known.pool == spec?.pool, known.format == spec?.format { continue }
                seen[item.name] = VolumeObservation(
                    pool: pool, path: item.path, format: item.format, size: item.size, allocated: item.allocated,
                    backing: item.backing, trouble: item.trouble,
                    fault: (faults[item.path] ?? nil) ?? item.fault)
            }
        }
        for (name, spec) in wanted {
            guard let root = listing.lost[spec.pool] else { continue }
            seen[name] = VolumeObservation(
                pool: spec.pool, path: root.appending(PoolFile.name(name, spec.format)), format: spec.format, size: 0,
                allocated: 0, trouble: "waits for \(PoolKind.id(spec.pool)), whose directory is not there")
        }
        return seen
    }

    public func diff(name: String, spec: VolumeSpec?, observation: VolumeObservation?) -> Change {
        guard let spec else {
            guard let observation, observation.trouble == nil else { return .none }
            return .orphan(
                reason: "\(observation.path), \(ByteSize(observation.allocated)) on disk, is kept; name it again, or "
                    + "remove the file")
        }
        guard let observation else {
            var fields = [FieldChange("size", to: "\(ByteSize(spec.size))"), FieldChange("pool", to: spec.pool)]
            if let image = spec.image { fields.append(FieldChange("image", to: image)) }
            if spec.format != .qcow2 { fields.append(FieldChange("format", to: spec.format.rawValue)) }
            return .create(fields)
        }
        if let reason = refusal(spec, observation) { return .conflict(reason: reason) }
        guard spec.size != observation.size else {
            return observation.fault.map { .degraded(reason: $0) } ?? .none
        }
        let size = FieldChange("size", from: "\(ByteSize(observation.size))", to: "\(ByteSize(spec.size))")
        guard spec.size > observation.size else {
            return .unsupported(
                reason: "the volume has \(ByteSize(observation.size)), the manifest asks for \(ByteSize(spec.size)); "
                    + "shrinking would cut off data and is not done")
        }
        return .update([size])
    }

    /// Why an existing volume cannot become what the manifest asks for.
    private func refusal(_ spec: VolumeSpec, _ seen: VolumeObservation) -> String? {
        if let trouble = seen.trouble { return "\(seen.path) \(trouble)" }
        guard seen.pool == spec.pool else {
            return "the volume is in the pool \(seen.pool); volumes are not moved, name that pool or another volume"
        }
        guard seen.format == spec.format else {
            return "the volume is \(seen.format.rawValue), and its format is not changed; name that or another volume"
        }
        let backing = spec.image.map(VolumeKind.backing(of:))
        guard seen.backing == backing else {
            let now = seen.backing.map { "builds on \($0)" } ?? "builds on no image"
            return "the volume \(now), and that is not changed; use another name for a new clone"
        }
        return nil
    }

    /// The backing file of a clone, as its header names it.
    static func backing(of image: String) -> String { "\(PoolPlaces.images)/\(PoolFile.name(image, .qcow2))" }

    public func perform(
        _ steps: [Step<VolumeSpec, VolumeObservation>], desired: Desired
    ) async -> [StepOutcome] {
        var outcomes: [StepOutcome] = []
        for step in steps {
            guard let spec = step.spec, let root = desired.specs(of: PoolKind.self)[spec.pool]?.path else {
                outcomes.append(.failed("the volume's pool is not in the manifest"))
                continue
            }
            let path = root.appending(PoolFile.name(spec.name, spec.format))
            do throws(ImageError) {
                guard PoolPlaces.isPool(spec.pool, at: root) else { throw .noPool }
                switch step.change {
                case .create: try make(spec, root, path)
                case .update: try await grow(spec, path)
                default: break
                }
                outcomes.append(.done)
            } catch {
                outcomes.append(.failed("\(path) \(error)"))
            }
        }
        return outcomes
    }

    private func make(_ spec: VolumeSpec, _ root: FilePath, _ path: FilePath) throws(ImageError) {
        let owner = Self.id(spec.name).description
        guard spec.format == .qcow2 else {
            return try ImageCreate.raw(path, size: spec.size, owner: owner)
        }
        var plan = ImageCreate.Plan(size: spec.size, owner: owner)
        if let image = spec.image {
            let name = VolumeKind.backing(of: image)
            let base = try ImageFile(BackingChain.resolve(name, below: root), .observe).header()
            guard spec.size >= base.size else {
                throw .size(spec.size, rule: "its image has \(base.size) bytes, and a clone is no smaller")
            }
            plan.backing = (name, VolumeFormat.qcow2.rawValue)
        }
        try ImageCreate.qcow2(path, plan)
    }

    private func grow(_ spec: VolumeSpec, _ path: FilePath) async throws(ImageError) {
        if let disks, try await disks.grow(spec.name, to: spec.size) { return }
        let file = try ImageFile(path, .write)
        switch spec.format {
        case .raw:
            try file.truncate(to: spec.size)
            try file.syncData()
        case .qcow2: try ImageWriter(file).grow(to: spec.size)
        }
    }
}
