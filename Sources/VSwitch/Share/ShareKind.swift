public import Capabilities
internal import Manifest
internal import Netlink
public import Reconcile

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
        for link in try links.shared() {
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
        return steps.map { step in
            do throws(NetlinkError) {
                try perform(step)
                return .done
            } catch {
                return .failed("\(error.about(step.name))")
            }
        }
    }

    private func perform(_ step: Step<ShareSpec, ShareObservation>) throws(NetlinkError) {
        guard let seen = step.observation, let link = seen.link?.index else { return }
        var socket = try links.location.socket(.route)
        var writer = MessageWriter()
        guard let spec = step.spec else {
            writer.removeRootDiscipline(of: link)
            return try socket.request(one: writer)
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
        try socket.request(one: writer)
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
    public static let derivation = Derivation { desired, diagnostics in
        let nics = desired.specs(of: NICKind.self).filter { $0.value.guarantee != nil }
        let minors = ShareSpec.minors(nics.keys)
        let shared = desired.specs(of: UplinkKind.self).filter { $0.value.rate != nil }
        let served = Set(shared.values.map(\.switchName))
        for (name, nic) in nics.sorted(by: { $0.key < $1.key }) where !served.contains(nic.switchName) {
            guard let position = desired.position(of: NICKind.id(name)) else { continue }
            diagnostics.report(
                at: position, "switch '\(nic.switchName)' has no uplink whose rate is known: nothing is guaranteed",
                hint: "say what an uplink carries, `uplinks: [ { port: eth1, rate: 1Gbit } ]`, or leave 'guarantee' out"
            )
        }
        for (name, uplink) in shared.sorted(by: { $0.key < $1.key }) {
            guard let rate = uplink.rate else { continue }
            let guarantees = nics.filter { $0.value.switchName == uplink.switchName }.sorted { $0.key < $1.key }
                .compactMap { nic, spec in
                    spec.guarantee.flatMap { guarantee in
                        minors[nic].map {
                            ShareSpec.Guarantee(nic: nic, interface: spec.interface, rate: guarantee, minor: $0)
                        }
                    }
                }
            let sum = guarantees.reduce(UInt64(0)) { $0 + $1.rate }
            let position = desired.position(of: UplinkKind.id(name))
            if sum > rate, let position {
                diagnostics.report(
                    at: position,
                    "the NICs of switch '\(uplink.switchName)' are guaranteed \(BitRate(sum)), and \(name) carries "
                        + "\(BitRate(rate))",
                    hint: "lower 'guarantee' of some, or raise 'rate' of the uplink")
            }
            let spec = ShareSpec(interface: uplink.interface, rate: rate, guarantees: guarantees)
            let target = Reference(UplinkKind.id(name), at: position)
            desired.add(ShareKind.self, name, spec, references: [target], at: position)
        }
    }
}
