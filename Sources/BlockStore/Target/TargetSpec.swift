public import Syscall

/// A target as the manifest asks for it.
public struct TargetSpec: Hashable, Sendable {
    /// Its iSCSI name, in lower case.
    public let name: String
    /// Where it listens.
    public let portals: [SocketAddress]
    /// Its units by LUN.
    public let units: [UInt16: Unit]
    public let access: Access

    /// A volume behind a LUN.
    public struct Unit: Hashable, Sendable {
        public let volume: String
        public let isReadOnly: Bool
    }

    /// Who may log in.
    public struct Access: Hashable, Sendable {
        /// Names of initiators, in lower case, where `*` stands for any text; nil admits everyone.
        public var initiators: [String]?
        /// What an initiator proves itself with.
        public var chap: Secret?
        /// What the target proves itself with in turn.
        public var mutual: Secret?
    }

    /// A user's name and the file with its secret.
    public struct Secret: Hashable, Sendable {
        public let user: String
        public let file: String
    }
}

/// Patterns for names of initiators.
enum NamePattern {
    /// Whether `name` matches `pattern`, in which `*` stands for any text. Both are in lower case. The time is bounded
    /// by the product of the lengths.
    static func matches(_ pattern: String, _ name: String) -> Bool {
        let pattern = Array(pattern.utf8)
        let name = Array(name.utf8)
        var (p, n) = (0, 0)
        var star: (pattern: Int, name: Int)?
        while n < name.count {
            if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
                star = (p, n)
                p += 1
            } else if p < pattern.count, pattern[p] == name[n] {
                p += 1
                n += 1
            } else if let last = star {
                // The last star takes one byte more.
                star = (last.pattern, last.name + 1)
                p = last.pattern + 1
                n = last.name + 1
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
