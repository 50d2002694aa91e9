public import Netlink
public import Reconcile
internal import Syscall
internal import SystemPackage

/// What the node shows of an uplink.
public struct UplinkObservation: Hashable, Sendable {
    /// The port; nil if the node has none of this name.
    public var link: Link?
    /// The switch whose mark it carries; nil if it is not borrowed.
    public var borrower: String?
    /// The name of the bridge or bond that it is a port of.
    public var master: InterfaceName?
    /// The index of the bridge of the wanted switch, if it is there and ours.
    public var bridge: Int32?
    /// The largest packet of the wanted switch in bytes, as the manifest has it.
    public var switchMTU: UInt32?
    /// Addresses of the port itself, which it would lose the use of.
    public var addresses: [IPPrefix] = []
    /// Routes through the port that somebody has put there, which would lead nowhere or be lost.
    public var routes: [IPPrefix] = []
}

/// Ports of the machine that switches borrow: marked by an alternative name, given back as they were.
public struct UplinkKind: ResourceKind {
    public static let name = "uplink"

    let links: LinkListing

    /// Uplinks in the namespace of the listing, which other kinds of this part share.
    public init(links: LinkListing) { self.links = links }

    public func observe(_ desired: Desired) async throws -> [String: UplinkObservation] {
        let listing = try links.shared()
        let specs = desired.specs(of: Self.self)
        let switches = desired.specs(of: SwitchKind.self)
        var bridges: [String: Int32] = [:]
        for link in listing {
            if let name = SwitchKind.owner(of: link) { bridges[name] = link.index }
        }
        var seen = specs.mapValues { _ in UplinkObservation() }
        for link in listing {
            let mark = UplinkMark(of: link)
            let name = link.name.description
            guard mark != nil || specs[name] != nil else { continue }
            var observation = UplinkObservation()
            observation.link = link
            observation.borrower = mark?.switchName
            observation.master = link.master.flatMap { index in listing.first { $0.index == index }?.name }
            observation.bridge = specs[name].flatMap { bridges[$0.switchName] }
            observation.switchMTU = specs[name].flatMap { switches[$0.switchName]?.mtu }
            seen[name] = observation
        }
        try addUse(&seen)
        return seen
    }

    /// What a port is used for matters only while it is yet to be borrowed: most looks ask for nothing.
    private func addUse(_ seen: inout [String: UplinkObservation]) throws(NetlinkError) {
        let free = seen.filter { $0.value.link != nil && $0.value.borrower == nil }
        guard !free.isEmpty else { return }
        var socket = try links.location.socket(.route)
        let all = try socket.addresses()
        // An IPv6 link-local address is the kernel's own doing, and it says so from Linux 5.18 on (IFAPROT_KERNEL_LL).
        let tells = all.contains { $0.protocolNumber != 0 }
        let addresses = all.filter { $0.prefix.isIPv4 || $0.scope != 253 || tells && $0.protocolNumber != 3 }
        for (name, observation) in free {
            guard let index = observation.link?.index else { continue }
            seen[name]?.addresses = addresses.filter { $0.link == index }.map(\.prefix).sorted()
            // Not the kernel's, and not those that come again by themselves (RTPROT_REDIRECT, _KERNEL, _RA).
            let routes = try socket.routes(through: index).filter { ![1, 2, 9].contains($0.protocolNumber) }
            seen[name]?.routes = Set(routes.map(\.destination)).sorted()
        }
    }

    public func diff(name: String, spec: UplinkSpec?, observation: UplinkObservation?) -> Change {
        guard let spec else { return observation?.borrower != nil ? .delete : .none }
        guard let observation, let link = observation.link else {
            return .unsupported(reason: "this node has no link named \(spec.interface)")
        }
        if let owner = link.owner {
            return .conflict(reason: "\(spec.interface) is \(owner) of this node; name a physical port")
        }
        if link.isLoopback || link.kind == .bridge {
            return .conflict(reason: "\(spec.interface) cannot be a port of a bridge; name a physical port")
        }
        guard let borrower = observation.borrower else { return Self.borrowing(spec, observation) }
        if borrower != spec.switchName {
            return .replace(reason: "it moves from switch '\(borrower)'", [FieldChange("switch", to: spec.switchName)])
        }
        var fields: [FieldChange] = []
        if observation.bridge == nil || link.master != observation.bridge {
            fields.append(FieldChange("switch", from: observation.master?.description, to: spec.switchName))
        }
        // While the bridge does not filter yet nobody has listed them.
        if let vlans = spec.vlans, link.vlans != vlans {
            fields.append(FieldChange("vlans", from: link.vlans?.words, to: vlans.words))
        }
        if !link.isUp { fields.append(FieldChange("state", from: "down", to: "up")) }
        if link.isIPv6Disabled == false { fields.append(FieldChange("ipv6 of the port", from: "on", to: "off")) }
        guard fields.isEmpty else { return .update(fields) }
        guard let wanted = observation.switchMTU, link.mtu < wanted else { return .none }
        return .degraded(
            reason: "packets of \(link.mtu + 1) to \(wanted) bytes do not leave by it: set `mtu` of switch "
                + "'\(spec.switchName)' to \(link.mtu), or `ip link set \(spec.interface) mtu \(wanted)`")
    }

