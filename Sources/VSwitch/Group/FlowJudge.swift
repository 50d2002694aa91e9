internal import Capabilities
internal import Netlink
internal import Reconcile

/// What the rules as they are now say of the flows that conntrack knows.
///
/// It judges the ends of a flow each as its NIC's chains see it: on a switch as it is, and through a router with what
/// is translated. Flows of zones that are no switch's are others', and never judged.
struct FlowJudge: Sendable {
    /// A switch as its zone tells of it.
    struct Place: Hashable, Sendable {
        let name: String
        /// Where routers lead to from it.
        let joined: Set<String>
    }

    let model: PolicyModel
    let places: [UInt16: Place]
    let state: StateSource

    func forbids(_ entry: ConntrackEntry) -> Bool {
        guard let place = places[entry.originalZone] else { return false }
        return ends(of: entry, from: place).contains {
            model.denial(of: $0.flow, $0.direction, on: $0.switchName) != nil
        }
    }

    /// One end of a flow: what the chain of that direction sees of its first packet, on one switch.
    private struct End {
        let direction: Direction
        let switchName: String
        let flow: PolicyModel.Flow
    }

    private func ends(of entry: ConntrackEntry, from place: Place) -> [End] {
        let (original, reply) = (entry.original, entry.reply)
        // Where both ways have the zone, it is between neighbours.
        let others = entry.zone == 0 ? place.joined.subtracting([place.name]) : []
        // br_netfilter shows a frame to the chains of IP first, which translate its destination; conntrack of the
        // bridge comes before them.
        let sent =
            state == .mark
            ? Self.flow(original, from: original.source, to: reply.source, reply.sourcePort)
            : Self.flow(original, from: original.source, to: original.destination, original.destinationPort)
        let got = Self.flow(original, from: reply.destination, to: reply.source, reply.sourcePort)
        // What br_netfilter translates back into its own switch is bridged there, and its source translated last.
        let isTurned = state == .mark && entry.status.contains(.destinationTranslated)
        var ends = [
            End(direction: .egress, switchName: place.name, flow: sent),
            End(direction: .ingress, switchName: place.name, flow: isTurned ? sent : got),
        ]
        ends += others.map { End(direction: .ingress, switchName: $0, flow: got) }
        guard entry.isPickedUp else { return ends }
        // Who opened it is a guess: the other way has to be allowed too.
        let back = Self.flow(reply, from: reply.source, to: reply.destination, reply.destinationPort)
        return ends
            + ([place.name] + others).flatMap { name in
                Direction.allCases.map { End(direction: $0, switchName: name, flow: back) }
            }
    }

    private static func flow(
        _ tuple: ConntrackTuple, from source: IPAddress, to destination: IPAddress, _ port: UInt16
    ) -> PolicyModel.Flow {
        var message: ICMPMessage?
        if case .icmp(let type, let code, _) = tuple.ends { message = ICMPMessage(type: type, code: code) }
        return PolicyModel.Flow(
            source: source, destination: destination, transport: IPProtocol(number: tuple.transport),
            destinationPort: port, message: message)
    }
}

extension ConntrackTuple {
    fileprivate var sourcePort: UInt16 { if case .ports(let source, _) = ends { source } else { 0 } }

    fileprivate var destinationPort: UInt16 { if case .ports(_, let port) = ends { port } else { 0 } }
}

extension FlowJudge {
    /// So many are held in memory and forgotten at a time.
    private static let share = 16_384
    /// More shares than any table of conntrack has. New flows meet the new rules: forbidden ones only get fewer.
    private static let shares = 4_096

    /// Has conntrack forget the flows that are forbidden.
    func enforce(on socket: inout NetlinkSocket) throws(NetlinkError) {
        for _ in 0..<Self.shares {
            let forbidden = try socket.conntrack(atMost: Self.share) { forbids($0) }
            if let failure = try socket.forget(forbidden).first { throw failure.error }
            if forbidden.count < Self.share { return }
        }
        throw NetlinkError(operation: "forget flows", cause: .interrupted)
    }

    /// Has conntrack forget what a policy forbids of the flows of these NICs. Where the kernel cannot, their groups say
    /// so (`GroupKind`).
    static func enforce(
        _ policy: Policy, among judged: [NICSpec], _ desired: Desired, in location: NetworkLocation
    ) throws(NetlinkError) {
        let kept = Set(policy.groups.values.filter { $0.liveFlows == .keep }.map(\.name))
        let names = judged.filter { kept.isDisjoint(with: $0.groups) }.map(\.resourceName)
        if case .missing = Capabilities.current[.conntrackNetlink] { return }
        guard !names.isEmpty else { return }
        let places = desired.specs(of: SwitchKind.self).values.compactMap { spec in
            spec.zone.map { ($0, Place(name: spec.name, joined: spec.joined)) }
        }
        let judge = FlowJudge(
            model: PolicyModel(
                desired.specs(of: NICKind.self).values, groups: policy.groups, sets: policy.sets, judged: Set(names)),
            places: Dictionary(places) { first, _ in first }, state: policy.state)
        var socket = try location.socket(.netfilter)
        try judge.enforce(on: &socket)
    }
}
