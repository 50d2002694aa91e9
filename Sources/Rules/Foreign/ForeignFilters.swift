public import Netlink

/// What others filter of the packets that the node passes on, and which packets of bridges they get to see.
public struct ForeignFilters: Sendable {
    /// What the names of tables of ours begin with.
    public static let prefix = "sdagent"

    /// The chains at the forward hook that drop or reject what no rule allows.
    public let all: [ForeignFilter]
    /// The chains that refuse what arrives by another interface than the one by which the node would answer.
    public let askingForRoutes: [ForeignFilter]
    /// Whether br_netfilter shows the packets of every bridge to the rules of IPv4 and of IPv6.
    private let sees4: Bool
    private let sees6: Bool

    public init(_ foreign: NFForeignRules, sees4: Bool = false, sees6: Bool = false) {
        func filters(_ isMeant: (NFRulesetChain) -> Bool) -> [ForeignFilter] {
            foreign.chains.filter(isMeant).map { chain in
                let table = foreign.chains.filter { $0.family == chain.family && $0.table == chain.table }
                return ForeignFilter(
                    chain, rules: foreign.rules[NFForeignRules.TableName(chain.family, chain.table)] ?? [],
                    neighbours: Set(table.map(\.name)))
            }
        }
        all = filters(\.filtersForwarded).filter { !$0.isOpen }
        askingForRoutes = filters(\.filtersArriving).filter { filter in
            filter.asksForRoute(from: "", isIPv4: true) || filter.asksForRoute(from: "", isIPv4: false)
        }
        self.sees4 = sees4
        self.sees6 = sees6
    }

    /// A chain that closes a way of ours.
    public struct Blockade: Hashable, Sendable {
        public let filter: ForeignFilter
        /// Why it sees packets that are only bridged; nil for those that are routed.
        public let sight: String?
    }

    /// The chains that drop what passes between the ports of a bridge of ours.
    ///
    /// - Parameter isTracked: whether br_netfilter shows the packets of this bridge to IP in any case.
    public func blockades(on bridge: String, isTracked: Bool) -> [Blockade] {
        all.compactMap { filter in
            guard let sight = sight(of: filter, isTracked: isTracked) else { return nil }
            return filter.passage(from: bridge, to: bridge) == .closed ? Blockade(filter: filter, sight: sight) : nil
        }
    }

    /// The chains that drop what a router of ours forwards between these bridges.
    ///
    /// - Parameter isIPv4: the version of IP that it forwards there.
    public func blockades(among bridges: [String], isIPv4: Bool) -> [(blockade: Blockade, bridges: [String])] {
        all.compactMap { filter in
            switch filter.chain.family {
            case .inet: break
            case .ip: guard isIPv4 else { return nil }
            case .ip6: guard !isIPv4 else { return nil }
            case .bridge, .arp, .netdev: return nil
            }
            let closed = Self.closed(filter, bridges)
            return closed.isEmpty ? nil : (Blockade(filter: filter, sight: nil), closed)
        }
    }

    /// The chains that refuse what comes from a port of a bridge of ours where the node has no route by that bridge.
    public func routeChecks(on bridge: String, isTracked: Bool, isIPv4: Bool) -> [Blockade] {
        askingForRoutes.compactMap { filter in
            switch filter.chain.family {
            case .ip: guard isIPv4 else { return nil }
            case .ip6: guard !isIPv4 else { return nil }
            case .inet: guard isTracked || (isIPv4 ? sees4 : sees6) else { return nil }
            case .bridge, .arp, .netdev: return nil
            }
            guard let sight = sight(of: filter, isTracked: isTracked) else { return nil }
            return filter.asksForRoute(from: bridge, isIPv4: isIPv4) ? Blockade(filter: filter, sight: sight) : nil
        }
    }

    /// Whether nobody filters anything of this sort.
    public var areNone: Bool { all.isEmpty && askingForRoutes.isEmpty }

    /// Those of the bridges that have a closed way to or from another one; on a router with one leg, to itself.
    private static func closed(_ filter: ForeignFilter, _ bridges: [String]) -> [String] {
        // To the rules all interfaces are the same that none of them names.
        let named = bridges.map { filter.names($0) ? $0 : "" }
        var closed: [[String]: Bool] = [:]
        func isClosed(_ input: String, _ output: String) -> Bool {
            if let known = closed[[input, output]] { return known }
            let isClosed = filter.passage(from: input, to: output) == .closed
            closed[[input, output]] = isClosed
            return isClosed
        }
        return bridges.indices.filter { one in
            bridges.indices.contains { other in
                (other != one || bridges.count == 1)
                    && (isClosed(named[one], named[other]) || isClosed(named[other], named[one]))
            }
        }.map { bridges[$0] }
    }

    /// Why a chain sees packets that are only bridged; nil where it sees none.
    public func sight(of filter: ForeignFilter, isTracked: Bool) -> String? {
        let reason: String?
        switch filter.chain.family {
        case .bridge: return "it is in the bridge family"
        case .ip: reason = sees4 ? "net.bridge.bridge-nf-call-iptables is 1" : nil
        case .ip6: reason = sees6 ? "net.bridge.bridge-nf-call-ip6tables is 1" : nil
        case .inet: reason = sees4 || sees6 ? "net.bridge.bridge-nf-call-iptables or -ip6tables is 1" : nil
        case .arp, .netdev: return nil
        }
        if let reason { return reason }
        return isTracked
            ? "NICs with groups need br_netfilter there: this kernel lacks NF_CONNTRACK_BRIDGE" : nil
    }
}

extension ForeignFilters {
    public static let none = ForeignFilters(NFForeignRules())
}
