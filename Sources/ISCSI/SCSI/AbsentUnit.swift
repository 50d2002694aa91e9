/// What answers at an address behind which the target has no unit (SPC-4 section 5.11).
public enum AbsentUnit {
    /// INQUIRY says "no unit here", REQUEST SENSE hands out the reason as data, REPORT LUNS tells where units are;
    /// everything else fails with "logical unit not supported".
    public static func begin(_ command: SCSICommand, answer: inout [UInt8]) -> Dispatch {
        answer.removeAll(keepingCapacity: true)
        let block = command.block
        switch block.opcode {
        case 0x12:
            // No page exists for a unit that does not.
            guard block[1] & 0x01 == 0, block[2] == 0 else { return .failed(.invalidCommandField(byte: 1, bit: 0)) }
            Inquiry.appendAbsent(to: &answer)
            answer.truncate(UInt32(block.uint16(3)))
            return .good
        case 0x03:
            answer += Sense.unsupportedUnit.bytes(descriptorFormat: block[1] & 0x01 != 0)
            answer.truncate(UInt32(block[4]))
            return .good
        case 0xa0:
            return .reportLUNs(select: block[2], allocation: block.uint32(6))
        default:
            return .failed(.unsupportedUnit)
        }
    }
}
