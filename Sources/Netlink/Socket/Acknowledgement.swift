internal import CNetlink
internal import SystemPackage

/// The kernel's answer NLMSG_ERROR: an acknowledgement, or a refusal with its own words (extended ACK, Linux 4.12).
struct Acknowledgement {
    /// Why the message was refused; nil for an acknowledgement.
    let cause: NetlinkError.Cause?

    init?(_ message: Message) {
        guard let answer = message.header(as: nlmsgerr.self) else { return nil }
        guard answer.error != 0 else {
            cause = nil
            return
        }
        guard answer.error < 0, answer.error > -4096 else { return nil }
        var words: String?
        var offset: Int?
        for attribute in Self.attributes(of: message, answer) {
            switch attribute.type {
            case Int(NLMSGERR_ATTR_MSG.rawValue): words = attribute.text
            case Int(NLMSGERR_ATTR_OFFS.rawValue): offset = attribute.number(as: UInt32.self).map { Int($0) }
            default: break
            }
        }
        cause = .refused(Errno(rawValue: -answer.error), words: words, offset: offset)
    }

    /// The attributes follow the refused message, of which NETLINK_CAP_ACK leaves the header only.
    private static func attributes(of message: Message, _ answer: nlmsgerr) -> AttributeReader {
        let headerLength = MemoryLayout<nlmsghdr>.size
        var start = MemoryLayout<nlmsgerr>.size
        let hasAttributes = message.flags & UInt16(NLM_F_ACK_TLVS) != 0
        if message.flags & UInt16(NLM_F_CAPPED) == 0 {
            let length = Int(exactly: answer.msg.nlmsg_len) ?? headerLength
            start += aligned(max(length, headerLength)) - headerLength
        }
        return message.attributes(at: hasAttributes ? start : Int.max)
    }
}
