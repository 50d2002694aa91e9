import Glibc
import IOLoop
import ISCSI
import Logging
import Syscall
import SystemPackage

@testable import BlockStore

/// A server on 127.0.0.1 with one target of raw disks, on a loop of its own; for one test.
struct ServedFixture {
    static let target = "iqn.2026-11.org.example:test"

    let loop: StorageLoop
    let registry: Confined<TargetRegistry>
    let port: UInt16
    let directory: FilePath

    /// Runs `body` with the registry, on the loop.
    func onLoop<Value: Sendable>(_ body: @Sendable (TargetRegistry) throws -> Value) async rethrows -> Value {
        try await loop.run { loop in try body(registry.open(on: loop)) }
    }

    /// Has the kernel take little at a time from the target: sends last until they are fetched.
    func shrinkSendBuffers(to bytes: CInt) async {
        await onLoop { registry in
            var bytes = bytes
            for connection in registry.connections.values {
                let length = socklen_t(MemoryLayout<CInt>.size)
                setsockopt(connection.socket.raw, SOL_SOCKET, SO_SNDBUF, &bytes, length)
            }
        }
    }

    /// The held disk of LUN 0: how many requests it has; with `answer`, answers them.
    @discardableResult
    func heldRequests(answer: Bool = false, error: Errno? = nil) async -> Int {
        await onLoop { registry in
            guard let disk = registry.targets[Self.target]?.units[0]?.disk as? HeldDisk else { return 0 }
            let count = disk.count
            if answer { disk.answer(error) }
            return count
        }
    }

    /// `iscsi://127.0.0.1:PORT/NAME/LUN`
    func url(lun: Int = 0, credentials: String = "") -> String {
        "iscsi://\(credentials)127.0.0.1:\(port)/\(Self.target)/\(lun)"
    }
}

extension ServeLimits {
    /// For tests of something else: hundreds of them at once on two processors can be held up for longer than a peer
    /// may be.
    static var patient: ServeLimits {
        var limits = ServeLimits()
        limits.loginDeadline = .seconds(300)
        limits.drain = .seconds(60)
        limits.deafness = .seconds(300)
        limits.stall = .seconds(300)
        return limits
    }
}

/// A disk of zeros that answers only when it is told to: for what happens while a disk is at work. Made and used on the
/// loop.
final class HeldDisk: Disk {
    private var held: [(request: DiskRequest, client: DiskClient)] = []

    var count: Int { held.count }

    init(on loop: Loop, length: UInt64, health: DiskHealth) {
        super.init(on: loop, length: length, isReadOnly: false, granularity: 4096, health: health)
    }

    override func submit(_ request: DiskRequest, for client: DiskClient) {
        held.append((request, client))
    }

    /// Answers everything that has come so far.
    func answer(_ error: Errno? = nil) {
        let waiting = held
        held = []
        for (request, client) in waiting { client.diskCompleted(tag: request.tag, error: error) }
    }
}

/// Starts a server with `disks` of the given sizes, runs `body`, and stops it in any case.
/// - Parameter isHeld: the disks answer only when they are told to.
func withServer(
    disks: [UInt64] = [64 << 20], access: TargetAccess = TargetAccess(), limits: ServeLimits = .patient,
    configuration: LoopConfiguration = LoopConfiguration(), isHeld: Bool = false,
    log: Logger = Logger(label: "test"),
    _ body: (ServedFixture) async throws -> Void
) async throws {
    let scratch = try Scratch(in: "/dev/shm")
    defer { withExtendedLifetime(scratch) {} }
    let directory = scratch.path
    let loop = try StorageLoop(configuration)
    do {
        let (registry, port) = try await loop.run { loop in
            let registry = TargetRegistry(on: loop, log: log, limits: limits)
            guard let address = SocketAddress(host: "127.0.0.1", port: 0) else { throw Errno.invalidArgument }
            let portal = try Portal(on: loop, registry, address: address)
            registry.portals[address] = portal
            let target = ServedTarget(name: ServedFixture.target, access: access, portals: [address])
            for (number, bytes) in disks.enumerated() {
                let file = try File.open(directory.appending("disk\(number)"), .createNew(permissions: 0o600))
                try File.truncate(file, to: bytes)
                let health = DiskHealth(name: "volume/disk\(number)", log: log)
                let disk: Disk =
                    isHeld
                    ? HeldDisk(on: loop, length: bytes, health: health)
                    : try RawDisk(
                        on: loop, file, path: directory.appending("disk\(number)"), isReadOnly: false, health: health)
                let profile = LogicalUnitProfile(
                    geometry: LogicalUnitGeometry(bytes: bytes), provisioning: .thin, serial: "test\(number)",
                    naa: UInt64(number), targetName: target.name, portalGroupTag: 1)
                target.units[UInt16(number)] = LogicalUnit(
                    number: UInt16(number), volume: "volume\(number)", disk: disk, profile: profile)
            }
            registry.targets[target.name] = target
            return (Confined(registry, to: loop), portal.bound.port)
        }
        try await body(ServedFixture(loop: loop, registry: registry, port: port, directory: directory))
    } catch {
        await loop.stop()
        throw error
    }
    await loop.stop()
}