    private static func borrowing(_ spec: UplinkSpec, _ observation: UplinkObservation) -> Change {
        // Put there by hand already: only the mark is missing.
        let isThere = observation.bridge != nil && observation.link?.master == observation.bridge
        if let master = observation.master, !isThere {
            return .conflict(
                reason: "\(spec.interface) is a port of \(master), which is not ours; take it out with "
                    + "`ip link set \(spec.interface) nomaster`")
        }
        guard observation.addresses.isEmpty else {
            let list = observation.addresses.map(\.description).joined(separator: ", ")
            return .conflict(
                reason: "\(spec.interface) has addresses of its own (\(list)), which would be cut off; move them to a "
                    + "router's interface on switch '\(spec.switchName)' first")
        }
        guard observation.routes.isEmpty else {
            let list = observation.routes.map { $0.length == 0 ? "default" : "\($0)" }.joined(separator: ", ")
            return .conflict(
                reason:
                    "\(spec.interface) has routes of its own (\(list)), which would be lost; take them out, or give "
                    + "them to a router, first")
        }
        return .create(
            [FieldChange("switch", to: spec.switchName)]
                + (spec.vlans.map { [FieldChange("vlans", to: $0.words)] } ?? []))
    }

    public func perform(_ steps: [Step<UplinkSpec, UplinkObservation>], desired: Desired) async -> [StepOutcome] {
        defer { links.forget() }
        // Uplinks are few: one after the other, so that a failure of one is its own.
        return steps.map { step in StepOutcome { () throws(NetlinkError) in try perform(step) } }
    }
}

extension UplinkKind {
    private func perform(_ step: Step<UplinkSpec, UplinkObservation>) throws(NetlinkError) {
        guard let link = step.observation?.link else { return }
        var socket = try links.location.socket(.route)
        switch step.change {
        case .create:
            if let spec = step.spec { try borrow(link, spec, marking: true, &socket) }
        case .update:
            if let spec = step.spec { try borrow(link, spec, marking: false, &socket) }
        case .replace:
            try giveBack(link, &socket)
            if let spec = step.spec, let now = try socket.link(named: link.name) {
                try borrow(now, spec, marking: true, &socket)
            }
        case .delete: try giveBack(link, &socket)
        case .none, .orphan, .degraded, .waiting, .conflict, .unsupported: break
        }
    }

    private func borrow(
        _ link: Link, _ spec: UplinkSpec, marking: Bool, _ socket: inout NetlinkSocket
    ) throws(NetlinkError) {
        let name = SwitchSpec.bridge(of: spec.switchName)
        guard let bridge = try socket.link(named: name), SwitchKind.owner(of: bridge) == spec.switchName else {
            let words = "it has no bridge of ours"
            let cause = NetlinkError.Cause.refused(.noSuchAddressOrDevice, words: words, offset: nil)
            throw NetlinkError(operation: "find switch", subject: spec.switchName, cause: cause)
        }
        if marking {
            // The mark comes first: a port that is enslaved without it would never be given back.
            var mark = MessageWriter()
            mark.addAlternativeName(UplinkMark(spec.switchName, on: link).text, to: .index(link.index))
            try socket.request(one: mark, about: "\(link.name)")
        }
        try links.location.setIPv6(of: link.name, isDisabled: true)
        var change = LinkChange()
        change.master = bridge.index
        change.addressGeneration = link.addressGeneration == nil ? nil : AddressGeneration.none
        change.isUp = true
        var writer = MessageWriter()
        writer.changeLink(.index(link.index), change)
        if let vlans = spec.vlans {
            // A port that comes anew is in none.
            let seen = link.master == bridge.index ? link.vlans : nil
            writer.changeVLANs(of: .port(link.index), from: seen, to: vlans)
        }
        try socket.request(one: writer, about: "\(link.name)")
    }

    private func giveBack(_ link: Link, _ socket: inout NetlinkSocket) throws(NetlinkError) {
        guard let mark = UplinkMark(of: link) else { return }
        let bridge = try socket.link(named: SwitchSpec.bridge(of: mark.switchName))
        var change = LinkChange()
        // Only out of our own bridge: somebody else may have put it into another since.
        if let bridge, link.master == bridge.index { change.master = 0 }
        if !mark.wasUp { change.isUp = false }
        if link.addressGeneration != nil { change.addressGeneration = mark.addressGeneration }
        var writer = MessageWriter()
        writer.changeLink(.index(link.index), change)
        try socket.request(one: writer, about: "\(link.name)")
        if !mark.wasIPv6Disabled { try links.location.setIPv6(of: link.name, isDisabled: false) }
        // The mark goes last: whatever failed before is tried again.
        var last = MessageWriter()
        last.removeAlternativeName(mark.text, from: .index(link.index))
        try socket.request(one: last, about: "\(link.name)")
    }
}
