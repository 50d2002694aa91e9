internal import CNetlink

/// The family of a table of anybody's (linux/netfilter.h, enum nfproto), by the name that the nft command gives it.
public enum NFFamily: UInt8, Hashable, Sendable, CustomStringConvertible {
    case inet = 1
    case ip = 2
    case arp = 3
    case netdev = 5
    case bridge = 7
    case ip6 = 10

    public var description: String {
        switch self {
        case .inet: "inet"
        case .ip: "ip"
        case .arp: "arp"
        case .netdev: "netdev"
        case .bridge: "bridge"
        case .ip6: "ip6"
        }
    }
}

/// A chain of the ruleset, whoever made it, without its rules.
public struct NFRulesetChain: Hashable, Sendable {
    /// Where and when the kernel runs it.
    public struct Hook: Hashable, Sendable {
        /// The number of the hook within its family.
        public let number: UInt32
        /// Lower runs earlier.
        public let priority: Int32
        /// "filter", "nat" or "route".
        public let kind: String
        /// Whether what no rule decides on goes on (policy accept) or is dropped.
        public let accepts: Bool

        public init(number: UInt32, priority: Int32, kind: String = "filter", accepts: Bool) {
            self.number = number
            self.priority = priority
            self.kind = kind
            self.accepts = accepts
        }
    }

    public let family: NFFamily
    public let table: String
    public let name: String
    /// Nil for a chain that others jump to.
    public let hook: Hook?

    public init(_ family: NFFamily, _ table: String, _ name: String, hook: Hook? = nil) {
        self.family = family
        self.table = table
        self.name = name
        self.hook = hook
    }
}

extension NetlinkSocket {
    /// Lists the chains of all tables of this network namespace.
    public mutating func nftablesChains() throws(NFError) -> [NFRulesetChain] {
        var request = MessageWriter()
        request.message(NFMessage.type(NFT_MSG_GETCHAIN), .dump, operation: "list the chains of the ruleset") {
            $0.append(NFMessage.header(nil))
        }
        do throws(NetlinkError) {
            return try dump(request) { NFRulesetChain($0) }
        } catch {
            throw .netlink(error)
        }
    }
}

extension NFRulesetChain {
    init?(_ message: Message) {
        guard let header = message.header(as: nfgenmsg.self), let family = NFFamily(rawValue: header.nfgen_family)
        else {
            return nil
        }
        var (table, name, kind) = ("", "", "filter")
        var policy: UInt32 = 1
        var number: UInt32?
        var priority: Int32 = 0
        for attribute in message.attributes(after: nfgenmsg.self) {
            switch attribute.type {
            case Int(NFTA_CHAIN_TABLE.rawValue): table = attribute.text
            case Int(NFTA_CHAIN_NAME.rawValue): name = attribute.text
            case Int(NFTA_CHAIN_TYPE.rawValue): kind = attribute.text
            case Int(NFTA_CHAIN_POLICY.rawValue): policy = attribute.bigEndian() ?? 1
            case Int(NFTA_CHAIN_HOOK.rawValue):
                for field in attribute.nested {
                    switch field.type {
                    case Int(NFTA_HOOK_HOOKNUM.rawValue): number = field.bigEndian()
                    case Int(NFTA_HOOK_PRIORITY.rawValue): priority = field.bigEndian() ?? 0
                    default: break
                    }
                }
            default: break
            }
        }
        // NF_ACCEPT is 1, NF_DROP 0.
        let hook = number.map { Hook(number: $0, priority: priority, kind: kind, accepts: policy == 1) }
        self.init(family, table, name, hook: hook)
    }
}
