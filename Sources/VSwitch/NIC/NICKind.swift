internal import Netlink
public import Reconcile
internal import Syscall
internal import SystemPackage

/// NICs of VMs and containers: taps and veth pairs that carry our alias, each a port of one switch.
///
/// A link without the alias is never touched. The far end of a veth pair is ours with all that carries our mark on it.
public struct NICKind: ResourceKind {
    public static let name = "nic"

    let links: LinkListing

    /// NICs in the namespace of the listing, which other kinds of this part share.
    public init(links: LinkListing) { self.links = links }

    public func observe(_ desired: Desired) async throws -> [String: NICObservation] {
        let sorted = try links.sorted()
        let specs = desired.specs(of: Self.self)
        var seen: [String: NICObservation] = [:]
        seen.reserveCapacity(specs.count)
        var bridges: [String: Int32] = [:]
        // By name: those that are not the NIC that is to have the name.
        var others: [InterfaceName: Link] = [:]
        for link in sorted.others {
            if let name = SwitchKind.owner(of: link) { bridges[name] = link.index }
            others[link.name] = link
        }
        for (name, link) in sorted.nics {
            // Two links with one mark: the one of the right name is the NIC, the other is nobody's.
            let wanted = specs[name]?.interface
            if wanted == link.name || wanted == nil || seen[name]?.link?.name != wanted {
                seen[name, default: NICObservation()].link = link
            }
            if wanted != link.name { others[link.name] = link }
        }
        // Of NICs that are to go, too.
        var fixed = seen.keys.filter { specs[$0] == nil && FixedAddresses.concern(seen[$0]?.link, nil) }
        var owners = OwnerLookup()
        for (name, spec) in specs {
            if !others.isEmpty, let link = others[spec.interface] {
                seen[name, default: NICObservation()].occupant = link
            }
            var owner: UInt32?
            switch owners.number(of: spec) {
            case .success(let number): owner = number
            case .failure(let problem): seen[name, default: NICObservation()].problem = problem.text
            }
            guard let index = seen.index(forKey: name) else { continue }
            seen.values[index].bridge = bridges[spec.switchName]
            seen.values[index].owner = owner
            if FixedAddresses.concern(seen.values[index].link, spec) { fixed.append(name) }
        }
        try FixedAddresses.observe(fixed, &seen, links.location)
        FarEnds.observe(specs, &seen)
        return seen
    }

    /// The NIC that a link is: a tap or a veth with our alias.
    static func owner(of link: Link) -> String? {
        guard let alias = link.alias, let name = OwnershipMark.name(inAlias: alias, kind: name) else { return nil }
        switch link.kind {
        case .tun: return link.tun?.isTap == true ? name : nil
        case .veth: return name
        default: return nil
        }
    }

    public func diff(name: String, spec: NICSpec?, observation: NICObservation?) -> Change {
        guard let spec else { return observation?.link != nil ? .delete : .none }
        if let refusal = spec.refusal { return .unsupported(reason: refusal) }
        guard let observation else { return .create(spec.summary) }
        if let problem = observation.problem { return .unsupported(reason: problem) }
        if let occupant = observation.occupant, occupant.owner == nil {
            // Loopback and physical ports have no kind: they cannot be removed.
            let removal = occupant.kind == nil ? "" : ", or remove the link with `ip link delete \(occupant.name)`"
            return .conflict(
                reason: "a link named \(occupant.name) exists and is not this NIC's; give the NIC another "
                    + "`interface:`\(removal)")
        }
        guard let link = observation.link else { return .create(spec.summary) }
        if let reason = spec.replaceReason(link, observation) { return .replace(reason: reason, spec.summary) }
        let fields = NICDifference(spec, link, observation).fields
        guard fields.isEmpty else { return .update(fields) }
        guard link.isShut, spec.port.guardsTree else { return .none }
        return .degraded(
            reason: "it has sent a spanning tree message, and the switch has shut its port; stop that, then set its "
                + "link down with `ip link set \(link.name) down`, and it comes back")
    }

    public func obstacle(_ observation: NICObservation) -> Obstacle? { observation.occupant?.obstacle }

    public func remark(_ spec: NICSpec) -> String? {
        spec.unguarded.isEmpty ? nil : "unguarded: \(spec.unguarded.words)"
    }

    public func perform(_ steps: [Step<NICSpec, NICObservation>], desired: Desired) async -> [StepOutcome] {
        defer { links.forget() }
        do throws(NetlinkError) {
            var run = try NICRun(steps, links.location)
            return try run.perform()
        } catch {
            return steps.map { _ in .failed("\(error)") }
        }
    }
}

/// Why this node cannot have a NIC, in words.
struct NICProblem: Error, Hashable {
    let text: String
}

/// Looks up the users that own taps, each name once.
struct OwnerLookup {
    private var known: [String: Result<UInt32?, NICProblem>] = [:]

    /// The number of the user who is to own the NIC's tap; nil if there is to be none.
    mutating func number(of spec: NICSpec) -> Result<UInt32?, NICProblem> {
        switch spec.attachment {
        case .namespace, .tap(nil): return .success(nil)
        case .tap(.number(let number)): return .success(number)
        case .tap(.name(let name)):
            if let answer = known[name] { return answer }
            let answer = Self.look(name)
            known[name] = answer
            return answer
        }
    }

    private static func look(_ name: String) -> Result<UInt32?, NICProblem> {
        do throws(Errno) {
            if let number = try User.number(named: name) { return .success(number) }
            return .failure(NICProblem(text: "owner: this node has no user '\(name)'; create it, or give a number"))
        } catch {
            return .failure(NICProblem(text: "owner: user '\(name)' cannot be looked up: \(error)"))
        }
    }
}
