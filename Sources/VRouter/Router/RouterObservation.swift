internal import Netlink
internal import Rules

/// What the node shows of one router.
public struct RouterObservation: Hashable, Sendable {
    /// What this kernel has to forward IPv6 with.
    let ipv6: IPv6Forwarding
    /// What the router wants and the node has, and what is ours and would go with it or from it.
    var present: Set<RouterItem> = []
    /// There is something that carries our mark.
    var isMarked = false
    /// Other people's chains that drop what it forwards.
    var blockades: [RouterBlockade] = []
}

/// Somebody else's chain that drops what a router forwards.
struct RouterBlockade: Hashable, Sendable {
    let filter: ForeignFilter
    /// The bridges that it cuts off.
    let bridges: [String]

    init(_ filter: ForeignFilter, _ bridges: [String]) {
        self.filter = filter
        self.bridges = bridges
    }

    /// In words, a sentence for each chain: one of inet is met by both versions of IP.
    static func texts(_ all: [RouterBlockade]) -> [String] {
        var told: Set<ForeignFilter> = []
        return all.filter { told.insert($0.filter).inserted }.map { first in
            let bridges = Set(all.filter { $0.filter == first.filter }.flatMap(\.bridges)).sorted()
            // No chain of the bridge family sees what is routed, so nobody has to name a bridge there.
            let owner = ForeignOwner(of: first.filter, canNameBridges: false)
            return "\(owner.title) drops what it forwards from and to \(bridges.joined(separator: ", ")); "
                + "let it pass with `\(owner.remedy(for: bridges))`"
        }
    }
}

extension NodeSight {
    /// Each router's share: of the manifest's routers, and of those that have left something behind.
    func observations(_ specs: [String: RouterSpec]) -> [String: RouterObservation] {
        var shares: [String: RouterObservation] = [:]
        var wanted: Set<RouterItem> = []
        for (name, spec) in specs {
            let items = spec.items(ipv6)
            wanted.formUnion(items)
            let met = items.intersection(present)
            let isMarked = !met.isDisjoint(with: ours)
            shares[name] = RouterObservation(ipv6: ipv6, present: met, isMarked: isMarked)
        }
        let heirs = Heirs(specs: specs, marks: marks)
        for item in ours.subtracting(wanted) {
            let heir = heirs.heir(of: item)
            shares[heir, default: RouterObservation(ipv6: ipv6)].present.insert(item)
            shares[heir]?.isMarked = true
        }
        return shares
    }
}

/// Whose name a leftover appears under: only the plan's text hangs on it, for nothing that is ours stays unwanted.
private struct Heirs {
    private let specs: [String: RouterSpec]
    private let marks: [InterfaceName: Set<String>]
    private let byTable: [UInt32: String]
    /// Routers that the manifest no longer names.
    private let gone: Set<String>

    init(specs: [String: RouterSpec], marks: [InterfaceName: Set<String>]) {
        self.specs = specs
        self.marks = marks
        let marked = marks.values.reduce(into: Set<String>()) { $0.formUnion($1) }
        gone = marked.subtracting(specs.keys)
        byTable = Dictionary(marked.union(specs.keys).sorted().map { (RouterTable.number(of: $0), $0) }) { first, _ in
            first
        }
    }

    func heir(of item: RouterItem) -> String {
        if case .mark(let bridge, let text) = item, let name = RouterMark.router(in: text, of: bridge) { return name }
        if let table = item.table, let name = byTable[table] { return name }
        if let interface = item.interface {
            let there = marks[interface] ?? []
            if let name = there.subtracting(specs.keys).min() ?? there.min() { return name }
        }
        // A rule for a subnet, a switch of the whole node, or the mark was taken off by hand.
        return gone.min() ?? specs.keys.min() ?? "(unnamed)"
    }
}
