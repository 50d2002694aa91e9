public import Capabilities
internal import Manifest
internal import Netlink
public import Reconcile
internal import SystemPackage

/// What the node shows of how an uplink is shared out.
public struct ShareObservation: Hashable, Sendable {
    /// The uplink.
    var link: Link?
    /// What its packets wait in.
    var root: QueueDiscipline?
    /// The classes of that, if it is ours.
    var classes: [TokenClass] = []

    var isOurs: Bool { root?.kind == ShareKind.discipline && root?.major == RateMark.major }
}

/// Uplinks whose rate is shared out: an `htb` of ours, known by its number, at the uplink's root.
public struct ShareKind: ResourceKind {
    public static let name = "share"
    static let discipline = "htb"

    let links: LinkListing
    /// Asked only when something is to be done.
    private let capabilities: @Sendable () -> Capabilities

    /// Shares in the namespace of the listing, which other kinds of this part share.
    public init(links: LinkListing, capabilities: @escaping @Sendable () -> Capabilities = { .current }) {
        self.links = links
        self.capabilities = capabilities
    }

    public func observe(_ desired: Desired) async throws -> [String: ShareObservation] {
        let specs = desired.specs(of: Self.self)
        var seen = specs.mapValues { _ in ShareObservation() }
        for link in try links.shared() where !specs.isEmpty || link.discipline == Self.discipline {
            let name = link.name.description
            guard specs[name] != nil || link.discipline == Self.discipline else { continue }
            seen[name, default: ShareObservation()].link = link
        }
        guard !seen.isEmpty else { return [:] }
        var socket = try links.location.socket(.route)
        let roots = try socket.disciplines().filter(\.isRoot)
        for (name, observation) in seen {
            guard let index = observation.link?.index else { continue }
            seen[name]?.root = roots.first { $0.link == index }
            if seen[name]?.isOurs == true { seen[name]?.classes = try socket.classes(of: index) }
        }
        return seen
    }

    public func diff(name: String, spec: ShareSpec?, observation: ShareObservation?) -> Change {
        let seen = observation ?? ShareObservation()
        guard let spec else { return seen.isOurs ? .delete : .none }
        if let root = seen.root, root.isChosen, !seen.isOurs {
            return .conflict(
                reason: "\(spec.interface) has a queueing discipline of somebody else's (\(root.kind) "
                    + "\(String(root.major, radix: 16)):); remove it with `tc qdisc delete dev \(spec.interface) "
                    + "root`, or leave `rate` of the uplink out")
        }
        let fields = spec.differences(seen)
        guard !fields.isEmpty else { return .none }
        let known = capabilities()
        if known.lacks(.htb) { return .unsupported(reason: "`rate` of an uplink needs \(known.remedy(for: .htb))") }
        return seen.isOurs ? .update(fields) : .create(fields)
    }

    public func perform(_ steps: [Step<ShareSpec, ShareObservation>], desired: Desired) async -> [StepOutcome] {
        defer { links.forget() }
        // Uplinks are few: one after the other.
        return steps.map { step in StepOutcome { () throws(NetlinkError) in try perform(step) } }
    }

    private func perform(_ step: Step<ShareSpec, ShareObservation>) throws(NetlinkError) {
        let seen = step.observation ?? ShareObservation()
        guard let link = seen.link?.index else {
            throw NetlinkError(
                operation: "find uplink", subject: step.name,
                cause: .refused(.noSuchAddressOrDevice, words: "this node has no such link", offset: nil))
        }
        var socket = try links.location.socket(.route)
        var writer = MessageWriter()
        guard let spec = step.spec else {
            writer.removeRootDiscipline(of: link)
            return try socket.request(one: writer, about: step.name)
        }
        let major = RateMark.major
        if !seen.isOurs {
            writer.addHierarchy(to: link, major: major, fallback: ShareSpec.fallback, overhead: RateMark.overhead)
        }
        let wanted = spec.classes
        for share in wanted where !seen.classes.contains(where: { $0.isAs(share) }) {
            writer.setClass(share, of: link, major: major)
        }
        let minors = Set(wanted.map(\.minor))
        for share in seen.classes where !minors.contains(share.minor) {
            writer.removeClass(share.minor, of: link, major: major)
        }
        try socket.request(one: writer, about: step.name)
    }
}

