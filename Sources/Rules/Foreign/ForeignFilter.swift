public import Netlink

/// A chain of somebody else's that filters what the node passes on, with the rules of its table.
public struct ForeignFilter: Hashable, Sendable {
    /// What it does with packets that come in by one interface and leave by another.
    public enum Passage: Hashable, Sendable {
        /// It lets all of them pass.
        case open
        /// Some rule lets some of them pass: somebody has thought of them, and it is no mistake that the rest are not.
        case partly
        /// No rule lets any of them pass, and it drops or rejects what no rule allows.
        case closed
    }

    public let chain: NFRulesetChain
    /// By chain, in the order in which the kernel asks them.
    public let rules: [String: [NFRuleOutline]]
    /// The names of all chains of its table, by which its maker is known.
    public let neighbours: Set<String>

    public init(_ chain: NFRulesetChain, rules: [NFRuleOutline], neighbours: Set<String>) {
        self.chain = chain
        self.rules = Dictionary(grouping: rules, by: \.chain)
        self.neighbours = neighbours
    }

    /// What becomes of packets between two interfaces; of those within a bridge, with the bridge on both sides.
    public func passage(from input: String, to output: String) -> Passage {
        var walk = Walk(rules: rules, input: input, output: output)
        let ending = walk.follow(chain.name, Walk.Way())
        if ending == .runsOut, chain.hook?.accepts ?? true { return .open }
        return walk.found
    }

    /// Whether it refuses packets that come in by an interface and for whose source the node has no route by it: some
    /// rule asks for one, and none before it accepts all of them.
    public func asksForRoute(from input: String, isIPv4: Bool) -> Bool {
        var walk = Walk(rules: rules, input: input, output: "", isIPv4: isIPv4)
        _ = walk.follow(chain.name, Walk.Way())
        return walk.hasAskedForRoute
    }

    /// Whether it lets everything pass that none of its rules names.
    var isOpen: Bool { passage(from: "", to: "") == .open }

    /// Whether some rule tells this interface from others.
    func names(_ interface: String) -> Bool {
        rules.values.joined().contains { rule in
            rule.interfaces.contains { $0.hold(for: interface) != $0.hold(for: "") }
        }
    }
}

/// A packet's way through the rules, with nothing known of it but its interfaces.
private struct Walk {
    /// What the rules that have led here have asked for.
    struct Way: Hashable {
        var isPartial = false
        /// Whether one of them has named an interface of the packet's, or may have.
        var isNamed = false
    }

    enum Ending {
        /// Some rule has decided on all of them.
        case decided
        /// The chain ends, for some of them at least.
        case runsOut
    }

    private struct Visit: Hashable {
        let chain: String
        let way: Way
    }

    let rules: [String: [NFRuleOutline]]
    let input: String
    let output: String
    /// Nil for both versions of IP.
    let isIPv4: Bool?
    private(set) var found = ForeignFilter.Passage.closed
    private(set) var hasAskedForRoute = false
    /// A chain that many lead to is followed once.
    private var endings: [Visit: Ending] = [:]

    init(rules: [String: [NFRuleOutline]], input: String, output: String, isIPv4: Bool? = nil) {
        self.rules = rules
        self.input = input
        self.output = output
        self.isIPv4 = isIPv4
    }

    mutating func follow(_ chain: String, _ way: Way) -> Ending {
        let visit = Visit(chain: chain, way: way)
        if let ending = endings[visit] { return ending }
        // The kernel refuses loops; were there one, it would end here.
        endings[visit] = .runsOut
        let ending = ask(rules[chain] ?? [], way)
        endings[visit] = ending
        return ending
    }

    private mutating func ask(_ rules: [NFRuleOutline], _ way: Way) -> Ending {
        for rule in rules where isFor(rule) {
            let isNaming = rule.isVague || rule.interfaces.contains { !$0.isInverted }
            let next = Way(isPartial: way.isPartial || rule.isPartial, isNamed: way.isNamed || isNaming)
            switch rule.deed {
            case .nothing: break
            case .accept:
                note(next)
                if !rule.isPartial { return .decided }
            case .refuse:
                if rule.asksForRoute { hasAskedForRoute = true }
                if !rule.isPartial { return .decided }
            case .return: if !rule.isPartial { return .runsOut }
            case .jump(let chain):
                if follow(chain, next) == .decided, !rule.isPartial { return .decided }
            case .goto(let chain):
                let ending = follow(chain, next)
                if !rule.isPartial { return ending }
            }
        }
        return .runsOut
    }

    private func isFor(_ rule: NFRuleOutline) -> Bool {
        if let version = rule.isIPv4, let isIPv4, version != isIPv4 { return false }
        return rule.interfaces.allSatisfy { $0.hold(for: $0.side == .input ? input : output) }
    }

    private mutating func note(_ way: Way) {
        if !way.isPartial { found = .open } else if way.isNamed, found == .closed { found = .partly }
    }
}
