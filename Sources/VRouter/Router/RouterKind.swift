public import Netlink
public import Reconcile
public import Rules

/// Virtual routers: addresses on the bridges of switches, routes in tables of their own, and forwarding.
///
/// Addresses, routes and rules carry our protocol number, bridges a further name with the router's name. What others
/// have put on the same links and into other tables stays as it is.
public struct RouterKind: ResourceKind {
    public static let name = "router"

    private let location: NetworkLocation
    /// Nil: what the kernel has. A test sets what an older kernel would have.
    private let assumed: IPv6Forwarding?

    private let filters: ForeignFilterListing?

    /// Routers in this network namespace.
    ///
    /// - Parameter filters: of the same namespace; without one nobody else's rules are looked at.
    public init(in location: NetworkLocation = .own, _ filters: ForeignFilterListing? = nil) {
        self.init(in: location, filters, assuming: nil)
    }

    init(in location: NetworkLocation, _ filters: ForeignFilterListing? = nil, assuming: IPv6Forwarding?) {
        self.location = location
        self.filters = filters
        assumed = assuming
    }

    public func observe(_ desired: Desired) async throws -> [String: RouterObservation] {
        let specs = desired.specs(of: Self.self)
        var shares = try look(specs).observations(specs)
        let filters = filters?.look() ?? .none
        for (name, spec) in specs where !filters.all.isEmpty {
            shares[name]?.blockades = [true, false].flatMap { isIPv4 in
                filters.blockades(among: spec.bridges(isIPv4: isIPv4), isIPv4: isIPv4)
                    .map { RouterBlockade($0.blockade.filter, $0.bridges) }
            }
        }
        return shares
    }

    func look(_ specs: [String: RouterSpec]) throws(RouterError) -> NodeSight {
        let wanted = Set(specs.values.flatMap { $0.interfaces.map(\.bridge) })
        return try NodeSight.look(location, wanted: wanted, assuming: assumed)
    }

    public func diff(name: String, spec: RouterSpec?, observation: RouterObservation?) -> Change {
        guard let spec else { return observation?.isMarked == true ? .delete : .none }
        let ipv6 = observation?.ipv6 ?? .perInterface
        if ipv6 == .absent, spec.interfaces.contains(where: { $0.speaks(isIPv4: false) }) {
            return .unsupported(reason: "this kernel has no IPv6: take the router's IPv6 addresses out")
        }
        let wanted = spec.items(ipv6)
        let present = observation?.present ?? []
        let missing = wanted.subtracting(present)
        let extra = present.subtracting(wanted)
        if missing.isEmpty, extra.isEmpty {
            let troubles = RouterBlockade.texts(observation?.blockades ?? [])
            return troubles.isEmpty ? .none : .degraded(reason: troubles.joined(separator: ". "))
        }
        let fields = RouterFields.compare(missing: missing, extra: extra)
        return observation?.isMarked == true ? .update(fields) : .create(fields)
    }

    public func perform(
        _ steps: [Step<RouterSpec, RouterObservation>], desired: Desired
    ) async -> [StepOutcome] {
        let specs = desired.specs(of: Self.self)
        do throws(RouterError) {
            // The switches were perhaps made a moment ago: look again.
            let sight = try look(specs)
            let shares = sight.observations(specs)
            let works = steps.map { step in
                let wanted = step.spec?.items(sight.ipv6) ?? []
                let present = shares[step.name]?.present ?? []
                return RouterWork(missing: wanted.subtracting(present), extra: present.subtracting(wanted))
            }
            var run = try RouterRun(sight: sight, location: location, works: works)
            return try run.perform()
        } catch {
            return steps.map { _ in .failed("\(error)") }
        }
    }

    /// Fills in the MAC addresses of the bridges on which routers stand. It runs when all is read.
    ///
    /// - Parameter bridges: them by the switch's name, which another part knows.
    public static func resolution(bridges: @escaping @Sendable (Desired) -> [String: MACAddress]) -> Derivation {
        Derivation(of: [name, "switch"]) { desired, _ in
            let bridges = bridges(desired)
            for (name, unresolved) in desired.specs(of: Self.self) {
                var spec = unresolved
                for index in spec.interfaces.indices {
                    spec.interfaces[index].mac = bridges[spec.interfaces[index].switchName]
                }
                let id = id(name)
                desired.add(
                    Self.self, name, spec, references: desired.references(of: id), at: desired.position(of: id))
            }
        }
    }

    /// For each router the switches that it is on: packets pass between them.
    public static func joinedSwitches(in desired: Desired) -> [[String]] {
        desired.specs(of: Self.self).values.map { $0.interfaces.map(\.switchName) }
    }

    /// The subnets that routers have on each switch, with the routers' own addresses: for NICs that need a prefix
    /// length or a gateway.
    public static func subnets(in desired: Desired) -> [String: [IPPrefix]] {
        var subnets: [String: [IPPrefix]] = [:]
        for (_, spec) in desired.specs(of: Self.self).sorted(by: { $0.key < $1.key }) {
            for interface in spec.interfaces {
                subnets[interface.switchName, default: []] += interface.addresses.map(\.value)
            }
        }
        return subnets
    }
}

/// The fields of a plan in which a router differs.
enum RouterFields {
    static func compare(missing: Set<RouterItem>, extra: Set<RouterItem>) -> [FieldChange] {
        // What the operator wrote is told; what follows from it only where it is all that differs.
        let all = missing.union(extra)
        let isTold: (RouterItem) -> Bool = all.contains(where: \.isProminent) ? \.isProminent : { _ in true }
        let new = Dictionary(grouping: missing.filter(isTold), by: \.field).mapValues { $0.map(\.text).sorted() }
        let old = Dictionary(grouping: extra.filter(isTold), by: \.field).mapValues { $0.map(\.text).sorted() }
        return Set(new.keys).union(old.keys).sorted().flatMap { field in
            let (from, to) = (old[field] ?? [], new[field] ?? [])
            return (0..<max(from.count, to.count)).map { index in
                FieldChange(
                    field, from: from.indices.contains(index) ? from[index] : nil,
                    to: to.indices.contains(index) ? to[index] : nil)
            }
        }
    }
}
