internal import Netlink
internal import Reconcile

// Filtering of VLANs by a bridge: at no moment is a port in a VLAN that is not its own.
extension SwitchKind {
    /// The messages about VLANs of a bridge that is there.
    ///
    /// - Parameter leavers: ports that are to be elsewhere, or nowhere, by the time when nothing is filtered any more.
    static func mendVLANs(
        _ spec: SwitchSpec, _ seen: SwitchObservation, _ leavers: [Int32], _ writer: inout MessageWriter
    ) {
        let bridge = seen.link.index
        let isFiltering = seen.link.bridge?.filtersVLANs ?? false
        guard spec.bridging.filtersVLANs else {
            guard isFiltering else { return }
            for port in leavers {
                var leave = LinkChange()
                leave.master = 0
                writer.changeLink(.index(port), leave)
            }
            writer.change(bridge) { $0.filtersVLANs = false }
            return
        }
        // All ports that are there are in VLAN 1 as long as nothing is filtered, and so at first; then the NICs' kind
        // takes them where they are to be. Those of strangers are left in none.
        if !isFiltering || seen.link.bridge?.defaultVLAN != nil { writer.change(bridge) { $0.hasNoDefaultVLAN = true } }
        writer.changeVLANs(of: .bridge(bridge), from: nil, to: .usual)
        guard !isFiltering else { return }
        for port in seen.unfiltered { writer.changeVLANs(of: .port(port), from: nil, to: .usual) }
        writer.change(bridge) { $0.filtersVLANs = true }
    }

    /// For each step that ends the filtering of a bridge: the NICs' ports there that are in other VLANs than 1, and are
    /// not to be on that switch. They would be among the others then.
    static func leavers(
        _ steps: [Step<SwitchSpec, SwitchObservation>], _ desired: Desired, _ socket: inout NetlinkSocket
    ) throws(NetlinkError) -> [Int: [Int32]] {
        let ending = steps.indices.filter { index in
            guard case .update = steps[index].change, let seen = steps[index].observation else { return false }
            return seen.link.bridge?.filtersVLANs == true && steps[index].spec?.bridging.filtersVLANs == false
        }
        guard !ending.isEmpty else { return [:] }
        let nics = desired.specs(of: NICKind.self)
        var found: [Int: [Int32]] = [:]
        for link in try socket.linksWithVLANs() {
            guard let master = link.master, let nic = NICKind.owner(of: link) else { continue }
            guard let index = ending.first(where: { steps[$0].observation?.link.index == master }) else { continue }
            let others = (link.vlans?.members ?? VLANSet()).subtracting(VLANSet(1))
            guard !others.isEmpty, nics[nic]?.switchName != steps[index].name else { continue }
            found[index, default: []].append(link.index)
        }
        return found
    }

    /// Puts the node itself into VLAN 1 of new bridges that filter: ports and bridge come without any.
    static func settleVLANs(
        _ made: [Int], _ steps: [Step<SwitchSpec, SwitchObservation>], _ socket: inout NetlinkSocket
    ) throws(NetlinkError) -> [NetlinkError?] {
        var batch = StepBatch(count: steps.count)
        for index in made {
            guard let spec = steps[index].spec, spec.bridging.filtersVLANs else { continue }
            guard let link = try socket.link(named: spec.bridge) else { continue }
            batch.add(step: index) { $0.changeVLANs(of: .bridge(link.index), from: nil, to: .usual) }
        }
        return try batch.errors(on: &socket)
    }
}

extension MessageWriter {
    fileprivate mutating func change(_ link: Int32, _ body: (inout LinkChange) -> Void) {
        var change = LinkChange()
        body(&change)
        changeLink(.index(link), change)
    }
}

extension Link {
    /// Whether it carries a mark of ours.
    var isPortOfOurs: Bool { owner != nil || UplinkMark(of: self) != nil }
}
