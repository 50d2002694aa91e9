internal import CNetlink

/// The flags of a netlink message header (linux/netlink.h), those a caller chooses.
///
/// NLM_F_REQUEST is set by the writer and NLM_F_ACK by the socket, which owns the matching of replies.
public struct MessageFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// NLM_F_DUMP: all objects that match.
    public static let dump = MessageFlags(rawValue: 0x300)
    /// NLM_F_REPLACE: an existing object is replaced.
    public static let replace = MessageFlags(rawValue: 0x100)
    /// NLM_F_EXCL: an existing object is an error (EEXIST).
    public static let exclusive = MessageFlags(rawValue: 0x200)
    /// NLM_F_CREATE: a missing object is made.
    public static let create = MessageFlags(rawValue: 0x400)
    /// NLM_F_APPEND: added at the end of a list.
    public static let append = MessageFlags(rawValue: 0x800)

    static let request = MessageFlags(rawValue: 0x1)
    static let acknowledge = MessageFlags(rawValue: 0x4)
}
