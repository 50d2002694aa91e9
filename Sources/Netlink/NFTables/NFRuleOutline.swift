/// What one rule of anybody's asks of interfaces, and what it does then; of the rest only that it is there.
public struct NFRuleOutline: Hashable, Sendable {
    /// What becomes of a packet that the rule is for.
    public enum Deed: Hashable, Sendable {
        /// It goes on: it was counted, marked, logged.
        case nothing
        case accept
        /// Dropped or rejected.
        case refuse
        case jump(String)
        case goto(String)
        case `return`
    }

    /// That a packet has, or has not, one of some interfaces on one of its sides.
    public struct Interfaces: Hashable, Sendable {
        public enum Side: Hashable, Sendable { case input, output }

        public let side: Side
        public var names: Set<String>
        /// What a name may begin with instead: `vm` of `vm*`.
        public var beginning: String?
        public var isInverted: Bool

        public init(_ side: Side, _ names: Set<String>, beginning: String? = nil, isInverted: Bool = false) {
            self.side = side
            self.names = names
            self.beginning = beginning
            self.isInverted = isInverted
        }

        public func hold(for name: String) -> Bool {
            (names.contains(name) || beginning.map { name.hasPrefix($0) } ?? false) != isInverted
        }
    }

    public let chain: String
    public var deed: Deed
    /// All of them have to hold.
    public var interfaces: [Interfaces]
    /// Whether it asks for something else besides.
    public var isPartial: Bool
    /// Whether what else it asks for may name interfaces or networks in a way that is not read here: by addresses,
    /// marks, numbers of links, ports of a bridge.
    public var isVague: Bool
    /// Whether it asks for the route that leads to a packet's source or destination.
    public var asksForRoute: Bool
    /// The version of IP that it is for, where it says so.
    public var isIPv4: Bool?

    public init(
        chain: String, _ deed: Deed, _ interfaces: [Interfaces] = [], isPartial: Bool = false, isVague: Bool = false,
        asksForRoute: Bool = false, isIPv4: Bool? = nil
    ) {
        self.chain = chain
        self.deed = deed
        self.interfaces = interfaces
        self.isPartial = isPartial
        self.isVague = isVague
        self.asksForRoute = asksForRoute
        self.isIPv4 = isIPv4
    }
}

/// The chains of others, and the rules of those of their tables that filter what the node passes on.
public struct NFForeignRules: Hashable, Sendable {
    /// A table by family and name.
    public struct TableName: Hashable, Sendable {
        public let family: NFFamily
        public let name: String

        public init(_ family: NFFamily, _ name: String) {
            self.family = family
            self.name = name
        }
    }

    public var chains: [NFRulesetChain]
    /// Of the tables that have a chain that filters what is forwarded or arrives, each in the order in which the kernel
    /// asks them.
    public var rules: [TableName: [NFRuleOutline]]

    public init(chains: [NFRulesetChain] = [], rules: [TableName: [NFRuleOutline]] = [:]) {
        self.chains = chains
        self.rules = rules
    }
}

extension NFRulesetChain {
    /// Whether it filters what is passed on, and not only what is for the node or from it.
    public var filtersForwarded: Bool {
        // NF_INET_FORWARD and NF_BR_FORWARD are both 2 (linux/netfilter.h, linux/netfilter_bridge.h).
        guard let hook, hook.number == 2, hook.kind == "filter" else { return false }
        switch family {
        case .inet, .ip, .ip6, .bridge: return true
        case .arp, .netdev: return false
        }
    }

    /// Whether it filters packets of IP when they arrive, before it is known where they go.
    public var filtersArriving: Bool {
        // NF_INET_PRE_ROUTING is 0.
        guard let hook, hook.number == 0, hook.kind == "filter" else { return false }
        return [.inet, .ip, .ip6].contains(family)
    }
}

extension NetlinkSocket {
    /// Reads what others filter.
    ///
    /// - Parameter prefix: what the names of tables of ours begin with.
    public mutating func nftablesForeign(ours prefix: String) throws(NFError) -> NFForeignRules {
        var foreign = NFForeignRules(chains: try nftablesChains().filter { !$0.table.hasPrefix(prefix) })
        for chain in foreign.chains where chain.filtersForwarded || chain.filtersArriving {
            let table = NFForeignRules.TableName(chain.family, chain.table)
            guard foreign.rules[table] == nil else { continue }
            foreign.rules[table] = try nftablesOutlines(table)
        }
        return foreign
    }
}
