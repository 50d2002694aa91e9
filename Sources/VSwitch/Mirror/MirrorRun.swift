internal import Netlink
internal import Reconcile
internal import SystemPackage

/// Makes and ends mirrors, one after the other.
struct MirrorRun: ~Copyable {
    private var socket: NetlinkSocket
    /// The ports as they are now, by the NIC's name: NICs may have been made since the look.
    private let ports: [String: Link]

    init(_ location: NetworkLocation) throws(NetlinkError) {
        var socket = try location.socket(.route)
        ports = MirrorKind.ports(try socket.links())
        self.socket = socket
    }

    mutating func perform(_ step: Step<MirrorSpec, MirrorObservation>) throws(NetlinkError) {
        for stray in step.observation?.strays ?? [] { try end(step.name, at: stray) }
        guard let spec = step.spec else { return }
        let source = try port(spec.source)
        let target = try port(spec.target)
        let wanted = spec.filters(at: source.index, to: target.index)
        let seen = try filters(of: source.index).filter { $0.priority == MirrorMark.priority }
        var batch = StepBatch(count: 1)
        // The mark comes first: a filter without it would never be taken away.
        batch.add(step: 0, tolerating: .existing) {
            $0.addAlternativeName(MirrorMark(step.name, on: source.index).text, to: .index(source.index))
        }
        batch.add(step: 0, tolerating: .existing) { $0.addHook(to: source.index) }
        for filter in seen where !wanted.contains(filter) { batch.add(step: 0) { $0.removeFilters(like: filter) } }
        for filter in wanted where !seen.contains(filter) { batch.add(step: 0) { $0.addFilter(filter) } }
        if let error = try batch.errors(on: &socket)[0] { throw error.about(source.name) }
    }

    /// Takes a mirror from a port, and the place for filters if nobody else has one there.
    private mutating func end(_ name: String, at port: Link) throws(NetlinkError) {
        // It may have gone since the look, and its index be another's.
        guard ports.values.contains(where: { $0.index == port.index && $0.alias == port.alias }) else { return }
        let all = try filters(of: port.index)
        let ours = all.filter { $0.priority == MirrorMark.priority }
        var batch = StepBatch(count: 1)
        for filter in ours { batch.add(step: 0, tolerating: .missing) { $0.removeFilters(like: filter) } }
        if ours.count == all.count { batch.add(step: 0, tolerating: .missing) { $0.removeHook(of: port.index) } }
        batch.add(step: 0, tolerating: .missing) {
            $0.removeAlternativeName(MirrorMark(name, on: port.index).text, from: .index(port.index))
        }
        if let error = try batch.errors(on: &socket)[0] { throw error.about(port.name) }
    }

    private mutating func filters(of port: Int32) throws(NetlinkError) -> [TrafficFilter] {
        try socket.filters(of: port, .ingress) + socket.filters(of: port, .egress)
    }

    private func port(_ nic: String) throws(NetlinkError) -> Link {
        if let port = ports[nic] { return port }
        let cause = NetlinkError.Cause.refused(
            .noSuchAddressOrDevice, words: "it has no port on this node", offset: nil)
        throw NetlinkError(operation: "find NIC", subject: nic, cause: cause)
    }
}
