/// The vital product data pages of a unit (SPC-4 section 7.8, SBC-3 section 6.6).
enum VitalProductPage: UInt8, CaseIterable {
    // In ascending order, as page 00h lists them.
    case supportedPages = 0x00
    case unitSerialNumber = 0x80
    case deviceIdentification = 0x83
    case extendedInquiry = 0x86
    case blockLimits = 0xb0
    case blockCharacteristics = 0xb1
    case logicalBlockProvisioning = 0xb2

    func append(_ profile: LogicalUnitProfile, to answer: inout [UInt8]) {
        answer += [0x00, rawValue, 0x00, 0x00]
        let start = answer.count
        switch self {
        case .supportedPages: answer += Self.allCases.map(\.rawValue)
        case .unitSerialNumber: answer += profile.serial.utf8.prefix(252)
        case .deviceIdentification: DeviceIdentification.append(profile, to: &answer)
        case .extendedInquiry: Self.appendExtended(to: &answer)
        case .blockLimits: Self.appendLimits(profile, to: &answer)
        case .blockCharacteristics:
            // Medium rotation rate 1: it does not rotate.
            answer.append(uint16: 1)
            answer.append(zeros: 58)
        case .logicalBlockProvisioning: Self.appendProvisioning(profile, to: &answer)
        }
        answer.patch(uint16: answer.count - start, at: start - 2)
    }

    private static func appendExtended(to answer: inout [UInt8]) {
        // No protection; tasks are simple (SIMPSUP); the cache is volatile (V_SUP).
        answer += [0x00, 0x01, 0x01]
        answer.append(zeros: 57)
    }

    private static func appendLimits(_ profile: LogicalUnitProfile, to answer: inout [UInt8]) {
        let thin = profile.provisioning == .thin
        // WSNZ: WRITE SAME of zero blocks does not mean "to the end".
        answer += [0x01, profile.maxCompareBlocks]
        answer.append(uint16: profile.geometry.granularityBlocks)
        answer.append(uint32: profile.maxTransferBlocks)
        answer.append(uint32: profile.optimalTransferBlocks)
        // Maximum prefetch length: no limit is told.
        answer.append(uint32: 0)
        answer.append(uint32: thin ? profile.maxUnmapBlocks : 0)
        answer.append(uint32: thin ? profile.maxUnmapDescriptors : 0)
        answer.append(uint32: thin ? profile.unmapGranularityBlocks : 0)
        // UGAVALID with alignment 0: clusters begin at block 0.
        answer.append(uint32: thin ? 0x8000_0000 : 0)
        answer.append(uint64: UInt64(profile.maxSameBlocks))
        // No atomic writes.
        answer.append(zeros: 20)
    }

    private static func appendProvisioning(_ profile: LogicalUnitProfile, to answer: inout [UInt8]) {
        let thin = profile.provisioning == .thin
        // LBPU, LBPWS, LBPWS10, LBPRZ 001b: what was given back reads as zeros. Type 2: thin.
        answer += [0x00, thin ? 0b1110_0100 : 0, thin ? 0x02 : 0x00, 0x00]
    }
}

/// Page 83h: the names by which the unit, its port and its target are known (SPC-4 section 7.8.6).
private enum DeviceIdentification {
    private enum CodeSet: UInt8 {
        case binary = 1
        case ascii = 2
        case utf8 = 3
    }

    private enum Association: UInt8 {
        case unit = 0
        case port = 1
        case target = 2
    }

    private static let iSCSI: UInt8 = 5

    static func append(_ profile: LogicalUnitProfile, to answer: inout [UInt8]) {
        var naa: [UInt8] = []
        // NAA 3h, locally assigned: 60 bits that whoever runs the target chooses.
        naa.append(uint64: 3 << 60 | profile.naa & 0x0fff_ffff_ffff_ffff)
        designator(.binary, .unit, type: 3, naa, &answer)

        var t10: [UInt8] = []
        t10.append(ascii: profile.vendor, width: 8)
        t10 += profile.serial.utf8.prefix(200)
        designator(.ascii, .unit, type: 1, t10, &answer)

        var port: [UInt8] = [0, 0]
        port.append(uint16: profile.relativeTargetPort)
        designator(.binary, .port, type: 4, port, &answer)

        var group: [UInt8] = [0, 0]
        group.append(uint16: profile.portalGroupTag)
        designator(.binary, .port, type: 5, group, &answer)

        let digits = String(profile.portalGroupTag, radix: 16)
        let tag = "0x" + String(repeating: "0", count: 4 - digits.count) + digits
        designator(.utf8, .port, type: 8, name(profile.targetName + ",t," + tag), &answer)
        designator(.utf8, .target, type: 8, name(profile.targetName), &answer)
    }

    /// A SCSI name string ends with a NUL and is padded to four bytes.
    private static func name(_ text: String) -> [UInt8] {
        var bytes = text.utf8.prefix(ISCSIName.maxBytes + 9) + [0]
        bytes.append(contentsOf: repeatElement(0, count: -bytes.count & 3))
        return Array(bytes)
    }

    private static func designator(
        _ set: CodeSet, _ association: Association, type: UInt8, _ bytes: [UInt8], _ answer: inout [UInt8]
    ) {
        // The protocol counts only for ports and targets (PIV).
        let ofProtocol = association != .unit
        answer.append((ofProtocol ? iSCSI << 4 : 0) | set.rawValue)
        answer.append((ofProtocol ? 0x80 : 0) | association.rawValue << 4 | type)
        answer += [0, UInt8(truncatingIfNeeded: bytes.count)]
        answer += bytes
    }
}
