internal import Netlink
internal import Reconcile

/// Whose rules may allow less than before, by what differs between two tables.
///
/// Rules only allow. So a policy narrows where a rule of one of its groups has gone, where a set that its rules look
/// into has lost an element, or where the port has another policy than before; and a NIC that has a new address takes
/// the flows of whoever had it.
struct PolicyNarrowing {
    private let seen: NFTable?
    private let wanted: NFTable
    private var chains: [String: Bool] = [:]
    private var sets: [String: Bool] = [:]

    /// Sets that rules look into which say nothing of what is allowed.
    private static let others = Set(LateAnswers.names)

    /// What a plan tells of a part of the table.
    static func field(_ subject: String, to change: String) -> FieldChange {
        let isOfEnding =
            Concerned.names.contains { subject == "set \($0)" } || LateAnswers.names.contains(subject)
        return isOfEnding ? FieldChange("live flows", to: "judged again") : FieldChange(subject, to: change)
    }

    private init(from seen: NFTable?, to wanted: NFTable) {
        self.seen = seen
        self.wanted = wanted
    }

    /// Whose rules may allow less than before; nil for nobody's.
    ///
    /// - Parameters:
    ///   - seen: what the kernel has; nil for nothing.
    ///   - wanted: what it is to have.
    static func concerned(from seen: NFTable?, to wanted: NFTable) -> Concerned? {
        var narrowing = PolicyNarrowing(from: seen, to: wanted)
        let concerned = narrowing.concerned()
        return concerned.isEmpty ? nil : concerned
    }

    /// Those of these NICs with groups of which that is so.
    static func among(_ nics: some Sequence<NICSpec>, from seen: NFTable?, to wanted: NFTable) -> [NICSpec] {
        concerned(from: seen, to: wanted)?.nics(among: nics) ?? []
    }

    /// The ports that had a policy before, and get one that may allow less: how many, and the first of their names.
    static func ports(from seen: NFTable, to wanted: NFTable, first limit: Int) -> (count: Int, names: [String]) {
        guard let concerned = concerned(from: seen, to: wanted) else { return (0, []) }
        let before = seen.sets[PolicyTable.dispatch(.egress)]?.elements ?? [:]
        let after = wanted.sets[PolicyTable.dispatch(.egress)]?.elements ?? [:]
        var keys = concerned.ports.filter { before[$0] != nil && after[$0]?.chain != nil }
        for key in concerned.policies.isEmpty ? [] : Array(before.keys) {
            guard let chain = after[key]?.chain else { continue }
            if PolicyNames.policy(ofChain: chain).map(concerned.policies.contains) == true { keys.insert(key) }
        }
        let names = keys.sorted().prefix(limit).map { String(decoding: $0.bytes.prefix { $0 != 0 }, as: UTF8.self) }
        return (keys.count, names)
    }

    private mutating func concerned() -> Concerned {
        let left = Concerned.left(in: seen)
        var concerned = Concerned()
        for port in left.ports.union(newlyBound) where policy(of: port) != nil { concerned.add(port: port) }
        for direction in Direction.allCases {
            for port in gained(PolicyTable.dispatch(direction)).keys.keys {
                guard let policy = policy(of: port) else { continue }
                // Who comes with a policy that was not there is one of all that have it.
                if isThere(policy) { concerned.add(port: port) } else { concerned.add(policy: policy) }
            }
        }
        for chain in wanted.chains.keys {
            guard let policy = PolicyNames.policy(ofChain: chain), isThere(policy) else { continue }
            if left.policies.contains(policy) || narrows(chain: chain) { concerned.add(policy: policy) }
        }
        return concerned
    }

    /// Whether the kernel has the chains of a policy.
    private func isThere(_ policy: String) -> Bool {
        Direction.allCases.allSatisfy { seen?.chains[PolicyNames.chain(ofPolicy: policy, $0)] != nil }
    }

    /// The policy of a port; nil where it is not ours, or shut, and there is none to judge it by.
    private func policy(of port: NFKey) -> String? {
        let policies = Direction.allCases.map { direction in
            wanted.sets[PolicyTable.dispatch(direction)]?.elements[port]?.chain.flatMap(PolicyNames.policy)
        }
        return policies.contains(nil) ? nil : policies[0]
    }

    /// The ports that have new addresses: keys begin with their names.
    private var newlyBound: [NFKey] {
        GuardTable.bindings.flatMap { name -> [NFKey] in
            let gained = gained(name)
            return gained.keys.keys.map(\.port) + gained.ranges.keys.map(\.first.port)
        }
    }

    /// What comes into a set.
    private func gained(_ name: String) -> NFElements {
        guard let new = wanted.sets[name] else { return NFElements() }
        guard let old = seen?.sets[name] else { return NFElements(of: new) }
        return NFSetChange(from: old, to: new)?.added ?? NFElements()
    }

    private mutating func narrows(chain name: String) -> Bool {
        if let known = chains[name] { return known }
        // Chains of ours do not lead back; one of others' making would find this answer.
        chains[name] = false
        let rules = wanted.chains[name]?.rules ?? []
        let kept = Set(rules.map(\.expressions))
        var isNarrower = seen?.chains[name]?.rules.contains { !kept.contains($0.expressions) } ?? true
        for expression in rules.lazy.flatMap(\.expressions) where !isNarrower {
            switch expression {
            case .verdict(.jump(let next)), .verdict(.goto(let next)): isNarrower = narrows(chain: next)
            case .lookup(_, let set, _) where !Self.others.contains(set): isNarrower = narrows(set: set)
            default: break
            }
        }
        chains[name] = isNarrower
        return isNarrower
    }

    private mutating func narrows(set name: String) -> Bool {
        if let known = sets[name] { return known }
        // One that was not there has lost nothing, and a rule that looks into it is new.
        guard let old = seen?.sets[name] else { return false }
        let isNarrower = wanted.sets[name].map { NFSetChange(from: old, to: $0)?.removed.isEmpty == false } ?? true
        sets[name] = isNarrower
        return isNarrower
    }
}

extension NFKey {
    /// The name of the port that a key of several fields begins with.
    fileprivate var port: NFKey {
        var key = self
        key.shorten(to: 16)
        return key
    }
}

extension NFData {
    /// The chain that it leads to.
    fileprivate var chain: String? {
        guard case .verdict(.jump(let chain)) = self else { return nil }
        return chain
    }
}
