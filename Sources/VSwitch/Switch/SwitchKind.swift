public import Capabilities
public import Netlink
public import Reconcile
public import Rules

/// What the node shows of a switch.
public struct SwitchObservation: Hashable, Sendable {
    /// The link that has the name of the switch's bridge.
    public var link: Link
    /// It is a bridge, and carries the mark of this switch.
    public var isOurs: Bool
    /// Further bridges with the mark of this switch: renamed by hand, and made anew since.
    public var strays: [Link] = []
    /// What somebody else has plugged into it: the fence lets such a port carry nothing.
    public var strangers: [InterfaceName] = []
    /// Other people's chains that drop what passes between its ports.
    public var blockades: [ForeignFilters.Blockade] = []
    /// Those that drop it because the node has no route to whom it comes from.
    public var routeChecks: [ForeignFilters.Blockade] = []
    /// Its ports of ours, by index, where it is to filter VLANs and does not yet.
    public var unfiltered: [Int32] = []
}

/// Virtual switches: bridges that carry our alias. A link without it is never touched.
public struct SwitchKind: ResourceKind {
    public static let name = "switch"

    let links: LinkListing
    /// Asked only for what not every kernel has.
    private let capabilities: @Sendable () -> Capabilities
    private let filters: ForeignFilterListing?

    /// Switches in the namespace of the listing, which other kinds of this part share.
    ///
    /// - Parameter filters: of the same namespace; without one nobody else's rules are looked at.
    public init(
        links: LinkListing, _ filters: ForeignFilterListing? = nil,
        capabilities: @escaping @Sendable () -> Capabilities = { .current }
    ) {
        self.links = links
        self.filters = filters
        self.capabilities = capabilities
    }

    public func observe(_ desired: Desired) async throws -> [String: SwitchObservation] {
        let listing = try links.fresh()
        let wanted = desired.specs(of: Self.self)
        let names = Dictionary(wanted.keys.map { (SwitchSpec.bridge(of: $0), $0) }) { first, _ in first }
        var seen: [String: SwitchObservation] = [:]
        for link in listing {
            if let name = Self.owner(of: link) {
                seen[name] = SwitchObservation(link: link, isOurs: true)
            } else if let name = names[link.name] {
                seen[name] = SwitchObservation(link: link, isOurs: false)
            }
        }
        // What carries our mark is ours under any name: where no link has the right name, it is that bridge.
        for link in listing {
            guard let name = Self.marked(link), SwitchSpec.bridge(of: name) != link.name else { continue }
            if seen[name] == nil {
                seen[name] = SwitchObservation(link: link, isOurs: true)
            } else {
                seen[name]?.strays.append(link)
            }
        }
        let borrowed = Set(desired.specs(of: UplinkKind.self).values.map(\.interface))
        for link in try links.sorted().foreign {
            guard let master = link.master, UplinkMark(of: link) == nil else { continue }
            // A port that is about to be borrowed is no stranger.
            guard !borrowed.contains(link.name) else { continue }
            let owner = seen.first { $0.value.isOurs && $0.value.link.index == master }
            if let name = owner?.key { seen[name]?.strangers.append(link.name) }
        }
        for (name, spec) in wanted where spec.bridging.filtersVLANs {
            guard let bridge = seen[name]?.link, bridge.bridge?.filtersVLANs == false else { continue }
            seen[name]?.unfiltered = listing.filter { $0.master == bridge.index && $0.isPortOfOurs }.map(\.index)
        }
        let filters = filters?.look() ?? .none
        guard !filters.areNone else { return seen }
        let nics = Dictionary(grouping: desired.specs(of: NICKind.self).values, by: \.switchName)
        for (name, spec) in wanted where seen[name]?.isOurs == true {
            seen[name]?.blockades = filters.blockades(on: spec.bridge.description, isTracked: spec.isTracked)
            seen[name]?.routeChecks = [true, false].filter { spec.isApart(nics[name] ?? [], isIPv4: $0) }.flatMap {
                filters.routeChecks(on: spec.bridge.description, isTracked: spec.isTracked, isIPv4: $0)
            }
        }
        return seen
    }

    /// The switch that a link is: a bridge with our alias and the name that follows from it.
    static func owner(of link: Link) -> String? {
        guard let name = marked(link) else { return nil }
        return SwitchSpec.bridge(of: name) == link.name ? name : nil
    }

    /// The switch whose mark a bridge carries, whatever it is called.
    private static func marked(_ link: Link) -> String? {
        guard link.kind == .bridge, let alias = link.alias else { return nil }
        return OwnershipMark.name(inAlias: alias, kind: name)
    }

