public import Capabilities
internal import Netlink
public import Reconcile

/// What the node shows of a mirror.
public struct MirrorObservation: Hashable, Sendable {
    /// The port of the NIC whose packets are to be copied.
    var source: Link?
    /// The port of the NIC that is to receive the copies.
    var target: Link?
    /// Whether the source carries our mark for this mirror.
    var isMarked = false
    /// The filters at the source of our priority, whoever they lead to.
    var filters: [TrafficFilter] = []
    /// Other ports that carry our mark for this mirror.
    var strays: [Link] = []
}

/// Mirrors: filters of ours at the port of a NIC, which carries our mark, send copies out by the port of another.
public struct MirrorKind: ResourceKind {
    public static let name = "mirror"

    let links: LinkListing
    /// Asked only when something is to be done.
    private let capabilities: @Sendable () -> Capabilities

    /// Mirrors in the namespace of the listing, which other kinds of this part share.
    public init(links: LinkListing, capabilities: @escaping @Sendable () -> Capabilities = { .current }) {
        self.links = links
        self.capabilities = capabilities
    }

    public func observe(_ desired: Desired) async throws -> [String: MirrorObservation] {
        let specs = desired.specs(of: Self.self)
        var seen = specs.mapValues { _ in MirrorObservation() }
        // Without mirrors only ports that may have the mark of one concern anybody.
        let ports = try Self.ports(links.shared().filter { !specs.isEmpty || !$0.alternativeNames.isEmpty })
        for (name, spec) in specs {
            seen[name]?.source = ports[spec.source]
            seen[name]?.target = ports[spec.target]
        }
        for port in ports.values {
            for mark in port.alternativeNames.compactMap({ MirrorMark($0) }) {
                if seen[mark.name]?.source?.index == port.index {
                    seen[mark.name]?.isMarked = true
                } else {
                    seen[mark.name, default: MirrorObservation()].strays.append(port)
                }
            }
        }
        guard !seen.isEmpty else { return [:] }
        var socket = try links.location.socket(.route)
        for (name, observation) in seen {
            guard let port = observation.source?.index else { continue }
            let all = try socket.filters(of: port, .ingress) + socket.filters(of: port, .egress)
            seen[name]?.filters = all.filter { $0.priority == MirrorMark.priority }
        }
        return seen
    }

    /// The ports of NICs, by the NIC's name.
    static func ports(_ listing: [Link]) -> [String: Link] {
        var ports: [String: Link] = [:]
        for link in listing {
            if let name = NICKind.owner(of: link) { ports[name] = link }
        }
        return ports
    }

    public func diff(name: String, spec: MirrorSpec?, observation: MirrorObservation?) -> Change {
        let seen = observation ?? MirrorObservation()
        guard let spec else { return seen.strays.isEmpty ? .none : .delete }
        let fields = spec.differences(seen)
        guard !fields.isEmpty else { return .none }
        let known = capabilities()
        for need in [Capability.clsact, .u32, .mirred] where known.lacks(need) {
            return .unsupported(reason: "a mirror needs \(known.remedy(for: need))")
        }
        return seen.isMarked || !seen.strays.isEmpty ? .update(fields) : .create(spec.summary)
    }

    public func perform(_ steps: [Step<MirrorSpec, MirrorObservation>], desired: Desired) async -> [StepOutcome] {
        defer { links.forget() }
        do throws(NetlinkError) {
            var run = try MirrorRun(links.location)
            var outcomes: [StepOutcome] = []
            for step in steps {
                outcomes.append(StepOutcome { () throws(NetlinkError) in try run.perform(step) })
            }
            return outcomes
        } catch {
            return steps.map { _ in .failed("\(error)") }
        }
    }
}

extension MirrorSpec {
    /// What a reader wants to know before the mirror is made.
    fileprivate var summary: [FieldChange] {
        [
            FieldChange("from", to: source), FieldChange("to", to: target),
            FieldChange("direction", to: direction.rawValue),
        ]
    }

    fileprivate func differences(_ seen: MirrorObservation) -> [FieldChange] {
        guard let port = seen.source, let other = seen.target else { return summary }
        var fields = seen.strays.map { FieldChange("copies of", from: "\($0.name)") }
        let wanted = Set(filters(at: port.index, to: other.index))
        for filter in wanted.subtracting(seen.filters).sorted(by: { $0.word < $1.word }) {
            fields.append(FieldChange("copies of \(filter.word)", to: target))
        }
        for filter in Set(seen.filters).subtracting(wanted).sorted(by: { $0.word < $1.word })
        where !wanted.contains(where: { $0.direction == filter.direction }) {
            fields.append(FieldChange("copies of \(filter.word)", from: "made"))
        }
        if fields.isEmpty, !seen.isMarked { fields.append(FieldChange("mark", to: "\(port.name)")) }
        return fields
    }
}

extension TrafficFilter {
    /// What it copies, seen from the NIC.
    fileprivate var word: String { direction == .ingress ? "egress" : "ingress" }
}
