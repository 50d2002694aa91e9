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

/// A rule that lets whole interfaces pass: `iifname "blue" accept`, with nothing else in it but counters and comments.
public struct NFInterfacePass: Hashable, Sendable {
    public enum Side: Hashable, Sendable { case input, output }

    /// The chain that it stands in.
    public let chain: String
    public let side: Side
    public let interface: String
    /// Where it sends packets: nil where it accepts them itself.
    public let leadsTo: String?

    public init(chain: String, side: Side, interface: String, leadsTo: String? = nil) {
        self.chain = chain
        self.side = side
        self.interface = interface
        self.leadsTo = leadsTo
    }
}

/// The ways through one table: which chains lead to which, and where whole interfaces pass.
public struct NFTablePaths: Hashable, Sendable {
    public var passes: Set<NFInterfacePass>
    /// By chain: the chains that some rule of it jumps or goes to.
    public var jumps: [String: Set<String>]

    public init(passes: Set<NFInterfacePass> = [], jumps: [String: Set<String>] = [:]) {
        self.passes = passes
        self.jumps = jumps
    }

    /// The passes that a packet may come by which begins in this chain.
    public func passes(from start: String) -> Set<NFInterfacePass> {
        var reached: Set = [start]
        var open = [start]
        while let chain = open.popLast() {
            for next in jumps[chain] ?? [] where reached.insert(next).inserted { open.append(next) }
        }
        return passes.filter { reached.contains($0.chain) }
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

    /// Reads the ways through one table, sets of interface names looked into; verdict maps are not.
    public mutating func nftablesPaths(_ family: NFFamily, _ table: String) throws(NFError) -> NFTablePaths {
        do throws(NetlinkError) {
            var request = MessageWriter()
            request.message(NFMessage.type(NFT_MSG_GETRULE), .dump, operation: "list the rules of a table") {
                $0.append(nfgenmsg(nfgen_family: family.rawValue, version: UInt8(NFNETLINK_V0), res_id: 0))
                $0.attribute(Int(NFTA_RULE_TABLE.rawValue), table)
            }
            let rules = try dump(request) { RuleOutline($0, table: table) }
            var paths = NFTablePaths()
            for rule in rules {
                if let target = rule.leadsTo { paths.jumps[rule.chain, default: []].insert(target) }
                guard let (side, interfaces) = rule.pass else { continue }
                var names: [String] = []
                switch interfaces {
                case .name(let name): names = [name]
                case .set(let set): names = try setMembers(family, table, set)
                }
                for name in names {
                    paths.passes.insert(
                        NFInterfacePass(chain: rule.chain, side: side, interface: name, leadsTo: rule.leadsTo))
                }
            }
            return paths
        } catch {
            // The table went away between two looks.
            if error.isMissing { return NFTablePaths() }
            throw .netlink(error)
        }
    }

    /// The names in a set of interface names.
    private mutating func setMembers(
        _ family: NFFamily, _ table: String, _ set: String
    ) throws(NetlinkError) -> [String] {
        var request = MessageWriter()
        request.message(NFMessage.type(NFT_MSG_GETSETELEM), .dump, operation: "list the elements of a set") {
            $0.append(nfgenmsg(nfgen_family: family.rawValue, version: UInt8(NFNETLINK_V0), res_id: 0))
            $0.attribute(Int(NFTA_SET_ELEM_LIST_TABLE.rawValue), table)
            $0.attribute(Int(NFTA_SET_ELEM_LIST_SET.rawValue), set)
        }
        return try dump(request) { message -> [String]? in
            var names: [String] = []
            for list in message.attributes(after: nfgenmsg.self)
            where list.type == Int(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue) {
                for element in list.nested {
                    for key in element.nested where key.type == Int(NFTA_SET_ELEM_KEY.rawValue) {
                        names += key.nested.filter { $0.type == Int(NFTA_DATA_VALUE.rawValue) }.map(\.text)
                    }
                }
            }
            return names
        }.flatMap { $0 }
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
