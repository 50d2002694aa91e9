internal import Crypto
internal import IOLoop
internal import ISCSI
internal import SystemPackage

/// A logical unit: the disk behind it and the device server in front. Owned by its target; every session of the target
/// uses it.
final class LogicalUnit {
    let number: UInt16
    /// The volume's name.
    let volume: String
    let disk: Disk
    var server: DeviceServer
    /// Being taken away: no new task begins on it.
    var isLeaving = false
    /// Tasks of all sessions on it.
    var taskCount = 0
    var gate = WriteGate()
    /// Commands that the disk has failed, for the log.
    var failures = LogThrottle(seconds: 1)
    /// Called when it is leaving and its last task has ended.
    var whenIdle: (() -> Void)?

    init(number: UInt16, volume: String, disk: Disk, profile: LogicalUnitProfile) {
        self.number = number
        self.volume = volume
        self.disk = disk
        server = DeviceServer(profile: profile)
    }

    /// The unit of a volume. Its identity follows from the names, so that it is the same after every start.
    convenience init(number: UInt16, _ disk: Disk, volume: String, _ isReadOnly: Bool, of target: ServedTarget) {
        var profile = LogicalUnitProfile(
            geometry: LogicalUnitGeometry(bytes: disk.length), provisioning: .thin,
            readOnly: isReadOnly || disk.isReadOnly, serial: "", naa: 0, targetName: target.name,
            portalGroupTag: ServedTarget.portalGroupTag)
        profile.naa = Self.identity(of: volume, in: target.name)
        let digits = String(profile.naa, radix: 16)
        profile.serial = String(repeating: "0", count: 15 - digits.count) + digits
        let blocks = disk.granularity / Int(profile.geometry.blockBytes)
        profile.unmapGranularityBlocks = UInt32(clamping: max(1, blocks))
        self.init(number: number, volume: volume, disk: disk, profile: profile)
        disk.whenGrown.append { [weak self] bytes in self?.server.resize(bytes: bytes) }
    }

    /// What tells the unit of a volume from others: 60 bits that follow from the names of both.
    static func identity(of volume: String, in target: String) -> UInt64 {
        let hash = SHA256.hash(data: Array("\(target)\0\(volume)".utf8))
        return hash.prefix(8).reduce(0) { $0 << 8 | UInt64($1) } & 0xfff_ffff_ffff_ffff
    }

    /// Which disk it is, to initiators.
    var identity: UInt64 { server.profile.naa }

    /// A task on it has ended.
    func taskEnded() {
        taskCount -= 1
        if isLeaving { checkIdle() }
    }

    func checkIdle() {
        if taskCount == 0 { whenIdle?() }
    }

    var geometry: LogicalUnitGeometry { server.profile.geometry }

    /// The sense that tells an initiator of a disk's failure.
    static func sense(_ error: Errno, writing: Bool) -> Sense {
        switch error {
        case .noSpace, .diskQuotaExceeded:
            Sense(.dataProtect, .spaceAllocationFailed)
        case .readOnlyFileSystem, .permissionDenied:
            .writeProtected
        // Nothing is wrong with the disk: the initiator tries again.
        case .noMemory, .resourceTemporarilyUnavailable, .interrupted, .canceled:
            Sense(.abortedCommand, .noAdditionalSense)
        default:
            Sense(.mediumError, writing ? .writeError : .unrecoveredReadError)
        }
    }
}
