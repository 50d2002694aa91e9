internal import Netlink
internal import Reconcile

/// What the node shows of the rates of a NIC.
public struct RateObservation: Hashable, Sendable {
    /// The NIC's port.
    var port: Link?
    /// What its packets wait in.
    var root: QueueDiscipline?
    /// It has a place for filters.
    var hasHook = false
    /// Where what the NIC sends is sent on to, by our filter.
    var redirection: TrafficFilter?
    /// The ifb that carries our mark for this NIC.
    var ifb: Link?
    /// What the packets of the ifb wait in.
    var ifbRoot: QueueDiscipline?
    /// A link that is not this rate's and has the name that its ifb is to have.
    var occupant: Link?

    /// The token bucket that is ours at the port.
    var bucket: TokenBucket? { root?.major == RateMark.major ? root?.bucket : nil }

    /// Whether anything of it is there.
    var isThere: Bool { ifb != nil || redirection != nil || bucket != nil }
}

extension RateObservation {
    /// Looks at what the specs ask for, and at what is left of others. Where there is neither, the kernel is asked for
    /// nothing.
    static func look(
        _ specs: [String: RateSpec], _ listing: [Link], _ location: NetworkLocation
    ) throws(NetlinkError) -> [String: RateObservation] {
        var seen = specs.mapValues { _ in RateObservation() }
        let wanted = Dictionary(specs.filter { $1.egress != nil }.map { ($1.ifb, $0) }) { first, _ in first }
        for link in listing {
            if let name = RateKind.owner(of: link) {
                seen[name, default: RateObservation()].ifb = link
            } else if let name = wanted[link.name] {
                seen[name]?.occupant = link
            }
            // A token bucket that nobody asks for may be ours, or not.
            let hasBucket = link.discipline == TokenBucket.kind
            guard !specs.isEmpty || hasBucket, let name = NICKind.owner(of: link) else { continue }
            if specs[name] != nil || hasBucket { seen[name, default: RateObservation()].port = link }
        }
        guard !seen.isEmpty else { return [:] }
        var socket = try location.socket(.route)
        note(try socket.disciplines(), &seen)
        for (name, observation) in seen where observation.hasHook {
            guard let port = observation.port?.index else { continue }
            seen[name]?.redirection = try socket.filters(of: port, .ingress).first { $0.priority == RateMark.priority }
        }
        return seen
    }

    private static func note(_ disciplines: [QueueDiscipline], _ seen: inout [String: RateObservation]) {
        var roots: [Int32: QueueDiscipline] = [:]
        var hooks: Set<Int32> = []
        for discipline in disciplines {
            if discipline.isRoot { roots[discipline.link] = discipline }
            if discipline.isHook { hooks.insert(discipline.link) }
        }
        for (name, observation) in seen {
            if let port = observation.port?.index {
                seen[name]?.root = roots[port]
                seen[name]?.hasHook = hooks.contains(port)
            }
            if let ifb = observation.ifb?.index { seen[name]?.ifbRoot = roots[ifb] }
        }
    }
}
