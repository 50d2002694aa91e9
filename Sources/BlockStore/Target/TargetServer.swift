public import IOLoop
internal import ISCSI
public import Logging
public import Reconcile
internal import Syscall
internal import SystemPackage

/// The targets that this process serves: control code's way to change them while initiators are at work. Started by the
/// daemon, stopped by it.
///
/// A change touches only the sessions that it concerns. The changes themselves come one at a time: their caller sees to
/// that, as the daemon's agent does.
public actor TargetServer {
    private let loop: StorageLoop
    private let disks: OpenDisks
    private let log: Logger
    private let registry: Confined<TargetRegistry>
    private var served: [String: TargetSpec] = [:]
    private var isStopped = false
    private let drainLimit: Duration

    /// Serves nothing yet.
    /// - Parameters:
    ///   - loop: where connections, units and disks live; it is stopped after the server.
    ///   - disks: the volumes of this process, on the same loop.
    public init(on loop: StorageLoop, disks: OpenDisks, logger: Logger) async {
        await self.init(on: loop, disks: disks, logger: logger, limits: ServeLimits())
    }

    init(on loop: StorageLoop, disks: OpenDisks, logger: Logger, limits: ServeLimits) async {
        self.loop = loop
        self.disks = disks
        log = logger
        drainLimit = limits.drain
        registry = await loop.run { loop in
            Confined(TargetRegistry(on: loop, log: logger, limits: limits), to: loop)
        }
    }

    /// What is served, by target.
    public func observe() async -> [String: TargetObservation] {
        let registry = registry
        let live = await loop.run { loop in
            let registry = registry.open(on: loop)
            return registry.targets.mapValues { target in
                (target.access, registry.sessions(of: target).map(\.parameters.initiatorName))
            }
        }
        return served.mapValues { spec in
            let (access, initiators) = live[spec.name] ?? (TargetAccess(), [])
            let current = try? Self.access(spec)
            return TargetObservation(
                portals: spec.portals, units: spec.units, access: spec.access,
                secretsAreCurrent: current.map { $0.credentials == access.credentials && $0.mutual == access.mutual }
                    ?? false,
                initiators: initiators)
        }
    }

    /// Names of all targets that are to be served here: a login to one that is not up yet is put off, not refused.
    func expect(_ names: Set<String>) async {
        await loop.run { [registry] loop in registry.open(on: loop).expected = names }
    }

    /// Takes note of what an earlier run has served, so that initiators which come back find no other disk behind a
    /// number that they know.
    public func remember(_ desired: Desired) async {
        let targets = desired.specs(of: TargetKind.self)
        await loop.run { [registry] loop in
            let registry = registry.open(on: loop)
            for (name, spec) in targets {
                for (number, unit) in spec.units {
                    registry.history.leads(
                        number, of: name, to: LogicalUnit.identity(of: unit.volume, in: name))
                }
            }
        }
    }

    /// Serves a target as `spec` says, whatever was served under its name before.
    /// - Parameter places: where its volumes are.
    /// - Returns: what could not be done, in words; the rest has been done.
    func serve(_ spec: TargetSpec, _ places: [String: VolumePlace]) async -> [String] {
        guard !isStopped else { return ["the server has been stopped"] }
        let access: TargetAccess
        do throws(SecretFault) {
            access = try Self.access(spec)
        } catch {
            // What is served stays as it is: a target must not open its door for want of a secret.
            return ["\(error)"]
        }
        var problems: [String] = []
        let before = served[spec.name]
        var units = before?.units ?? [:]
        for (number, unit) in units.sorted(by: { $0.key < $1.key }) {
            if spec.units[number]?.volume == unit.volume {
                units[number] = spec.units[number]
            } else {
                problems += await detach(number, of: spec.name, unit.volume)
                units[number] = nil
            }
        }
        // New rules are in force at once. A new target shows itself with all its units, and its portals open last: an
        // initiator that is too early comes back, but one that finds no target or no unit gives up.
        if before != nil { await announce(spec, access, [:]) }
        var opened: [UInt16: OpenDisk] = [:]
        for (number, unit) in spec.units.sorted(by: { $0.key < $1.key }) where units[number] == nil {
            guard let place = places[unit.volume] else {
                problems.append("LUN \(number): the manifest has no volume '\(unit.volume)'")
                continue
            }
            do throws(ImageError) {
                opened[number] = try await disks.acquire(place)
                units[number] = unit
            } catch {
                let volume = "the volume '\(unit.volume)' (\(place.path))"
                problems.append("LUN \(number): \(volume) cannot be opened: it \(error)")
            }
        }
        guard !isStopped else { return await giveBack(opened.keys.compactMap { units[$0]?.volume }) }
        // A new target without any of its units waits: an initiator that is kept out comes back.
        if before == nil, units.isEmpty, !spec.units.isEmpty { return problems }
        await announce(spec, access, opened)
        problems += await open(spec.portals)
        let listening = await loop.run { [registry] loop in
            let registry = registry.open(on: loop)
            return spec.portals.filter { registry.portals[$0] != nil }
        }
        served[spec.name] = TargetSpec(name: spec.name, portals: listening, units: units, access: spec.access)
        await closeUnusedPortals()
        return problems
    }

    /// Serves a target no longer: its sessions end, its disks are closed.
    /// - Returns: what went wrong on the way, in words.
    func remove(_ name: String) async -> [String] {
        guard let spec = served.removeValue(forKey: name) else { return [] }
        await end(name)
        var problems: [String] = []
        for (number, unit) in spec.units.sorted(by: { $0.key < $1.key }) {
            problems += await detach(number, of: name, unit.volume)
        }
        await loop.run { [registry] loop in registry.open(on: loop).targets[name] = nil }
        await closeUnusedPortals()
        return problems
    }

    /// Ends everything: no new connections, tasks end, disks are flushed and closed.
    public func stop() async {
        guard !isStopped else { return }
        isStopped = true
        await loop.run { [registry] loop in
            for portal in registry.open(on: loop).portals.values { portal.close() }
        }
        for name in served.keys.sorted() {
            for problem in await remove(name) { log.error("\(name): \(problem)") }
        }
        // Discovery sessions and logins that have not come to an end.
        await loop.run { [registry] loop in registry.open(on: loop).closeConnections { _ in true } }
    }

    // MARK: Steps

    /// The rules of access with their secrets.
    private static func access(_ spec: TargetSpec) throws(SecretFault) -> TargetAccess {
        var access = TargetAccess(initiators: spec.access.initiators)
        if let chap = spec.access.chap { access.credentials = [try SecretFile.read(user: chap.user, path: chap.file)] }
        if let mutual = spec.access.mutual { access.mutual = try SecretFile.read(user: mutual.user, path: mutual.file) }
        return access
    }

    private func open(_ portals: [SocketAddress]) async -> [String] {
        await loop.run { [registry] loop in
            let registry = registry.open(on: loop)
            var problems: [String] = []
            for address in portals where registry.portals[address] == nil {
                do throws(Errno) {
                    registry.portals[address] = try Portal(on: loop, registry, address: address)
                } catch {
                    problems.append("portal \(address): cannot listen: \(error)")
                }
            }
            return problems
        }
    }

    private func closeUnusedPortals() async {
        let used = Set(served.values.flatMap(\.portals))
        await loop.run { [registry] loop in
            let registry = registry.open(on: loop)
            for (address, portal) in registry.portals where !used.contains(address) {
                portal.close()
                registry.portals[address] = nil
            }
        }
    }

    /// Makes the target known with its units, or gives the known one its new rules and further units.
    private func announce(_ spec: TargetSpec, _ access: TargetAccess, _ opened: [UInt16: OpenDisk]) async {
        await loop.run { [registry] loop in
            let registry = registry.open(on: loop)
            let target =
                registry.targets[spec.name]
                ?? ServedTarget(name: spec.name, access: access, portals: spec.portals)
            target.access = access
            target.portals = spec.portals
            registry.targets[spec.name] = target
            // Whoever may no longer come has to go.
            for session in registry.sessions(of: target) where !target.admits(session.parameters.initiatorName) {
                session.connection.fail("\(session.parameters.initiatorName) is no longer admitted")
            }
            for (number, unit) in spec.units { registry.setReadOnly(number, of: target, unit.isReadOnly) }
            for (number, disk) in opened.sorted(by: { $0.key < $1.key }) {
                guard let unit = spec.units[number] else { continue }
                registry.attach(
                    LogicalUnit(number: number, disk.disk(on: loop), volume: unit.volume, unit.isReadOnly, of: target),
                    to: target)
            }
        }
    }

    /// The server was stopped while volumes were being opened for a target.
    private func giveBack(_ volumes: [String]) async -> [String] {
        var problems = ["the server has been stopped"]
        for volume in volumes {
            do throws(ImageError) {
                try await disks.release(volume)
            } catch {
                problems.append("the volume '\(volume)' did not close: \(error)")
            }
        }
        return problems
    }

    private func detach(_ number: UInt16, of name: String, _ volume: String) async -> [String] {
        let unit = await loop.run { [registry] loop in
            registry.open(on: loop).detach(number, of: name).map { Confined($0, to: loop) }
        }
        var problems: [String] = []
        if let unit, await !settles(unit) {
            log.warning(
                "\(name): LUN \(number) (\(volume)): tasks did not end in \(drainLimit); their connections are cut")
            await loop.run { [registry] loop in registry.open(on: loop).cutConnections(on: unit.open(on: loop)) }
            if await !settles(unit) {
                let what = "LUN \(number): tasks on the volume '\(volume)' do not end"
                // A disk that is at work for them cannot be closed under them.
                let isAtWork = await loop.run { [registry] loop in
                    registry.open(on: loop).isAtWork(unit.open(on: loop))
                }
                guard !isAtWork else { return [what + ": its disk does not answer, and it stays open"] }
                problems.append(what)
            }
        }
        do throws(ImageError) {
            try await disks.release(volume)
        } catch {
            problems.append("LUN \(number): the volume '\(volume)' did not close: \(error)")
        }
        return problems
    }

    /// Waits for the end of the unit's tasks, within the bound. False if some are left.
    private func settles(_ unit: Confined<LogicalUnit>) async -> Bool {
        await within(drainLimit) { loop in unit.open(on: loop).taskCount == 0 }
    }

    /// Looks again and again whether something has come about, for so long.
    private func within(_ limit: Duration, _ isTrue: @Sendable (Loop) -> Bool) async -> Bool {
        let clock = ContinuousClock()
        let deadline = clock.now + limit
        while true {
            if await loop.run({ loop in isTrue(loop) }) { return true }
            guard clock.now < deadline else { return false }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Lets the target's tasks end for a while, and then closes its connections.
    private func end(_ name: String) async {
        let registry = registry
        await loop.run { loop in
            let registry = registry.open(on: loop)
            guard let target = registry.targets[name] else { return }
            target.isLeaving = true
            for session in registry.sessions(of: target) { session.connection.drain() }
        }
        let hasEnded = await within(drainLimit) { loop in
            let registry = registry.open(on: loop)
            return registry.targets[name].map { registry.sessions(of: $0).isEmpty } ?? true
        }
        guard !hasEnded else { return }
        log.warning("\(name): tasks did not end in \(drainLimit); their connections are cut")
        await loop.run { loop in
            registry.open(on: loop).closeConnections { $0.session?.target?.name == name }
        }
    }
}
