/// Standard INQUIRY data (SPC-4 section 6.4.2).
enum Inquiry {
    /// Bytes of the whole answer.
    private static let length = 96

    // What we follow: SAM-5, SPC-4, SBC-3, iSCSI (SPC-4 annex D, no version claimed).
    private static let versionDescriptors: [UInt16] = [0x00a0, 0x0460, 0x04c0, 0x0960]

    static func append(_ profile: LogicalUnitProfile, to answer: inout [UInt8]) {
        // Direct access block device, connected.
        answer.append(0x00)
        answer.append(profile.removable ? 0x80 : 0)
        // Version: SPC-4. Response data format 2, LUNs hierarchical (HISUP).
        answer += [0x06, 0x12, UInt8(length - 5)]
        // TPGS 01b: implicit asymmetric access, reported by REPORT TARGET PORT GROUPS. No 3PC, no PROTECT.
        answer += [0x10, 0x00]
        // CMDQUE: commands are queued.
        answer.append(0x02)
        answer.append(ascii: profile.vendor, width: 8)
        answer.append(ascii: profile.product, width: 16)
        answer.append(ascii: profile.revision, width: 4)
        answer.append(zeros: 22)
        for version in versionDescriptors { answer.append(uint16: version) }
        answer.append(zeros: length - answer.count)
    }

    /// The answer for an address behind which no unit is: qualifier 011b, type 1Fh (SPC-4 table 174).
    static func appendAbsent(to answer: inout [UInt8]) {
        answer += [0x7f, 0x00, 0x06, 0x12, UInt8(length - 5)]
        answer.append(zeros: length - answer.count)
    }
}
