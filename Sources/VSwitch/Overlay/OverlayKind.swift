internal import Netlink
public import Reconcile

/// Overlays: VXLAN links that carry our alias, each a port of one switch, with entries for its peers.
///
/// A link without the alias is never touched, and of the entries of ours neither what the kernel has learned nor what
/// another control plane has set (`extern_learn`).
public struct OverlayKind: ResourceKind {
    public static let name = "overlay"

    let links: LinkListing

    /// Overlays in the namespace of the listing, which other kinds of this part share.
    public init(links: LinkListing) { self.links = links }

    public func observe(_ desired: Desired) async throws -> [String: OverlayObservation] {
        let listing = try links.shared()
        var socket = try links.location.socket(.route)
        let sight = try OverlaySight(
            listing, desired.specs(of: Self.self), desired.specs(of: SwitchKind.self), &socket)
        return sight.overlays
    }

    /// The overlay that a link is: a VXLAN link with our alias.
    static func owner(of link: Link) -> String? {
        guard link.kind == .vxlan, let alias = link.alias else { return nil }
        return OwnershipMark.name(inAlias: alias, kind: name)
    }

    public func diff(name: String, spec: OverlaySpec?, observation: OverlayObservation?) -> Change {
        guard let spec else {
            return observation?.link != nil || observation?.entries.neighbours.isEmpty == false ? .delete : .none
        }
        let seen = observation ?? OverlayObservation()
        if let occupant = seen.occupant, occupant.owner == nil {
            return .conflict(
                reason: "a link named \(occupant.name) exists and is not ours; rename the switch, or remove the link "
                    + "with `ip link delete \(occupant.name)`")
        }
        if let twin = seen.twin {
            return .conflict(
                reason: "\(twin.name), which is not ours, has VNI \(spec.vni) on UDP port \(spec.port); choose another "
                    + "`vni` or `port`, or remove the link with `ip link delete \(twin.name)`")
        }
        if let underlay = seen.underlay, underlay.mtu < spec.underlayMTU {
            let limit = Int(underlay.mtu) - Int(OverlaySpec.overhead(isIPv4: spec.local.isIPv4))
            return .unsupported(
                reason: "packets of \(spec.mtu) bytes become \(spec.underlayMTU) with VXLAN, and \(underlay.name), "
                    + "which holds \(spec.local), takes \(underlay.mtu); set `mtu` of switch '\(spec.switchName)' to "
                    + "\(limit) or less, or raise that of \(underlay.name)")
        }
        guard let link = seen.link else { return .create(spec.summary(isLocalThere: seen.isLocalThere)) }
        if let reason = spec.replaceReason(link) {
            return .replace(reason: reason, spec.summary(isLocalThere: seen.isLocalThere))
        }
        let fields = OverlayDifference(spec, link, seen).fields
        return fields.isEmpty ? .none : .update(fields)
    }

    public func obstacle(_ observation: OverlayObservation) -> Obstacle? { observation.occupant?.obstacle }

    public func perform(
        _ steps: [Step<OverlaySpec, OverlayObservation>], desired: Desired
    ) async -> [StepOutcome] {
        defer { links.forget() }
        do throws(NetlinkError) {
            var run = try OverlayRun(steps, links.location)
            return try run.perform()
        } catch {
            return steps.map { _ in .failed("\(error)") }
        }
    }
}
