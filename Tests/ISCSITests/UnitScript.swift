import Testing

@testable import ISCSI

/// A logical unit with initiators, for tests: sends command blocks, keeps what comes back.
struct UnitScript {
    var server: DeviceServer
    var answer: [UInt8] = []

    static func profile(
        blocks: UInt64 = 2048, thin: Bool = true, removable: Bool = false, readOnly: Bool = false
    ) -> LogicalUnitProfile {
        LogicalUnitProfile(
            geometry: LogicalUnitGeometry(bytes: blocks * 512), provisioning: thin ? .thin : .full, readOnly: readOnly,
            removable: removable, serial: "vm1-root", naa: 0x123_4567_89ab_cdef,
            targetName: "iqn.2026-11.org.example:vm1", portalGroupTag: 1)
    }

    /// - Parameter nexuses: how many initiators are attached, numbered from 0; their first attention is taken.
    init(_ profile: LogicalUnitProfile = UnitScript.profile(), nexuses: Int = 1) {
        server = DeviceServer(profile: profile)
        for index in 0..<nexuses {
            let port = InitiatorPort(name: "iqn.x:\(index)", isid: InitiatorSessionID(raw: UInt64(index)))
            let nexus = server.attach(port)
            _ = server.begin(scsi("00"), nexus: nexus, answer: &answer)
        }
    }

    /// Sends a command without Data-Out, or with as much as the initiator says it has.
    mutating func send(_ block: String, from nexus: Int = 0, expected: UInt32 = 0) -> Dispatch {
        server.begin(scsi(block, expected: expected), nexus: nexus, answer: &answer)
    }

    /// Sends a command with its parameter list.
    mutating func send(_ block: String, parameters: [UInt8], from nexus: Int = 0) -> Dispatch {
        let first = send(block, from: nexus, expected: UInt32(parameters.count))
        guard case .parameters(let command) = first else { return first }
        let wanted = Int(command.dataOutBytes(server.profile.geometry))
        return Array(parameters.prefix(wanted)).withUnsafeBytes {
            server.finish(command, parameters: $0, nexus: nexus)
        }
    }
}

/// A SCSI command with that block; `expected` bytes to be written.
func scsi(_ block: String, expected: UInt32 = 0) -> SCSICommand {
    let cdb = hex(block)
    var bytes = [UInt8](repeating: 0, count: 48)
    bytes[0] = 0x01
    bytes[1] = expected > 0 ? 0xa1 : 0x81
    bytes.patch(uint32: Int(expected), at: 20)
    bytes.replaceSubrange(32..<32 + cdb.count, with: cdb)
    return decoded(bytes, SCSICommand.init)
}

func decode(_ block: String, _ profile: LogicalUnitProfile = UnitScript.profile()) throws(Sense) -> Command {
    try Command.decode(decoded(hex(block), CommandBlock.init), profile)
}

extension Dispatch {
    var sense: Sense? {
        if case .failed(let sense) = self { sense } else { nil }
    }
}
