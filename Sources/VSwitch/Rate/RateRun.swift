internal import Netlink
internal import Reconcile

/// One run of steps on rates: ifbs are made, then all that hangs on them and on the ports is set in one batch.
struct RateRun: ~Copyable {
    typealias RateStep = Step<RateSpec, RateObservation>

    private let steps: [RateStep]
    /// The NICs that the manifest names: the ports of others go anyway, with all that hangs on them.
    private let staying: Set<String>
    private let location: NetworkLocation
    private var socket: NetlinkSocket
    /// The ports as they are now, by the NIC's name: NICs may have been made since the look.
    private var ports: [String: Link] = [:]
    private var failures: [String?]

    init(_ steps: [RateStep], staying: Set<String>, _ location: NetworkLocation) throws(NetlinkError) {
        self.steps = steps
        self.staying = staying
        self.location = location
        socket = try location.socket(.route)
        failures = Array(repeating: nil, count: steps.count)
    }

    /// Performs all steps; one outcome for each.
    mutating func perform() throws(NetlinkError) -> [StepOutcome] {
        try removeStrayIFBs()
        try makeIFBs()
        let ifbs = try findLinks()
        try set(ifbs)
        try removeHooks()
        try removeIFBs { $0.spec?.egress == nil }
        return failures.map { $0.map { .failed($0) } ?? .done }
    }

    private mutating func fail(_ index: Int, _ words: String) {
        if failures[index] == nil { failures[index] = words }
    }

    private mutating func note(_ errors: [NetlinkError?], _ name: (RateStep) -> InterfaceName?) {
        for (index, error) in errors.enumerated() {
            guard let error else { continue }
            fail(index, "\(name(steps[index]).map { error.about($0) } ?? error)")
        }
    }

    /// What the step was planned on, as far as it still counts: what hung on a port that was made anew is gone.
    private func seen(_ index: Int) -> RateObservation {
        var seen = steps[index].observation ?? RateObservation()
        if seen.port?.index != ports[steps[index].name]?.index {
            seen.port = ports[steps[index].name]
            seen.root = nil
            seen.hasHook = false
            seen.redirection = nil
        }
        return seen
    }
}

// The links.
extension RateRun {
    /// An ifb of another name: the NIC's interface is called otherwise now.
    private mutating func removeStrayIFBs() throws(NetlinkError) {
        try removeIFBs { step in step.spec.map { $0.egress != nil && step.observation?.ifb?.name != $0.ifb } ?? false }
    }

    private mutating func removeIFBs(_ isGoing: (RateStep) -> Bool) throws(NetlinkError) {
        let going = steps.indices.filter {
            failures[$0] == nil && steps[$0].observation?.ifb != nil && isGoing(steps[$0])
        }
        let links = going.compactMap { steps[$0].observation?.ifb }
        guard !links.isEmpty else { return }
        let errors = try LinkRemoval.remove(links, on: &socket)
        for (index, error) in zip(going, errors) {
            if let error { fail(index, "\(error)") }
        }
    }

    private mutating func makeIFBs() throws(NetlinkError) {
        var batch = StepBatch(count: steps.count)
        var made: [(step: Int, name: InterfaceName)] = []
        for index in steps.indices where failures[index] == nil {
            guard let spec = steps[index].spec, spec.egress != nil else { continue }
            guard steps[index].observation?.ifb?.name != spec.ifb else { continue }
            var mark = LinkChange()
            mark.alias = OwnershipMark.alias(kind: RateKind.name, name: steps[index].name)
            mark.addressGeneration = PortIPv6.generation(mtu: nil)
            made.append((index, spec.ifb))
            batch.add(step: index) {
                $0.createIFB(spec.ifb)
                $0.changeLink(.name(spec.ifb), mark)
            }
        }
        guard !made.isEmpty else { return }
        let errors = try batch.errors(on: &socket)
        note(errors) { $0.spec?.ifb }
        // One that could be made and not marked would be nobody's.
        var removal = StepBatch(count: steps.count)
        for (step, name) in made {
            guard let error = errors[step], error.operation == "change link" else { continue }
            removal.add(step: step, tolerating: .missing) { $0.deleteLink(.name(name)) }
        }
        for (step, error) in zip(steps.indices, try removal.errors(on: &socket)) {
            guard let error, let name = steps[step].spec?.ifb else { continue }
            failures[step] = "\(failures[step] ?? ""); and it cannot be removed, so remove \(name) yourself: \(error)"
        }
    }

