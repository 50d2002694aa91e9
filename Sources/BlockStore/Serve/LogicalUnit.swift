internal import IOLoop
internal import ISCSI
internal import SystemPackage

/// A logical unit: the disk behind it and the device server in front. Owned by its target; every session of the target
/// uses it.
final class LogicalUnit {
    let number: UInt16
    let disk: Disk
    var server: DeviceServer
    /// Being taken away: no new task begins on it.
    var isLeaving = false
    /// Tasks of all sessions on it.
    var taskCount = 0
    var gate = WriteGate()

    init(number: UInt16, disk: Disk, profile: LogicalUnitProfile) {
        self.number = number
        self.disk = disk
        server = DeviceServer(profile: profile)
    }

    var geometry: LogicalUnitGeometry { server.profile.geometry }

    /// The sense that tells an initiator of a disk's failure.
    static func sense(_ error: Errno, writing: Bool) -> Sense {
        switch error {
        case .noSpace, .diskQuotaExceeded:
            Sense(.dataProtect, .spaceAllocationFailed)
        case .readOnlyFileSystem, .permissionDenied:
            .writeProtected
        case .noMemory, .resourceTemporarilyUnavailable:
            Sense(.abortedCommand, .noAdditionalSense)
        default:
            Sense(.mediumError, writing ? .writeError : .unrecoveredReadError)
        }
    }
}