    public func diff(name: String, spec: SwitchSpec?, observation: SwitchObservation?) -> Change {
        guard let spec else { return observation?.isOurs == true ? .delete : .none }
        if let reason = spec.part?.refusal ?? spec.settings.lack(in: capabilities) {
            return .unsupported(reason: reason)
        }
        guard let observation else { return Self.creation(spec) }
        let link = observation.link
        guard observation.isOurs else {
            if link.owner != nil { return Self.creation(spec) }
            let what = link.kind.map { "a \($0) link" } ?? "a link"
            // Loopback and physical ports have no kind: they cannot be removed.
            let removal = link.kind == nil ? "" : ", or remove the link with `ip link delete \(link.name)`"
            return .conflict(
                reason: "\(what) named \(link.name) exists and is not ours; rename the switch\(removal)")
        }
        let strays = observation.strays.map { FieldChange("bridge too many", from: "\($0.name)") }
        let fields = Self.differences(spec, link).map(\.field) + strays
        if !fields.isEmpty { return .update(fields) }
        let troubles =
            [Self.strangeness(observation.strangers)].compactMap { $0 }
            + observation.blockades.map { obstruction($0, "", spec.bridge) }
            + observation.routeChecks.map {
                obstruction($0, ", since the node has no route to whom it comes from", spec.bridge)
            }
        return troubles.isEmpty ? .none : .degraded(reason: troubles.joined(separator: ". "))
    }

    /// In words, what others have plugged in.
    private static func strangeness(_ strangers: [InterfaceName]) -> String? {
        guard let first = strangers.min(by: { $0.description < $1.description }) else { return nil }
        let others = strangers.count > 1 ? " and \(strangers.count - 1) more are" : " is"
        return "\(first)\(others) plugged into it by somebody else and carries nothing; "
            + "make it an uplink, or release it with `ip link set \(first) nomaster`"
    }

    /// In words, that somebody else's chain drops what its NICs send each other.
    private func obstruction(
        _ blockade: ForeignFilters.Blockade, _ why: String, _ bridge: InterfaceName
    ) -> String {
        let owner = ForeignOwner(of: blockade.filter, canNameBridges: capabilities().has(.bridgeMeta))
        let sight = blockade.sight.map { " (\($0))" } ?? ""
        return "\(owner.title) drops what passes between its ports\(why)\(sight); "
            + "let it pass with `\(owner.remedy(for: ["\(bridge)"]))`"
    }

    private static func creation(_ spec: SwitchSpec) -> Change {
        let vlans = spec.vlanWords.map { [$0] } ?? []
        return .create([FieldChange("mtu", to: "\(spec.mtu)")] + vlans + spec.settings.summary)
    }

    public func remark(_ spec: SwitchSpec) -> String? {
        guard let words = spec.vlanWords, let ways = words.to else { return nil }
        return "\(words.field) \(ways)"
    }

    public func obstacle(_ observation: SwitchObservation) -> Obstacle? {
        observation.isOurs ? nil : observation.link.obstacle
    }

    public func perform(
        _ steps: [Step<SwitchSpec, SwitchObservation>], desired: Desired
    ) async -> [StepOutcome] {
        defer { links.forget() }
        do throws(NetlinkError) {
            var socket = try links.location.socket(.route)
            return try Self.perform(steps, desired, &socket)
        } catch {
            return steps.map { _ in .failed("\(error)") }
        }
    }
}

extension SwitchKind {
    /// One property that differs, with the message that mends it.
    private struct Difference {
        let field: FieldChange
        let mend: (inout LinkChange) -> Void
    }

    private static func differences(_ spec: SwitchSpec, _ link: Link) -> [Difference] {
        var found: [Difference] = []
        if link.name != spec.bridge {
            let field = FieldChange("name", from: "\(link.name)", to: "\(spec.bridge)")
            found.append(Difference(field: field) { $0.name = spec.bridge })
        }
        if link.mtu != spec.mtu {
            let field = FieldChange("mtu", from: "\(link.mtu)", to: "\(spec.mtu)")
            found.append(Difference(field: field) { $0.mtu = spec.mtu })
        }
        if link.mac != spec.mac {
            let field = FieldChange("mac", from: link.mac?.description, to: "\(spec.mac)")
            found.append(Difference(field: field) { $0.mac = spec.mac })
        }
        if let bridge = link.bridge?.settled(as: spec.bridging), bridge != spec.bridging {
            for field in bridge.differences(from: spec.bridging) {
                found.append(Difference(field: field) { $0.bridge = spec.bridging })
            }
        }
        // The node itself is in VLAN 1. While nothing is filtered yet, nobody has listed them.
        if spec.bridging.filtersVLANs, let vlans = link.vlans, vlans != .usual {
            let field = FieldChange("vlans of the node", from: vlans.words, to: PortVLANs.usual.words)
            found.append(Difference(field: field) { _ in })
        }
        if let generation = link.addressGeneration, generation != spec.addressGeneration {
            let wanted = spec.addressGeneration
            let field = FieldChange("address generation", from: "\(generation)", to: "\(wanted)")
            found.append(Difference(field: field) { $0.addressGeneration = wanted })
        }
        if !link.isUp {
            found.append(Difference(field: FieldChange("state", from: "down", to: "up")) { $0.isUp = true })
        }
        return found
    }

