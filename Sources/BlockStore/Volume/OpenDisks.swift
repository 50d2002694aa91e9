public import IOLoop
public import Logging
public import Reconcile
import SystemPackage

/// Where a volume's file is.
public struct VolumePlace: Hashable, Sendable {
    /// The volume's name in the manifest.
    public let volume: String
    let pool: String
    let root: FilePath
    let file: String
    let format: VolumeFormat

    var path: FilePath { root.appending(file) }
}

extension VolumeKind {
    /// Where the file of a volume of the manifest is; nil if the manifest has no such volume, or not its pool.
    public static func place(of volume: String, _ desired: Desired) -> VolumePlace? {
        guard let spec = desired.specs(of: Self.self)[volume] else { return nil }
        guard let pool = desired.specs(of: PoolKind.self)[spec.pool] else { return nil }
        return VolumePlace(
            volume: volume, pool: pool.name, root: pool.path, file: PoolFile.name(volume, spec.format),
            format: spec.format)
    }
}

/// The volumes that this process has open, by name: opened for the first who needs one, shared, closed with the last.
public actor OpenDisks {
    private struct Entry {
        let place: VolumePlace
        var opening: Task<Result<OpenDisk, ImageError>, Never>
        var users: Int
    }

    private let loop: StorageLoop
    private let commitDelay: Duration
    private let log: Logger
    private let whenChanged: (@Sendable () -> Void)?
    private var entries: [String: Entry] = [:]
    // Closing takes a while, and nobody can open the file again before it has ended.
    private var closing: [String: Task<Void, Never>] = [:]

    /// - Parameters:
    ///   - loop: where the disks live.
    ///   - commitDelay: the longest time that a changed mapping is in memory alone.
    ///   - logger: is told what goes wrong.
    ///   - whenChanged: called when a disk begins to fail, or finds room again.
    public init(
        on loop: StorageLoop, commitDelay: Duration = .seconds(1), logger: Logger,
        whenChanged: (@Sendable () -> Void)? = nil
    ) {
        self.loop = loop
        self.commitDelay = commitDelay
        log = logger
        self.whenChanged = whenChanged
    }

    /// The open disk of a volume, for one more user; each `acquire` that succeeds is paired with one `release`.
    func acquire(_ place: VolumePlace) async throws(ImageError) -> OpenDisk {
        while let closing = closing[place.volume] { await closing.value }
        let name = place.volume
        let opening: Task<Result<OpenDisk, ImageError>, Never>
        if var entry = entries[name] {
            entry.users += 1
            entries[name] = entry
            opening = entry.opening
        } else {
            let health = DiskHealth(name: VolumeKind.id(name).description, log: log, whenChanged: whenChanged)
            opening = Task { [loop, commitDelay] in await OpenDisks.open(place, loop, commitDelay, health) }
            entries[name] = Entry(place: place, opening: opening, users: 1)
        }
        switch await opening.value {
        case .success(let disk): return disk
        case .failure(let error):
            leave(name)
            throw error
        }
    }

    /// Opens the disk; if its file is locked, tries again for a while: the ring of a process that has just ended keeps
    /// its files, and with them their locks, for a moment longer.
    private static func open(
        _ place: VolumePlace, _ loop: StorageLoop, _ commitDelay: Duration, _ health: DiskHealth
    ) async -> Result<OpenDisk, ImageError> {
        // Where the pool's file system is not mounted, whatever lies beneath is not the volume.
        guard PoolPlaces.isPool(place.pool, at: place.root) else { return .failure(.noPool) }
        let patience = ContinuousClock.now + .seconds(5)
        while true {
            do throws(ImageError) {
                return .success(
                    try await OpenDisk.open(
                        root: place.root, name: place.file, format: place.format, on: loop, commitDelay: commitDelay,
                        health: health))
            } catch {
                guard error == .locked, ContinuousClock.now < patience else { return .failure(error) }
            }
            do {
                try await Task.sleep(for: .milliseconds(100))
            } catch {
                return .failure(.locked)
            }
        }
    }

    /// One user less; returns true for the last, whose duty the closing is.
    @discardableResult
    private func leave(_ name: String) -> Bool {
        guard var entry = entries[name] else { return false }
        entry.users -= 1
        entries[name] = entry.users == 0 ? nil : entry
        return entry.users == 0
    }

    /// One user less. The last one closes the disk, and hears whether everything is in the file.
    func release(_ volume: String) async throws(ImageError) {
        guard let opening = entries[volume]?.opening, leave(volume) else { return }
        guard case .success(let disk) = await opening.value else { return }
        let ending = Task { () -> ImageError? in
            do throws(ImageError) {
                try await disk.close()
                return nil
            } catch {
                return error
            }
        }
        closing[volume] = Task { _ = await ending.value }
        let error = await ending.value
        closing[volume] = nil
        if let error { throw error }
    }

    /// How the open volumes stand.
    func conditions() async -> [(place: VolumePlace, condition: DiskCondition)] {
        var open: [(place: VolumePlace, disk: OpenDisk)] = []
        for entry in entries.values {
            if case .success(let disk) = await entry.opening.value { open.append((entry.place, disk)) }
        }
        return await loop.run { [open] loop in
            open.map { ($0.place, $0.disk.disk(on: loop).health.condition(at: loop.now)) }
        }
    }

    /// Makes a volume larger that is open here; false if it is not.
    func grow(_ volume: String, to size: UInt64) async throws(ImageError) -> Bool {
        guard let opening = entries[volume]?.opening else { return false }
        guard case .success(let disk) = await opening.value else { return false }
        try await disk.grow(to: size)
        return true
    }
}
