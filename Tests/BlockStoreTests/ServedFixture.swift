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

    /// `iscsi://127.0.0.1:PORT/NAME/LUN`
    func url(lun: Int = 0, credentials: String = "") -> String {
        "iscsi://\(credentials)127.0.0.1:\(port)/\(Self.target)/\(lun)"
    }
}

/// Starts a server with `disks` of the given sizes, runs `body`, and stops it in any case.
func withServer(
    disks: [UInt64] = [64 << 20], access: TargetAccess = TargetAccess(), limits: ServeLimits = ServeLimits(),
    configuration: LoopConfiguration = LoopConfiguration(),
    _ body: (ServedFixture) async throws -> Void
) async throws {
    let scratch = try Scratch(in: "/dev/shm")
    defer { withExtendedLifetime(scratch) {} }
    let directory = scratch.path
    let loop = try StorageLoop(configuration)
    do {
        let log = Logger(label: "test")
        let (registry, port) = try await loop.run { loop in
            let registry = TargetRegistry(on: loop, log: log, limits: limits)
            guard let address = SocketAddress(host: "127.0.0.1", port: 0) else { throw Errno.invalidArgument }
            let portal = try Portal(on: loop, registry, address: address)
            registry.portals[address] = portal
            let target = ServedTarget(name: ServedFixture.target, access: access, portals: [address])
            for (number, bytes) in disks.enumerated() {
                let file = try File.open(directory.appending("disk\(number)"), .createNew(permissions: 0o600))
                try File.truncate(file, to: bytes)
                let disk = try RawDisk(
                    on: loop, file, path: directory.appending("disk\(number)"), isReadOnly: false,
                    health: DiskHealth(name: "volume/disk\(number)", log: log))
                let profile = LogicalUnitProfile(
                    geometry: LogicalUnitGeometry(bytes: bytes), provisioning: .thin, serial: "test\(number)",
                    naa: UInt64(number), targetName: target.name, portalGroupTag: 1)
                target.units[UInt16(number)] = LogicalUnit(number: UInt16(number), disk: disk, profile: profile)
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
