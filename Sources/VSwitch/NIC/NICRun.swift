internal import Netlink
internal import Reconcile
internal import Syscall
internal import SystemPackage

/// One run of steps on NICs: what goes, goes in one group; what comes, comes in pipelined batches.
struct NICRun: ~Copyable {
    typealias NICStep = Step<NICSpec, NICObservation>

    let steps: [NICStep]
    let location: NetworkLocation
    var socket: NetlinkSocket
    /// Why a step failed, in words; nil for those that went well so far.
    private(set) var failures: [String?]

    init(_ steps: [NICStep], _ location: NetworkLocation) throws(NetlinkError) {
        self.steps = steps
        self.location = location
        socket = try location.socket(.route)
        failures = Array(repeating: nil, count: steps.count)
    }

    /// Performs all steps; one outcome for each.
    mutating func perform() throws(NetlinkError) -> [StepOutcome] {
        try remove()
        let bridges = try findBridges()
        try makeTaps(bridges)
        try makePairs(bridges)
        try update(bridges)
        try mendFarEnds()
        return failures.map { $0.map { .failed($0) } ?? .done }
    }

    /// Deletes what is to go, and what is to be made anew.
    private mutating func remove() throws(NetlinkError) {
        let going = steps.indices.filter { steps[$0].change.removesLink }
        let links = going.compactMap { steps[$0].observation?.link }
        guard !links.isEmpty else { return }
        let errors = try LinkRemoval.remove(links, on: &socket)
        for (index, error) in zip(going.filter { steps[$0].observation?.link != nil }, errors) {
            if let error { fail(index, "\(error)") }
        }
    }

    /// The bridges that the steps' switches have now, by switch name; a switch without one fails its steps.
    private mutating func findBridges() throws(NetlinkError) -> [String: Int32] {
        var bridges: [String: Int32] = [:]
        for name in Set(steps.compactMap { $0.spec?.switchName }).sorted() {
            let link = try socket.link(named: SwitchSpec.bridge(of: name))
            if let link, SwitchKind.owner(of: link) == name { bridges[name] = link.index }
        }
        for index in steps.indices {
            guard let name = steps[index].spec?.switchName, bridges[name] == nil else { continue }
            fail(index, "switch '\(name)' has no bridge of ours on this node")
        }
        return bridges
    }

    mutating func fail(_ index: Int, _ words: String) {
        if failures[index] == nil { failures[index] = words }
    }

    /// The steps that make a NIC and have not failed, of one attachment.
    func creations(_ isOfType: (NICSpec.Attachment) -> Bool) -> [(step: Int, spec: NICSpec)] {
        steps.indices.compactMap { index in
            guard steps[index].change.makesLink, failures[index] == nil else { return nil }
            guard let spec = steps[index].spec, isOfType(spec.attachment) else { return nil }
            return (index, spec)
        }
    }

    /// All that a new port needs, in the one message that also makes it a port.
    func portChange(_ spec: NICSpec, _ bridges: [String: Int32]) -> LinkChange {
        var change = LinkChange()
        change.mac = spec.hostMAC
        change.mtu = spec.mtu
        change.alias = OwnershipMark.alias(kind: NICKind.name, name: spec.resourceName)
        change.master = bridges[spec.switchName]
        change.addressGeneration = PortIPv6.generation(mtu: spec.mtu)
        change.isUp = true
        return change
    }
}

extension NICRun {
    private mutating func update(_ bridges: [String: Int32]) throws(NetlinkError) {
        var first = StepBatch(count: steps.count)
        var batch = StepBatch(count: steps.count)
        var quieted: [(step: Int, name: InterfaceName)] = []
        var opened: [(step: Int, name: InterfaceName, access: Tap.Access)] = []
        var lowered: [(step: Int, link: Int32)] = []
        for index in steps.indices where steps[index].change.keepsLink && failures[index] == nil {
            guard let spec = steps[index].spec, var seen = steps[index].observation else { continue }
            guard let link = seen.link else { continue }
            seen.bridge = bridges[spec.switchName]
            let difference = NICDifference(spec, link, seen)
            var change = difference.link
            let isIPv6Returning = PortIPv6.returns(to: link, mtu: change.mtu)
            if isIPv6Returning {
                // Down while its IPv6 comes back, so that the port says nothing before it is switched off.
                var down = LinkChange()
                down.isUp = false
                first.add(step: index) { $0.changeLink(.index(link.index), down) }
                down.mtu = change.mtu
                first.add(step: index) { $0.changeLink(.index(link.index), down) }
                change.addressGeneration = AddressGeneration.none
                change.isUp = true
                if link.isUp { lowered.append((index, link.index)) }
            }
            if difference.isIPv6Due || isIPv6Returning { quieted.append((index, link.name)) }
            if let access = difference.access { opened.append((index, link.name, access)) }
            guard difference.concernsBridge else {
                if change != LinkChange() { batch.add(step: index) { $0.changeLink(.index(link.index), change) } }
                continue
            }
            batch.add(step: index) { Self.mend(link, difference, change, &$0) }
        }
        try send(first)
        // Whose MTU is refused has no IPv6 yet, and goes on as it was.
        var again = StepBatch(count: steps.count)
        var up = LinkChange()
        up.isUp = true
        for (index, link) in lowered where failures[index] != nil {
            again.add(step: index) { $0.changeLink(.index(link), up) }
        }
        try send(again)
        try quiet(quieted, opened)
        try send(batch)
    }

    private mutating func send(_ batch: StepBatch) throws(NetlinkError) {
        for (step, error) in try batch.errors(on: &socket).enumerated() {
            guard let error, let interface = steps[step].spec?.interface else { continue }
            fail(step, "\(error.about(interface))")
        }
    }

    /// The changes that are not made by netlink: IPv6 off, owners of taps.
    private mutating func quiet(
        _ quieted: [(step: Int, name: InterfaceName)], _ opened: [(step: Int, name: InterfaceName, access: Tap.Access)]
    ) throws(NetlinkError) {
        guard !quieted.isEmpty || !opened.isEmpty else { return }
        do throws(Errno) {
            let words = try location.run { () -> [(Int, String)] in
                var words: [(Int, String)] = []
                for (step, name) in quieted {
                    do throws(Errno) { try PortIPv6.switchOff(name) } catch {
                        words.append((step, PortIPv6.words(error, name)))
                    }
                }
                for (step, name, access) in opened {
                    do throws(Errno) { try Tap.setAccess(name.description, to: access) } catch {
                        words.append((step, "set the owner of tap \(name): \(error)"))
                    }
                }
                return words
            }
            for (step, text) in words { fail(step, text) }
        } catch {
            throw NetlinkError(operation: "enter the network namespace", cause: .system(error))
        }
    }
}
