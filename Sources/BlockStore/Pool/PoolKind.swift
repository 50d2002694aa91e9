public import Reconcile
import Syscall
public import SystemPackage

/// What the node shows of a pool.
public struct PoolObservation: Hashable, Sendable {
    /// What is at the pool's place.
    public enum State: Hashable, Sendable {
        /// A directory with this pool's mark.
        case ours
        /// A directory without a mark that holds nothing, hidden or not, or nothing but volumes of ours.
        case unmarked
        /// Another pool of this agent.
        case held(by: ResourceID)
        /// A directory with this pool's mark that the node's list does not lead to.
        case unlisted
        /// The list leads to it, and it is not there, or is not this pool; in words.
        case lost(String)
        /// Something that is not ours, in words.
        case foreign(String)
    }

    public var path: FilePath
    public var state: State
    /// Volumes and images in it.
    public var files = 0
    /// Other files in it, those that are not hidden.
    public var others = 0
    /// Its room; nil if it is not ours.
    public var space: PoolSpace?

    var isEmpty: Bool { files == 0 && others == 0 }

    /// What is in it, in words.
    var contents: String {
        let ours = files == 1 ? "a volume or image" : "\(files) volumes and images"
        guard others > 0 else { return ours }
        let rest = others == 1 ? "a file that is not ours" : "\(others) files that are not ours"
        return files == 0 ? rest : "\(ours) and \(rest)"
    }
}

/// Pools: directories with our mark. What is in them is never removed with them.
public struct PoolKind: ResourceKind {
    public static let name = "pool"

    let places: PoolPlaces
    private let disks: OpenDisks?

    /// Pools of the node whose state is at `places`.
    /// - Parameter disks: the volumes that this process serves; nil in a process that serves none.
    public init(_ places: PoolPlaces, disks: OpenDisks? = nil) {
        self.places = places
        self.disks = disks
    }

    public func observe(_ desired: Desired) async throws -> [String: PoolObservation] {
        var seen: [String: PoolObservation] = [:]
        let listing = try places.listing()
        for (name, path) in listing.found { seen[name] = look(name, path, listing) }
        for (name, path) in listing.lost {
            let fault = try places.stat(path) == nil ? "is not there" : "has no mark of this pool"
            let reason =
                "\(path) \(fault); is its file system mounted? Mount it, or remove \(places.defaultPath(name)), which "
                + "leads there, to begin anew"
            seen[name] = PoolObservation(path: path, state: .lost(reason))
        }
        for (name, spec) in desired.specs(of: Self.self) where seen[name]?.path != spec.path {
            // A pool that was moved in the manifest shows where it is, so that its volumes are not left behind unseen.
            if let old = seen[name], !old.isEmpty || listing.lost[name] != nil { continue }
            seen[name] = look(name, spec.path, listing)
        }
        let conditions = await disks?.conditions() ?? []
        for (name, pool) in seen where pool.state == .ours {
            for (place, condition) in conditions where place.root == pool.path { seen[name]?.space?.note(condition) }
        }
        return seen
    }

    /// A place that cannot be looked at is none for this pool, and no trouble of the others.
    private func look(_ name: String, _ path: FilePath, _ listing: PoolPlaces.Listing) -> PoolObservation? {
        do throws(ImageError) {
            return try inspect(name, path, listing)
        } catch {
            return PoolObservation(path: path, state: .foreign("\(path) \(error)"))
        }
    }

    private func inspect(
        _ name: String, _ path: FilePath, _ listing: PoolPlaces.Listing
    ) throws(ImageError) -> PoolObservation? {
        // What is mounted there later may be the other one.
        let other = listing.lost.first { $0.value == path }
        if let other, !PoolPlaces.isPool(name, at: path) {
            let reason = "\(path) is the place of \(Self.id(other.key)), which is not there; give the pool another one"
            return PoolObservation(path: path, state: .foreign(reason))
        }
        guard let status = try places.stat(path) else { return nil }
        guard status.kind == .directory else {
            return PoolObservation(path: path, state: .foreign("\(path) is not a directory"))
        }
        let files = try files(in: path)
        if let owner = PoolPlaces.owner(of: path) {
            guard owner != Self.id(name).description else {
                let isListed = listing.found[name] == path
                let space = try PoolSpace(of: path, promised: files.promised)
                return PoolObservation(
                    path: path, state: isListed ? .ours : .unlisted, files: files.ours, others: files.others,
                    space: space)
            }
            // By our own list, too: another agent's pool has a mark of the same form.
            let holder = listing.found.first { $0.value == path && Self.id($0.key).description == owner }
            if let holder { return PoolObservation(path: path, state: .held(by: Self.id(holder.key))) }
            return PoolObservation(path: path, state: .foreign("\(path) is \(owner)"))
        }
        guard files.others == 0, files.hidden == 0 else {
            let reason = "\(path) holds files that are not ours; give the pool an empty directory, or a new one"
            return PoolObservation(path: path, state: .foreign(reason))
        }
        return PoolObservation(path: path, state: .unmarked, files: files.ours)
    }

