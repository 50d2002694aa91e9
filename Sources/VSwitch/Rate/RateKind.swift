public import Capabilities
internal import Netlink
public import Reconcile

/// Caps on what NICs receive and send.
///
/// A token bucket of ours is the root discipline of the NIC's port, known by its number; an ifb of ours carries our
/// alias. What somebody else has put at a port's root is not replaced.
public struct RateKind: ResourceKind {
    public static let name = "rate"

    let links: LinkListing
    /// Asked only when something is to be done.
    private let capabilities: @Sendable () -> Capabilities

    /// Rates in the namespace of the listing, which other kinds of this part share.
    public init(links: LinkListing, capabilities: @escaping @Sendable () -> Capabilities = { .current }) {
        self.links = links
        self.capabilities = capabilities
    }

    public func observe(_ desired: Desired) async throws -> [String: RateObservation] {
        try RateObservation.look(desired.specs(of: Self.self), try links.shared(), links.location)
    }

    /// The NIC whose rate a link is for: an ifb with our alias.
    static func owner(of link: Link) -> String? {
        guard link.kind == .ifb, let alias = link.alias else { return nil }
        return OwnershipMark.name(inAlias: alias, kind: name)
    }

    public func diff(name: String, spec: RateSpec?, observation: RateObservation?) -> Change {
        let seen = observation ?? RateObservation()
        guard let spec else { return seen.isThere ? .delete : .none }
        if let occupant = seen.occupant, occupant.owner == nil {
            return .conflict(
                reason: "a link named \(occupant.name) exists and is not ours; remove it with `ip link delete "
                    + "\(occupant.name)`, or give the NIC another `interface:`")
        }
        if spec.ingress != nil, let root = seen.root, root.isChosen, root.major != RateMark.major {
            return .conflict(
                reason: "\(spec.interface) has a queueing discipline of somebody else's (\(root.kind) "
                    + "\(String(root.major, radix: 16)):); remove it with `tc qdisc delete dev \(spec.interface) "
                    + "root`, or leave `ingress` out of `rate`")
        }
        let fields = RateDifference(spec, seen).fields
        guard !fields.isEmpty else { return .none }
        if let reason = spec.lack(in: capabilities()) { return .unsupported(reason: reason) }
        return seen.isThere ? .update(fields) : .create(fields)
    }

    public func obstacle(_ observation: RateObservation) -> Obstacle? { observation.occupant?.obstacle }

    public func perform(_ steps: [Step<RateSpec, RateObservation>], desired: Desired) async -> [StepOutcome] {
        defer { links.forget() }
        do throws(NetlinkError) {
            let nics = Set(desired.specs(of: NICKind.self).keys)
            var run = try RateRun(steps, staying: nics, links.location)
            return try run.perform()
        } catch {
            return steps.map { _ in .failed("\(error)") }
        }
    }
}

extension RateSpec {
    /// Why this kernel cannot hold the caps; nil if it can.
    func lack(in known: Capabilities) -> String? {
        var needs: [(field: String, capability: Capability)] = []
        if ingress != nil { needs.append(("rate.ingress", .tbf)) }
        if egress != nil { needs += [.tbf, .ifb, .clsact, .u32, .mirred].map { ("rate.egress", $0) } }
        for need in needs where known.lacks(need.capability) {
            return "`\(need.field)` needs \(known.remedy(for: need.capability)); the NIC is not capped"
        }
        return nil
    }
}
