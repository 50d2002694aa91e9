internal import CNetlink

/// One nftables table with all that is in it: the unit of ownership, comparison and replacement.
///
/// It is a value: what a compiler makes of specs and what a dump finds in the kernel compare with `==`. What counters
/// have counted is no part of it.
public struct NFTable: Hashable, Sendable {
    /// The family, which says what packets its chains see (linux/netfilter.h, enum nfproto).
    public enum Family: UInt8, Hashable, Sendable {
        case inet = 1
        case ipv4 = 2
        case arp = 3
        /// Sees what single devices receive and send, before and after all others.
        case netdev = 5
        case bridge = 7
        case ipv6 = 10
    }

    public let family: Family
    public let name: String
    /// Shown by `nft list`; carries what we must remember of the table. At most 128 bytes with its NUL.
    public var comment: String
    public var sets: [String: NFSet]
    public var chains: [String: NFChain]
    /// The named counters.
    public var counters: Set<String>

    public init(
        family: Family, name: String, comment: String = "", sets: [NFSet] = [], chains: [NFChain] = [],
        counters: Set<String> = []
    ) {
        self.family = family
        self.name = name
        self.comment = comment
        self.sets = Dictionary(sets.map { ($0.name, $0) }) { $1 }
        self.chains = Dictionary(chains.map { ($0.name, $0) }) { $1 }
        self.counters = counters
    }

    /// "bridge sdagent", as the nft command names it.
    var subject: String {
        switch family {
        case .inet: "inet \(name)"
        case .ipv4: "ip \(name)"
        case .arp: "arp \(name)"
        case .netdev: "netdev \(name)"
        case .bridge: "bridge \(name)"
        case .ipv6: "ip6 \(name)"
        }
    }
}

/// A chain: a base chain where it has a hook, else one to jump to.
public struct NFChain: Hashable, Sendable {
    /// Where and when the kernel runs a base chain.
    public struct Hook: Hashable, Sendable {
        public enum Kind: String, Hashable, Sendable {
            case filter, nat, route
        }
        /// The packet's way past the hook.
        public enum Point: Hashable, Sendable {
            case prerouting, input, forward, output, postrouting
            /// What a device receives, before all others. Family netdev.
            case ingress
            /// What a device is about to send (Linux 5.16). Family netdev.
            case egress
        }
        public let kind: Kind
        public let point: Point
        /// Lower runs earlier.
        public let priority: Int32
        /// Whether a packet that no rule decides on goes on. While a chain that drops is made anew, the kernel lets the
        /// old one drop everything for a moment: a chain that must not blink accepts, and drops by its last rule.
        public let accepts: Bool
        /// The devices whose packets it sees, by name and in order; none in families other than netdev.
        public let devices: [InterfaceName]

        public init(
            _ kind: Kind, _ point: Point, priority: Int32, accepts: Bool = true, devices: [InterfaceName] = []
        ) {
            self.kind = kind
            self.point = point
            self.priority = priority
            self.accepts = accepts
            self.devices = Set(devices).sorted()
        }

        /// Whether only the policy differs, which can be changed in place.
        func isAt(_ other: Hook) -> Bool {
            kind == other.kind && point == other.point && priority == other.priority && devices == other.devices
        }
    }

    public let name: String
    public let hook: Hook?
    public var rules: [NFRule]

    public init(_ name: String, hook: Hook? = nil, rules: [NFRule] = []) {
        self.name = name
        self.hook = hook
        self.rules = rules
    }
}

/// One rule: its expressions run in order until one does not match.
public struct NFRule: Hashable, Sendable {
    public let expressions: [NFExpression]
    /// Shown by `nft list`: what the rule is for. At most 128 bytes with its NUL.
    public let comment: String

    public init(_ expressions: [NFExpression], comment: String = "") {
        self.expressions = expressions
        self.comment = comment
    }
}

/// The comments of tables and rules: a list of type, length, value in the object's user data, as libnftnl and the nft
/// command write it. Other types are skipped.
enum NFUserData {
    /// NFTNL_UDATA_TABLE_COMMENT and NFTNL_UDATA_RULE_COMMENT are both 0.
    private static let commentType: UInt8 = 0

    static func encode(comment: String) -> [UInt8] {
        let text = Array(comment.utf8.prefix(127)) + [0]
        return [commentType, UInt8(text.count)] + text
    }

    static func comment(in bytes: UnsafeRawBufferPointer) -> String {
        var rest = bytes[...]
        while rest.count >= 2, let type = rest.first {
            let length = Int(rest[rest.startIndex + 1])
            let value = rest.dropFirst(2).prefix(length)
            if type == commentType { return String(decoding: value.prefix { $0 != 0 }, as: UTF8.self) }
            rest = rest.dropFirst(2 + length)
        }
        return ""
    }
}