    private static func perform(
        _ steps: [Step<SwitchSpec, SwitchObservation>], _ desired: Desired, _ socket: inout NetlinkSocket
    ) throws(NetlinkError) -> [StepOutcome] {
        let leavers = try leavers(steps, desired, &socket)
        var batch = StepBatch(count: steps.count)
        for (index, step) in steps.enumerated() {
            switch (step.change, step.spec, step.observation) {
            case (.create, let spec?, _):
                // Not yet the MTU that is wanted: only a change of it, later, pins it (BROPT_MTU_SET_BY_USER). Else the
                // bridge would follow the lowest of its ports'.
                let other = spec.mtu < 65_535 ? spec.mtu + 1 : spec.mtu - 1
                batch.add(step: index) {
                    $0.createBridge(spec.bridge, mac: spec.mac, mtu: other, attributes: spec.bridging)
                }
            case (.update, let spec?, let seen?):
                delete(seen.strays, of: index, &batch)
                batch.add(step: index) {
                    update(spec, seen.link, &$0)
                    mendVLANs(spec, seen, leavers[index] ?? [], &$0)
                }
            case (.delete, _, let seen?):
                delete([seen.link] + seen.strays, of: index, &batch)
            default: break
            }
        }
        let errors = try batch.errors(on: &socket)
        let made = steps.indices.filter { steps[$0].change.makesLink && errors[$0] == nil }
        let marks = try mark(made, steps, &socket)
        let vlans = try settleVLANs(made.filter { marks[$0] == nil }, steps, &socket)
        return steps.indices.map { index in
            guard let error = errors[index] ?? marks[index] ?? vlans[index] else { return .done }
            return .failed("\(error.about(steps[index].spec?.bridge ?? SwitchSpec.bridge(of: steps[index].name)))")
        }
    }

    private static func delete(_ links: [Link], of step: Int, _ batch: inout StepBatch) {
        for link in links { batch.add(step: step, tolerating: .missing) { $0.deleteLink(.index(link.index)) } }
    }

    private static func update(_ spec: SwitchSpec, _ link: Link, _ writer: inout MessageWriter) {
        var change = LinkChange()
        for difference in differences(spec, link) { difference.mend(&change) }
        if change.name != nil, link.isUp {
            // Down while it gets its name back: older kernels rename no link that is up.
            var first = LinkChange()
            first.isUp = false
            writer.changeLink(.index(link.index), first)
            change.isUp = true
        }
        if link.bridge?.isSTPEnabled == true, !spec.bridging.isSTPEnabled {
            var first = LinkChange()
            first.isSTPEnabled = false
            writer.changeLink(.index(link.index), first)
        }
        let isReturning = PortIPv6.returns(to: link, mtu: change.mtu)
        if isReturning || change.addressGeneration != nil {
            // Down while its IPv6 comes back, so that it forms no address before it is told not to; and while it is
            // told otherwise, since it forms one, or gives it up, only then.
            var first = LinkChange()
            first.isUp = false
            writer.changeLink(.index(link.index), first)
            first.mtu = change.mtu
            if !isReturning { first.addressGeneration = change.addressGeneration }
            writer.changeLink(.index(link.index), first)
            change.addressGeneration = spec.addressGeneration
            change.isUp = true
        }
        writer.changeLink(.index(link.index), change)
    }

    /// Marks new bridges as ours and switches them on; takes those away again that cannot be marked.
    ///
    /// Only after the kernel has said that it made them: a link that was there before keeps its own properties.
    private static func mark(
        _ made: [Int], _ steps: [Step<SwitchSpec, SwitchObservation>], _ socket: inout NetlinkSocket
    ) throws(NetlinkError) -> [NetlinkError?] {
        var batch = StepBatch(count: steps.count)
        for index in made {
            guard let spec = steps[index].spec else { continue }
            var change = LinkChange()
            change.alias = OwnershipMark.alias(kind: name, name: spec.name)
            change.mtu = spec.mtu
            change.addressGeneration = PortIPv6.generation(mtu: spec.mtu).map { _ in spec.addressGeneration }
            change.isUp = true
            batch.add(step: index) { $0.changeLink(.name(spec.bridge), change) }
        }
        let errors = try batch.errors(on: &socket)
        var removal = StepBatch(count: steps.count)
        for index in made where errors[index] != nil {
            guard let spec = steps[index].spec else { continue }
            removal.add(step: index, tolerating: .missing) { $0.deleteLink(.name(spec.bridge)) }
        }
        _ = try removal.errors(on: &socket)
        return errors
    }
}
