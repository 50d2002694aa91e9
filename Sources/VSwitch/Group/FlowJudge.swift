internal import Capabilities
internal import Netlink
internal import Reconcile

/// What the rules as they are now say of the flows that conntrack knows.
///
/// It judges the ends of a flow each as its NIC's chains see it: on a switch as it is, and through a router with what
/// is translated. Flows of zones that are no switch's are others', and never judged.
struct FlowJudge: Sendable {
    /// A switch, or a VLAN of one, as its zone tells of it.
    struct Place: Hashable, Sendable {
        let name: String
        /// Where routers lead to from it.
        let joined: Set<String>
    }

    let model: PolicyModel
    /// Asks only the NICs that had no groups so far; nil for none. What conntrack saw first of their flows may have
    /// been an answer.
    var newcomers: PolicyModel?
    let places: [UInt16: Place]
    let state: StateSource

    /// What the zones of these switches tell of.
    static func places(_ switches: some Sequence<SwitchSpec>) -> [UInt16: Place] {
        var places: [UInt16: Place] = [:]
        for spec in switches {
            if let zone = spec.zone { places[zone] = Place(name: spec.name, joined: spec.joined) }
            for (vlan, zone) in spec.vlanZones {
                // Routers are in VLAN 1.
                places[zone] = Place(name: VLANs.segment(of: spec.name, vlan), joined: [])
            }
        }
        return places
    }

    func forbids(_ entry: ConntrackEntry) -> Bool {
        guard let place = places[entry.originalZone] else { return false }
        if Self.denies(model, ends(of: entry, from: place)) { return true }
        // Who opened it is a guess: the other way has to be allowed too. A TCP connection that was met in the middle is
        // known as such.
        if entry.isPickedUp { return Self.denies(model, turned(entry, from: place)) }
        guard let newcomers, entry.original.transport != IPProtocol.tcp.number else { return false }
        return Self.denies(newcomers, turned(entry, from: place))
    }

    private static func denies(_ model: PolicyModel, _ ends: [End]) -> Bool {
        ends.contains { model.denial(of: $0.flow, $0.direction, on: $0.switchName) != nil }
    }

    /// One end of a flow: what the chain of that direction sees of its first packet, on one switch.
    private struct End {
        let direction: Direction
        let switchName: String
        let flow: PolicyModel.Flow
    }

    private func ends(of entry: ConntrackEntry, from place: Place) -> [End] {
        let (original, reply) = (entry.original, entry.reply)
        let behind = Self.flow(original, from: original.source, to: reply.source, reply.sourcePort)
        // br_netfilter shows a frame to the chains of IP first, which translate its destination; conntrack of the
        // bridge comes before them.
        let sent =
            state == .mark
            ? behind : Self.flow(original, from: original.source, to: original.destination, original.destinationPort)
        let got = Self.flow(original, from: reply.destination, to: reply.source, reply.sourcePort)
        // What a forward turns back into its own switch is judged before its source is translated (`Hairpin`).
        let turned = entry.status.contains(.destinationTranslated) ? behind : got
        return [
            End(direction: .egress, switchName: place.name, flow: sent),
            End(direction: .ingress, switchName: place.name, flow: turned),
        ] + others(of: entry, than: place).map { End(direction: .ingress, switchName: $0, flow: got) }
    }

    /// Its ends, had the other side opened it.
    private func turned(_ entry: ConntrackEntry, from place: Place) -> [End] {
        let reply = entry.reply
        let back = Self.flow(reply, from: reply.source, to: reply.destination, reply.destinationPort)
        return ([place.name] + others(of: entry, than: place)).flatMap { name in
            Direction.allCases.map { End(direction: $0, switchName: name, flow: back) }
        }
    }

    /// The switches to which a router may have led it. Where both ways have the zone, it is between neighbours.
    private func others(of entry: ConntrackEntry, than place: Place) -> Set<String> {
        entry.zone == 0 ? place.joined.subtracting([place.name]) : []
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
    /// What answers to a forbidden flow: as they leave who sends them, and as they reach who asked, behind all
    /// translation. What was met in the middle, or with an answer, may be one itself.
    func answers(to entry: ConntrackEntry) -> [ConntrackTuple] {
        let answers = [entry.reply, entry.original.turned]
        return newcomers == nil ? answers : answers + [entry.original, entry.reply.turned]
    }
}

extension ConntrackTuple {
    /// The other way.
    fileprivate var turned: ConntrackTuple {
        guard case .ports(let from, let to) = ends else { return self }
        return ConntrackTuple(
            source: destination, destination: source, transport: transport, ends: .ports(source: to, destination: from))
    }
}
