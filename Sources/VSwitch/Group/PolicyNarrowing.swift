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
    /// The names of ports that have new addresses, as keys begin with them.
    private let newlyBound: Set<[UInt8]>

    /// The ports that are still to be judged under the rules that are there: a set that is in the table only between
    /// the commit of the rules and the end of the judging. One that is left tells that something went wrong between.
    static let unjudged = "unjudged"

    /// Sets that rules look into which say nothing of what is allowed.
    private static let others = Set(LateAnswers.names)

    /// What a plan tells of a part of the table.
    static func field(_ subject: String, to change: String) -> FieldChange {
        let isOfEnding = subject == "set \(unjudged)" || LateAnswers.names.contains(subject)
        return isOfEnding ? FieldChange("live flows", to: "judged again") : FieldChange(subject, to: change)
    }

    /// - Parameters:
    ///   - seen: what the kernel has; nil for nothing.
    ///   - wanted: what it is to have.
    init(from seen: NFTable?, to wanted: NFTable) {
        self.seen = seen
        self.wanted = wanted
        newlyBound = Set(
            GuardTable.bindings.flatMap { name -> [[UInt8]] in
                Self.new(\.elements, name, seen, wanted).map { Array($0.bytes.prefix(16)) }
                    + Self.new(\.ranges, name, seen, wanted).map { Array($0.first.bytes.prefix(16)) }
            })
    }

    private static func new<Key>(
        _ part: KeyPath<NFSet, [Key: NFData]>, _ set: String, _ seen: NFTable?, _ wanted: NFTable
    ) -> [Key] {
        let old = seen?.sets[set]?[keyPath: part] ?? [:]
        let new = wanted.sets[set]?[keyPath: part] ?? [:]
        return old == new ? [] : new.keys.filter { old[$0] == nil }
    }

    /// Those of these NICs with groups of which that is so.
    static func among(_ nics: some Sequence<NICSpec>, from seen: NFTable?, to wanted: NFTable) -> [NICSpec] {
        var narrowing = PolicyNarrowing(from: seen, to: wanted)
        guard narrowing.concernsAny() else { return [] }
        return nics.filter { !$0.groups.isEmpty && narrowing.concerns(NFKey(.interface($0.interface))) }
    }

    /// The ports that had a policy before, and get one that may allow less.
    static func ports(from seen: NFTable, to wanted: NFTable) -> [String] {
        var narrowing = PolicyNarrowing(from: seen, to: wanted)
        guard narrowing.concernsAny() else { return [] }
        return (seen.sets[PolicyTable.dispatch(.egress)]?.elements.keys.sorted() ?? [])
            .filter { narrowing.concerns($0) }
            .map { String(decoding: $0.bytes.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// Whether a NIC may have been without groups before.
    static func isNew(_ nic: NICSpec, in seen: NFTable?) -> Bool {
        let key = NFKey(.interface(nic.interface))
        return seen?.sets[PolicyTable.dispatch(.egress)]?.elements[key] == nil
            || seen?.sets[unjudged]?.elements[key] != nil
    }

    /// Whether it may be so of any port, by what they have in common.
    private mutating func concernsAny() -> Bool {
        if !newlyBound.isEmpty || seen?.sets[Self.unjudged]?.elements.isEmpty == false { return true }
        for direction in Direction.allCases {
            let name = PolicyTable.dispatch(direction)
            if seen?.sets[name]?.elements != wanted.sets[name]?.elements { return true }
        }
        for chain in wanted.chains.keys where PolicyNames.isOfPolicy(chain) && narrows(chain: chain) { return true }
        return false
    }

    private mutating func concerns(_ key: NFKey) -> Bool {
        if seen?.sets[Self.unjudged]?.elements[key] != nil { return true }
        var isConcerned = newlyBound.contains(key.bytes)
        for direction in Direction.allCases {
            let name = PolicyTable.dispatch(direction)
            // What is not ours, or shut, has no policy to be judged by.
            guard case .verdict(.jump(let chain))? = wanted.sets[name]?.elements[key] else { return false }
            if seen?.sets[name]?.elements[key] != wanted.sets[name]?.elements[key] || narrows(chain: chain) {
                isConcerned = true
            }
        }
        return isConcerned
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
        let new = wanted.sets[name]
        let isNarrower =
            old.elements.keys.contains { new?.elements[$0] == nil }
            || old.ranges.keys.contains { new?.ranges[$0] == nil }
        sets[name] = isNarrower
        return isNarrower
    }
}
