internal import Netlink
internal import Reconcile
internal import Syscall
internal import SystemPackage

/// One run of steps on overlays: what goes, goes first; what comes is made, marked, and then mended like what is there.
struct OverlayRun: ~Copyable {
    typealias OverlayStep = Step<OverlaySpec, OverlayObservation>

    private let steps: [OverlayStep]
    private let location: NetworkLocation
    private var socket: NetlinkSocket
    /// Why a step failed, in words; nil for those that went well so far.
    private var failures: [String?]

    init(_ steps: [OverlayStep], _ location: NetworkLocation) throws(NetlinkError) {
        self.steps = steps
        self.location = location
        socket = try location.socket(.route)
        failures = Array(repeating: nil, count: steps.count)
    }

    /// Performs all steps; one outcome for each.
    mutating func perform() throws(NetlinkError) -> [StepOutcome] {
        try removeNeighbours()
        try removeLinks()
        try make()
        try converge()
        return failures.map { $0.map { .failed($0) } ?? .done }
    }

    private mutating func fail(_ step: Int, _ words: String) {
        if failures[step] == nil { failures[step] = words }
    }

    private mutating func send(_ batch: StepBatch) throws(NetlinkError) {
        for (step, error) in try batch.errors(on: &socket).enumerated() {
            if let error { fail(step, "\(error.about(OverlayKind.id(steps[step].name)))") }
        }
    }
}

extension OverlayRun {
    /// Neighbours are on the bridge, which stays; the other entries go with their link.
    private mutating func removeNeighbours() throws(NetlinkError) {
        var batch = StepBatch(count: steps.count)
        for (index, step) in steps.enumerated() where step.change == .delete {
            guard let seen = step.observation, let bridge = seen.bridge else { continue }
            for (address, mac) in seen.entries.neighbours {
                let neighbour = Neighbour(address, mac: mac, link: bridge.index)
                batch.add(step: index, tolerating: .missing) { $0.removeNeighbour(neighbour) }
            }
        }
        try send(batch)
    }

    private mutating func removeLinks() throws(NetlinkError) {
        let going = steps.indices.filter { steps[$0].change.removesLink && steps[$0].observation?.link != nil }
        let links = going.compactMap { steps[$0].observation?.link }
        guard !links.isEmpty else { return }
        for (step, error) in zip(going, try LinkRemoval.remove(links, on: &socket)) {
            if let error { fail(step, "\(error)") }
        }
    }

    /// Makes links, down and no ports yet, and marks them; takes those away again that cannot be marked.
    ///
    /// Only after the kernel has said that it made them: a link that was there before keeps its own properties.
    private mutating func make() throws(NetlinkError) {
        var batch = StepBatch(count: steps.count)
        for (step, spec) in pending(where: \.makesLink) {
            batch.add(step: step) {
                $0.createVXLAN(spec.interface, mac: spec.mac, mtu: spec.mtu, attributes: spec.tunnel)
            }
        }
        try send(batch)
        let made = pending(where: \.makesLink)
        var marks = StepBatch(count: steps.count)
        for (step, spec) in made {
            var change = LinkChange()
            change.alias = OwnershipMark.alias(kind: OverlayKind.name, name: spec.switchName)
            change.addressGeneration = PortIPv6.generation(mtu: spec.mtu)
            marks.add(step: step) { $0.changeLink(.name(spec.interface), change) }
        }
        try send(marks)
        var removal = StepBatch(count: steps.count)
        for (step, spec) in made where failures[step] != nil {
            removal.add(step: step, tolerating: .missing) { $0.deleteLink(.name(spec.interface)) }
        }
        try send(removal)
    }

    /// The steps that have not failed, with their specs.
    private func pending(where matches: (Change) -> Bool) -> [(step: Int, spec: OverlaySpec)] {
        steps.indices.compactMap { index in
            guard failures[index] == nil, matches(steps[index].change) else { return nil }
            return steps[index].spec.map { (index, $0) }
        }
    }
}

extension OverlayRun {
    /// Mends what differs, as the node is now: a new link differs in nearly all, and a bridge that was changed in this
    /// apply may have forgotten its neighbours.
    private mutating func converge() throws(NetlinkError) {
        let members = pending { _ in true }
        guard !members.isEmpty else { return }
        let specs = Dictionary(members.map { ($0.spec.switchName, $0.spec) }) { first, _ in first }
        let sight = try OverlaySight(socket.linksWithVLANs(), specs, [:], &socket)
        var first = StepBatch(count: steps.count)
        var batch = StepBatch(count: steps.count)
        var quieted: [(step: Int, name: InterfaceName)] = []
        var raised: [(step: Int, index: Int32)] = []
        for (step, spec) in members {
            guard let seen = sight.overlays[spec.switchName], let link = seen.link else {
                fail(step, "its link \(spec.interface) is gone")
                continue
            }
            guard let bridge = seen.bridge else {
                fail(step, "switch '\(spec.switchName)' has no bridge of ours on this node")
                continue
            }
            var difference = OverlayDifference(spec, link, seen)
            if PortIPv6.returns(to: link, mtu: difference.link.mtu) {
                // Down while its IPv6 comes back, so that the port says nothing before it is switched off.
                var down = LinkChange()
                down.isUp = false
                first.add(step: step) { $0.changeLink(.index(link.index), down) }
                down.mtu = difference.link.mtu
                first.add(step: step) { $0.changeLink(.index(link.index), down) }
                difference.noteIPv6Return()
            }
            write(difference, link, bridge, step, to: &batch)
            if difference.isIPv6Due { quieted.append((step, link.name)) }
            if difference.isUpDue { raised.append((step, link.index)) }
        }
        try send(first)
        try quiet(quieted)
        try send(batch)
        try raise(raised)
    }

    private func write(
        _ difference: OverlayDifference, _ link: Link, _ bridge: Link, _ step: Int, to batch: inout StepBatch
    ) {
        batch.add(step: step) { writer in
            if difference.link != LinkChange() { writer.changeLink(.index(link.index), difference.link) }
            if let port = difference.port { writer.changeBridgePort(.index(link.index), port) }
            if let vlans = difference.vlans {
                writer.changeVLANs(of: .port(link.index), from: vlans.from, to: vlans.to)
            }
            if let tunnel = difference.tunnel { writer.changeVXLAN(.index(link.index), tunnel) }
        }
        difference.program.write(link: link.index, bridge: bridge.index, step: step, to: &batch)
    }

    private mutating func quiet(_ ports: [(step: Int, name: InterfaceName)]) throws(NetlinkError) {
        guard !ports.isEmpty else { return }
        let names = ports.map(\.name)
        let errors: [Errno?]
        do throws(Errno) {
            errors = try location.run {
                names.map { name in
                    do throws(Errno) { try PortIPv6.switchOff(name) } catch { return error }
                    return nil
                }
            }
        } catch {
            throw NetlinkError(operation: "switch IPv6 off on ports", cause: .system(error))
        }
        for (port, error) in zip(ports, errors) {
            if let error { fail(port.step, "switch IPv6 off on \(port.name): \(error)") }
        }
    }

    /// Last of all: a link says and hears nothing before all else is as asked.
    private mutating func raise(_ links: [(step: Int, index: Int32)]) throws(NetlinkError) {
        var batch = StepBatch(count: steps.count)
        var change = LinkChange()
        change.isUp = true
        for (step, index) in links where failures[step] == nil {
            batch.add(step: step) { $0.changeLink(.index(index), change) }
        }
        try send(batch)
    }
}
