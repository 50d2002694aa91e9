public import Netlink
public import Reconcile
internal import Syscall
internal import SystemPackage

/// What the node shows of the way of a VLAN out by an uplink.
public struct VLANPortObservation: Hashable, Sendable {
    /// The VLAN device with our mark.
    public var link: Link?
    /// A link that is not it and has its name, or its VLAN on the same uplink.
    public var occupant: Link?
    /// The uplink; nil if the node has none of this name.
    public var lower: Link?
    /// The index of the bridge of the wanted switch, if it is there and ours.
    public var bridge: Int32?
}

/// VLAN devices on uplinks that carry our alias, each a port of the bridge of its VLAN.
public struct VLANPortKind: ResourceKind {
    public static let name = "vlan"

    let links: LinkListing

    /// Those in the namespace of the listing, which other kinds of this part share.
    public init(links: LinkListing) { self.links = links }

    public func observe(_ desired: Desired) async throws -> [String: VLANPortObservation] {
        let listing = try links.shared()
        let specs = desired.specs(of: Self.self)
        var seen: [String: VLANPortObservation] = [:]
        for link in listing {
            if let name = Self.owner(of: link) { seen[name, default: VLANPortObservation()].link = link }
        }
        for (name, spec) in specs {
            var observation = seen[name] ?? VLANPortObservation()
            let (own, lower) = (observation.link?.index, listing.first { $0.name == spec.lower })
            observation.lower = lower
            observation.bridge = listing.first { SwitchKind.owner(of: $0) == spec.switchName }?.index
            observation.occupant = listing.first { link in
                link.index != own && (link.name == spec.interface || link.isVLAN(spec.vlan, on: lower))
            }
            seen[name] = observation
        }
        return seen
    }

    /// The resource that a link is: a VLAN device with our alias.
    static func owner(of link: Link) -> String? {
        guard link.kind == .vlan, let alias = link.alias else { return nil }
        return OwnershipMark.name(inAlias: alias, kind: name)
    }

    public func diff(name: String, spec: VLANPortSpec?, observation: VLANPortObservation?) -> Change {
        guard let spec else { return observation?.link != nil ? .delete : .none }
        let seen = observation ?? VLANPortObservation()
        if let occupant = seen.occupant, occupant.owner == nil {
            return .conflict(
                reason: "\(occupant.name), which is not ours, has the name or the VLAN \(spec.vlan) of "
                    + "\(spec.interface); remove it with `ip link delete \(occupant.name)`")
        }
        guard let lower = seen.lower else { return .unsupported(reason: "this node has no link named \(spec.lower)") }
        let summary = [FieldChange("switch", to: spec.switchName), FieldChange("vlan", to: "\(spec.vlan)")]
        guard let link = seen.link else { return .create(summary) }
        if link.name != spec.interface || !link.isVLAN(spec.vlan, on: lower) {
            return .replace(reason: "it is not VLAN \(spec.vlan) of \(spec.lower)", summary)
        }
        let fields = Self.differences(spec, link, seen)
        return fields.isEmpty ? .none : .update(fields)
    }

    private static func differences(_ spec: VLANPortSpec, _ link: Link, _ seen: VLANPortObservation) -> [FieldChange] {
        var fields: [FieldChange] = []
        if link.master == nil || link.master != seen.bridge {
            fields.append(FieldChange("switch", from: link.master.map { _ in "another bridge" }, to: spec.switchName))
        }
        if let mtu = seen.lower?.mtu, link.mtu != mtu {
            fields.append(FieldChange("mtu", from: "\(link.mtu)", to: "\(mtu)"))
        }
        if !link.isUp { fields.append(FieldChange("state", from: "down", to: "up")) }
        if link.isIPv6Disabled == false { fields.append(FieldChange("ipv6 of the port", from: "on", to: "off")) }
        return fields
    }

    public func obstacle(_ observation: VLANPortObservation) -> Obstacle? { observation.occupant?.obstacle }

    public func perform(
        _ steps: [Step<VLANPortSpec, VLANPortObservation>], desired: Desired
    ) async -> [StepOutcome] {
        defer { links.forget() }
        // Few, as uplinks are: one after the other, so that a failure of one is its own.
        return steps.map { step in StepOutcome { () throws(NetlinkError) in try perform(step) } }
    }
}

extension VLANPortKind {
    private func perform(_ step: Step<VLANPortSpec, VLANPortObservation>) throws(NetlinkError) {
        var socket = try links.location.socket(.route)
        if step.change.removesLink, let link = step.observation?.link {
            if let error = try LinkRemoval.remove([link], on: &socket)[0] { throw error }
        }
        guard let spec = step.spec, step.change != .delete else { return }
        guard step.change.makesLink else { return try join(spec, &socket) }
        try make(spec, &socket)
        do throws(NetlinkError) {
            try join(spec, &socket)
        } catch {
            // Without its mark or its place it must not stay: it would take the VLAN's frames from the uplink.
            var removal = MessageWriter()
            removal.deleteLink(.name(spec.interface))
            _ = try socket.request(removal)
            throw error
        }
    }

    private func make(_ spec: VLANPortSpec, _ socket: inout NetlinkSocket) throws(NetlinkError) {
        guard let lower = try socket.link(named: spec.lower) else {
            throw Self.missing("find uplink", "\(spec.lower)", "it is gone")
        }
        var writer = MessageWriter()
        writer.createVLAN(spec.interface, on: lower.index, vlan: spec.vlan)
        try socket.request(one: writer, about: "\(spec.interface)")
    }

    /// Marks it, and makes it a port of its bridge; up last of all.
    private func join(_ spec: VLANPortSpec, _ socket: inout NetlinkSocket) throws(NetlinkError) {
        guard let bridge = try socket.link(named: SwitchSpec.bridge(of: spec.switchName)),
            SwitchKind.owner(of: bridge) == spec.switchName
        else { throw Self.missing("find switch", spec.switchName, "it has no bridge of ours") }
        let lower = try socket.link(named: spec.lower)
        try links.location.setIPv6(of: spec.interface, isDisabled: true)
        var change = LinkChange()
        change.alias = OwnershipMark.alias(kind: Self.name, name: spec.resourceName)
        change.mtu = lower?.mtu
        change.master = bridge.index
        change.addressGeneration = PortIPv6.generation(mtu: lower?.mtu)
        var writer = MessageWriter()
        writer.changeLink(.name(spec.interface), change)
        var last = LinkChange()
        last.isUp = true
        writer.changeLink(.name(spec.interface), last)
        try socket.request(one: writer, about: "\(spec.interface)")
    }

    private static func missing(_ operation: String, _ subject: String, _ words: String) -> NetlinkError {
        NetlinkError(
            operation: operation, subject: subject,
            cause: .refused(.noSuchAddressOrDevice, words: words, offset: nil))
    }
}

extension Link {
    fileprivate func isVLAN(_ id: UInt16, on lower: Link?) -> Bool {
        self.kind == .vlan && self.vlan == id && self.peerNamespace == nil && lower != nil && self.peer == lower?.index
    }
}
