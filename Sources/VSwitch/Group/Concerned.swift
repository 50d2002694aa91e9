internal import Netlink

/// Whose rules may allow less than before: ports, and whole policies with all ports that have them.
///
/// While their flows are judged, both are in the table by name, so that whoever looks finds what is left to do:
///
///     unjudged            interface    ports
///     unjudged-policies   policy       the end of the names of a policy's chains, in the place of an interface
struct Concerned {
    /// By their names as keys have them.
    private(set) var ports: Set<NFKey> = []
    /// By what `PolicyNames.policy` says.
    private(set) var policies: Set<String> = []

    static let unjudgedPorts = "unjudged"
    static let unjudgedPolicies = "unjudged-policies"
    /// The sets that are in the table only between the commit of the rules and the end of the judging. One that is left
    /// tells that something went wrong between.
    static let names: Set<String> = [unjudgedPorts, unjudgedPolicies]

    var isEmpty: Bool { ports.isEmpty && policies.isEmpty }

    mutating func add(port: NFKey) { ports.insert(port) }

    mutating func add(policy: String) { policies.insert(policy) }

    /// The sets that name them.
    var notes: [NFSet] {
        var named = NFSet(Self.unjudgedPorts, key: [.interfaceName])
        for port in ports { named.insert(port) }
        var shared = NFSet(Self.unjudgedPolicies, key: [.interfaceName])
        for key in policies.compactMap(Self.key) { shared.insert(key) }
        return [named, shared].filter { !$0.elements.isEmpty }
    }

    private static func key(of policy: String) -> NFKey? { InterfaceName(policy).map { NFKey(.interface($0)) } }

    /// Those that an agent which did not come to the end has left in a table.
    static func left(in seen: NFTable?) -> Concerned {
        var left = Concerned()
        left.ports = Set((seen?.sets[unjudgedPorts]?.elements ?? [:]).keys)
        left.policies = Set(
            (seen?.sets[unjudgedPolicies]?.elements ?? [:]).keys.map { key in
                String(decoding: key.bytes.prefix { $0 != 0 }, as: UTF8.self)
            })
        return left
    }

    /// Those of some NICs that are concerned.
    func nics(among nics: some Sequence<NICSpec>) -> [NICSpec] {
        if isEmpty { return [] }
        var known: [[String]: Bool] = [:]
        return nics.filter { nic in
            guard !nic.groups.isEmpty else { return false }
            if !ports.isEmpty, ports.contains(NFKey(.interface(nic.interface))) { return true }
            if let isConcerned = known[nic.groups] { return isConcerned }
            let isConcerned = policies.contains(PolicyNames.policy(of: nic.groups))
            known[nic.groups] = isConcerned
            return isConcerned
        }
    }

    /// Those of the NICs concerned that may have been without groups before.
    func newcomers(among nics: some Sequence<NICSpec>, in seen: NFTable?) -> [NICSpec] {
        let left = Self.left(in: seen)
        let known = seen?.sets[PolicyTable.dispatch(.egress)]?.elements
        // Who has a policy that was there before had it, or is concerned by himself.
        var candidates = self
        candidates.policies = policies.filter { policy in
            left.policies.contains(policy)
                || seen?.chains[PolicyNames.chain(ofPolicy: policy, .egress)] == nil
        }
        candidates.ports = ports.filter { known?[$0] == nil || left.ports.contains($0) }
        return candidates.nics(among: nics).filter { nic in
            let key = NFKey(.interface(nic.interface))
            return known?[key] == nil || left.ports.contains(key)
                || left.policies.contains(PolicyNames.policy(of: nic.groups))
        }
    }
}
