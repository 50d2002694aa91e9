/// Answers that describe the target rather than one unit.
public enum TargetReports {
    /// REPORT LUNS data (SPC-4 section 6.33): the list, cut at the allocation length.
    ///
    /// - Parameter numbers: of the target's units, ascending.
    public static func logicalUnits(
        _ numbers: [UInt16], select: UInt8, allocation: UInt32, into answer: inout [UInt8]
    ) throws(Sense) {
        guard allocation >= 16 else { throw .invalidCommandField(byte: 6) }
        let listed: [UInt16]
        switch select {
        case 0, 2: listed = numbers
        // Well-known units only: there are none.
        case 1: listed = []
        default: throw .invalidCommandField(byte: 2)
        }
        answer.append(uint32: UInt32(listed.count * 8))
        answer.append(zeros: 4)
        for number in listed { answer.append(uint64: LogicalUnitNumber(number: number).raw) }
        answer.truncate(allocation)
    }

    /// REPORT TARGET PORT GROUPS data (SPC-4 section 6.37): one group, one port, always active and optimised.
    static func portGroups(_ profile: LogicalUnitProfile, extended: Bool, into answer: inout [UInt8]) {
        answer.append(zeros: 4)
        // The extended header says how long an implicit transition takes: there is none.
        if extended { answer += [0x10, 0, 0, 0] }
        // State 0, of which AO_SUP says that it is the only one.
        answer += [0x00, 0x01]
        answer.append(uint16: profile.portalGroupTag)
        answer += [0, 0, 0, 1, 0, 0]
        answer.append(uint16: profile.relativeTargetPort)
        answer.patch(uint32: answer.count - 4, at: 0)
    }
}

extension [UInt8] {
    /// Cuts at an allocation length; the lengths inside the data stay as they are (SPC-4 section 4.2.5.6).
    mutating func truncate(_ allocation: UInt32) {
        if count > Int(allocation) { removeLast(count - Int(allocation)) }
    }
}