extension ShareSpec {
    /// What lies between the classes as they are and as they are to be.
    fileprivate func differences(_ seen: ShareObservation) -> [FieldChange] {
        let known = Dictionary(seen.classes.map { ($0.minor, $0) }) { first, _ in first }
        let wanted = classes
        let coming = wanted.filter { share in known[share.minor].map { !$0.isAs(share) } ?? true }.map {
            FieldChange(
                words($0.minor), from: known[$0.minor].map { "\(BitRate($0.rate * 8))" }, to: "\(BitRate($0.rate * 8))")
        }
        let minors = Set(wanted.map(\.minor))
        let going = seen.classes.filter { !minors.contains($0.minor) }.sorted { $0.minor < $1.minor }.map {
            FieldChange(words($0.minor), from: "\(BitRate($0.rate * 8))")
        }
        return coming + going
    }
}

extension ShareKind {
    /// Shares out the rates of uplinks that have one, and reports guarantees that nothing can keep. After the NICs'
    /// own resolution.
    public static let derivation = Derivation(
        of: [NICKind.name, UplinkKind.name, SwitchKind.name], amend: NICKind.indifference
    ) { desired, diagnostics in
        let nics = desired.specs(of: NICKind.self).filter { $0.value.guarantee != nil }
        let minors = ShareSpec.minors(nics.keys)
        let devices = Dictionary(grouping: desired.specs(of: VLANPortKind.self).values, by: \.lower)
        var served: Set<String> = []
        for (name, uplink) in desired.specs(of: UplinkKind.self).sorted(by: { $0.key < $1.key }) {
            guard let rate = uplink.rate else { continue }
            let devices = (devices[uplink.interface] ?? []).sorted { $0.resourceName < $1.resourceName }
            // A switch, and those that stand for its VLANs.
            let switches = Set([uplink.switchName] + devices.map(\.switchName))
            served.formUnion(switches)
            let guarantees = nics.filter { switches.contains($0.value.switchName) }.sorted { $0.key < $1.key }
                .compactMap { nic, spec in guarantee(of: nic, spec, minors) }
            let position = desired.position(of: UplinkKind.id(name))
            check(guarantees, of: uplink, rate, at: position, diagnostics)
            let spec = ShareSpec(
                interface: uplink.interface, rate: rate, guarantees: guarantees, devices: devices.map(\.interface))
            let target = Reference(UplinkKind.id(name), at: position)
            desired.add(ShareKind.self, name, spec, references: [target], at: position)
        }
        for (name, nic) in nics.sorted(by: { $0.key < $1.key }) where !served.contains(nic.switchName) {
            guard let position = desired.position(of: NICKind.id(name)) else { continue }
            diagnostics.report(
                at: position, "switch '\(nic.switchName)' has no uplink whose rate is known: nothing is guaranteed",
                hint: "say what an uplink carries, `uplinks: [ { port: eth1, rate: 1Gbit } ]`, or leave 'guarantee' out"
            )
        }
    }

    private static func guarantee(
        of nic: String, _ spec: NICSpec, _ minors: [String: UInt16]
    ) -> ShareSpec.Guarantee? {
        guard let rate = spec.guarantee, let minor = minors[nic] else { return nil }
        return ShareSpec.Guarantee(nic: nic, interface: spec.interface, rate: rate, minor: minor)
    }

    private static func check(
        _ guarantees: [ShareSpec.Guarantee], of uplink: UplinkSpec, _ rate: UInt64, at position: Position?,
        _ diagnostics: Diagnostics
    ) {
        let sum = guarantees.reduce(UInt64(0)) { $0 + $1.rate }
        guard sum > rate, let position else { return }
        diagnostics.report(
            at: position,
            "the NICs of switch '\(uplink.switchName)' are guaranteed \(BitRate(sum)), and \(uplink.resourceName) "
                + "carries \(BitRate(rate))",
            hint: "lower 'guarantee' of some, or raise 'rate' of the uplink")
    }
}