    /// Finds the ports as they are now; returns the ifbs by the NIC's name.
    private mutating func findLinks() throws(NetlinkError) -> [String: Link] {
        var ifbs: [String: Link] = [:]
        for link in try socket.links() {
            if let name = NICKind.owner(of: link) { ports[name] = link }
            if let name = RateKind.owner(of: link) { ifbs[name] = link }
        }
        return ifbs
    }
}

// What hangs on them.
extension RateRun {
    private mutating func set(_ ifbs: [String: Link]) throws(NetlinkError) {
        var batch = StepBatch(count: steps.count)
        for index in steps.indices where failures[index] == nil {
            let name = steps[index].name
            guard let port = ports[name] else {
                if steps[index].spec != nil { fail(index, "NIC \(name) has no port on this node") }
                continue
            }
            guard staying.contains(name) || steps[index].spec != nil else { continue }
            let difference = RateDifference(steps[index].spec, seen(index))
            Self.setEgress(difference, port, ifbs[name], hasHook: seen(index).hasHook, index, &batch)
            Self.setIngress(difference, port, index, &batch)
        }
        note(try batch.errors(on: &socket)) { $0.spec?.interface }
    }

    /// The bucket comes before the packets.
    private static func setEgress(
        _ difference: RateDifference, _ port: Link, _ ifb: Link?, hasHook: Bool, _ step: Int, _ batch: inout StepBatch
    ) {
        if let ifb {
            if let bucket = difference.ifbBucket {
                batch.add(step: step) {
                    $0.setTokenBucket(bucket, of: ifb.index, major: RateMark.major, overhead: RateMark.overhead)
                }
            }
            if difference.isIFBDown {
                var change = LinkChange()
                change.isUp = true
                batch.add(step: step) { $0.changeLink(.index(ifb.index), change) }
            }
        }
        if difference.isRedirectionLeft {
            batch.add(step: step, tolerating: .missing) { $0.removeFilters(like: RateMark.redirection(on: port.index)) }
        }
        guard let ifb, difference.isRedirectionDue else { return }
        if !hasHook { batch.add(step: step, tolerating: .existing) { $0.addHook(to: port.index) } }
        batch.add(step: step) { $0.addFilter(RateMark.redirection(on: port.index, to: ifb.index)) }
    }

    private static func setIngress(
        _ difference: RateDifference, _ port: Link, _ step: Int, _ batch: inout StepBatch
    ) {
        if let bucket = difference.bucket {
            batch.add(step: step) {
                $0.setTokenBucket(bucket, of: port.index, major: RateMark.major, overhead: RateMark.overhead)
            }
        }
        guard difference.isBucketLeft else { return }
        if port.kind == .tun {
            batch.add(step: step) { $0.removeQueue(of: port.index) }
        } else {
            batch.add(step: step, tolerating: .missing) { $0.removeRootDiscipline(of: port.index) }
        }
    }

    /// Takes the place for filters from ports that no longer need it, unless somebody else has filters there.
    private mutating func removeHooks() throws(NetlinkError) {
        var batch = StepBatch(count: steps.count)
        for index in steps.indices where failures[index] == nil && steps[index].spec?.egress == nil {
            guard staying.contains(steps[index].name), let port = ports[steps[index].name] else { continue }
            guard seen(index).redirection != nil else { continue }
            let received = try socket.filters(of: port.index, .ingress)
            let sent = try socket.filters(of: port.index, .egress)
            guard received.isEmpty, sent.isEmpty else { continue }
            batch.add(step: index, tolerating: .missing) { $0.removeHook(of: port.index) }
        }
        note(try batch.errors(on: &socket)) { $0.spec?.interface }
    }
}