    /// Counts what is in a directory: images and volumes of ours with the bytes that they may still grow by, other
    /// things, and hidden ones, save what a making of ours that was cut short has left.
    private func files(
        in path: FilePath
    ) throws(ImageError) -> (ours: Int, others: Int, hidden: Int, promised: UInt64) {
        var count = (ours: 0, others: 0, hidden: 0, promised: UInt64(0))
        let names = try fileCall(.list) { () throws(Errno) in try File.names(in: path) }
        for name in names where !ImageCreate.isUnfinished(name) && name != PoolPlaces.marker {
            let entry = path.appending(name)
            if name.hasPrefix(".") {
                count.hidden += 1
            } else if name == PoolPlaces.images, try places.stat(entry)?.kind == .directory {
                // Images are never written: they are as large as they will be.
                let inner = try files(in: entry)
                count.ours += inner.ours
                count.others += inner.others
                count.hidden += inner.hidden
            } else if let look = try? PoolFile.look(entry), look.owner != nil {
                count.ours += 1
                count.promised += look.size > look.allocated ? look.size - look.allocated : 0
            } else {
                count.others += 1
            }
        }
        return count
    }

    public func diff(name: String, spec: PoolSpec?, observation: PoolObservation?) -> Change {
        guard let spec else {
            guard let observation else { return .none }
            if case .lost(let reason) = observation.state { return .orphan(reason: reason) }
            guard observation.state == .ours else { return .none }
            guard !observation.isEmpty else { return .delete }
            return .orphan(reason: "\(observation.path) still holds \(observation.contents)")
        }
        let creation = Change.create([FieldChange("path", to: "\(spec.path)")])
        guard let observation else { return creation }
        if case .lost(let reason) = observation.state { return .conflict(reason: reason) }
        guard observation.path == spec.path else {
            return .conflict(
                reason: "the pool is at \(observation.path) with \(observation.contents); pools are not moved: "
                    + "name that path, or give the new pool another name")
        }
        switch observation.state {
        case .ours: return observation.space?.trouble.map(Change.degraded) ?? .none
        case .unmarked: return .update([FieldChange("mark", to: Self.id(name).description)])
        case .held: return creation
        case .unlisted: return .update([FieldChange("link", to: "\(places.defaultPath(name))")])
        case .foreign(let reason), .lost(let reason): return .conflict(reason: reason)
        }
    }

    public func obstacle(_ observation: PoolObservation) -> Obstacle? {
        guard case .held(let holder) = observation.state else { return nil }
        return Obstacle(holder, "\(observation.path) is \(holder), which is not empty; give the pool another directory")
    }

    public func perform(
        _ steps: [Step<PoolSpec, PoolObservation>], desired: Desired
    ) async -> [StepOutcome] {
        steps.map { step in
            do throws(ImageError) {
                switch (step.change, step.spec, step.observation) {
                case (.create, let spec?, _), (.update, let spec?, _): try make(spec)
                case (.delete, _, let seen?): try remove(step.name, seen)
                default: break
                }
                return .done
            } catch {
                return .failed("\(step.spec?.path ?? step.observation?.path ?? ""): \(error)")
            }
        }
    }

    private func make(_ spec: PoolSpec) throws(ImageError) {
        try PoolFile.makeDirectories(places.directory)
        try PoolFile.makeDirectories(spec.path)
        try PoolFile.makeDirectories(spec.path.appending(PoolPlaces.images))
        if !PoolPlaces.isPool(spec.name, at: spec.path) {
            let mark = Array("\(Self.id(spec.name))\n".utf8)
            try ImageCreate.place(spec.path.appending(PoolPlaces.marker)) { file, _ throws(ImageError) in
                try fileCall(.write) { () throws(Errno) in try File.write(file, mark, at: 0) }
            }
        }
        let index = places.defaultPath(spec.name)
        guard index != spec.path else { return }
        try fileCall(.rename) { () throws(Errno) in
            if try File.target(of: index) != nil { try File.remove(index) }
            try File.makeLink(index, to: spec.path)
        }
        try ImageCreate.syncDirectory(places.directory)
    }

    /// Takes an empty pool away: the mark, the directories that we made, the link to them.
    private func remove(_ name: String, _ seen: PoolObservation) throws(ImageError) {
        let index = places.defaultPath(name)
        for directory in [seen.path, seen.path.appending(PoolPlaces.images)] {
            try ImageCreate.removeUnfinished(in: directory)
        }
        try fileCall(.remove) { () throws(Errno) in
            try File.removeDirectory(seen.path.appending(PoolPlaces.images))
            try File.remove(seen.path.appending(PoolPlaces.marker))
            // What is left in it, hidden files of others, keeps the directory, and that is no failure.
            do throws(Errno) { try File.removeDirectory(seen.path) } catch .directoryNotEmpty {}
            if index != seen.path, try File.target(of: index) != nil { try File.remove(index) }
        }
    }
}
