/// A manifest as plain values, all of whose references lead somewhere after `mend`.
struct Sketch: Hashable, Sendable {
    struct Switch: Hashable, Sendable {
        var subnet: Int
        var mtu: Int?
        var ageing: Int?
    }

    /// The one NIC of a machine.
    struct NIC: Hashable, Sendable {
        var switchName: String
        /// Of its addresses, in the subnet of its switch but where `subnet` names another.
        var number: Int
        var subnet: Int?
        var families: [Family]
        var groups: [String]
        var isIsolated = false
        var isStatic = false
        var hasGateway = true
        /// Whether its addresses have their prefix lengths; else they follow from the router's subnet, if there is one.
        var hasLength = false
        var mtu: Int?
    }

    enum Peer: Hashable, Sendable {
        case network(Network)
        case group(String)
        case set(String)
    }

    enum Traffic: Hashable, Sendable {
        case any
        /// By its word, or by its number.
        case whole(String)
        case ports(String, [ClosedRange<UInt16>])
        /// Messages of icmp or icmpv6, by a word.
        case message(String, String)
    }

    struct Rule: Hashable, Sendable {
        var traffic: Traffic
        /// Empty: anyone.
        var peers: [Peer]
    }

    struct Group: Hashable, Sendable {
        var ingress: [Rule] = []
        var egress: [Rule] = []
        var keepsFlows = false
    }

    struct Interface: Hashable, Sendable {
        var number: Int
        var families: [Family]
    }

    struct Translation: Hashable, Sendable {
        var from: Network
        var out: String
    }

    struct Forward: Hashable, Sendable {
        /// The router's address there is what is listened on.
        var listen: String
        var family: Family
        var transport: String
        var port: UInt16
        var target: Network
        var targetPort: UInt16
    }

    struct Router: Hashable, Sendable {
        var interfaces: [String: Interface] = [:]
        var translations: [Translation] = []
        var forwards: [Forward] = []
    }

    var switches: [String: Switch] = [:]
    var sets: [String: [Network]] = [:]
    var groups: [String: Group] = [:]
    var routers: [String: Router] = [:]
    var nics: [String: NIC] = [:]
}

// MARK: What follows from it

extension Sketch {
    /// The NIC's address of a family; nil if it has none.
    func address(of nic: NIC, _ family: Family) -> Network? {
        guard nic.families.contains(family), let network = switches[nic.switchName] else { return nil }
        return .host(family, subnet: nic.subnet ?? network.subnet, number: nic.number)
    }

    /// A router's address on a switch.
    func address(of router: Router, on name: String, _ family: Family) -> Network? {
        guard let interface = router.interfaces[name], interface.families.contains(family) else { return nil }
        return switches[name].map { .host(family, subnet: $0.subnet, number: interface.number) }
    }

    /// The router on a switch: no more than one is.
    func router(on name: String) -> Router? {
        routers.sorted { $0.key < $1.key }.first { $0.value.interfaces[name] != nil }?.value
    }

    /// The default gateway that the manifest gives a NIC: the router on its switch, if that is in its subnet.
    func gateway(of nic: NIC, _ family: Family) -> Network? {
        guard nic.hasGateway, let address = address(of: nic, family), let router = router(on: nic.switchName),
            let gateway = self.address(of: router, on: nic.switchName, family)
        else { return nil }
        return gateway.widened(to: family.subnetLength).contains(address) ? gateway : nil
    }

    /// The switch of a router whose subnet holds an address.
    func place(of address: Network, behind router: Router) -> String? {
        router.interfaces.keys.sorted().first { name in
            self.address(of: router, on: name, address.family)?.widened(to: address.family.subnetLength)
                .contains(address) == true
        }
    }
}

// MARK: Putting right

extension Sketch {
    /// Takes out what leads to nothing, and what two would have.
    mutating func mend() {
        nics = nics.filter { switches[$0.value.switchName] != nil }
        groups = groups.mapValues { group in
            var group = group
            group.ingress = group.ingress.compactMap(mended)
            group.egress = group.egress.compactMap(mended)
            return group
        }
        var addresses: Set<[String]> = []
        for (name, nic) in nics.sorted(by: { $0.key < $1.key }) {
            nics[name]?.groups = nic.groups.filter { groups[$0] != nil }
            for address in nic.families.compactMap({ address(of: nic, $0) })
            where !addresses.insert([nic.switchName, address.description]).inserted {
                nics[name]?.families.removeAll { $0 == address.family }
            }
        }
        mendRouters()
    }

    /// A rule without the peers that are not there; nil if no peer is left.
    private func mended(_ rule: Rule) -> Rule? {
        let peers = rule.peers.filter { peer in
            switch peer {
            case .network: true
            case .group(let name): groups[name] != nil
            case .set(let name): sets[name] != nil
            }
        }
        return peers.isEmpty && !rule.peers.isEmpty ? nil : Rule(traffic: rule.traffic, peers: peers)
    }

    /// A switch has one router at most, and a subnet one switch.
    private mutating func mendRouters() {
        var taken: Set<String> = []
        var subnets: Set<Int> = []
        var listeners: Set<Forward> = []
        for (name, unmended) in routers.sorted(by: { $0.key < $1.key }) {
            var router = unmended
            router.interfaces = router.interfaces.filter { switches[$0.key] != nil }
            for place in router.interfaces.keys.sorted() {
                guard taken.insert(place).inserted, subnets.insert(switches[place]?.subnet ?? 0).inserted else {
                    router.interfaces[place] = nil
                    continue
                }
            }
            router.translations = unique(router.translations).filter {
                router.interfaces[$0.out]?.families.contains($0.from.family) == true
            }
            router.forwards = router.forwards.filter { forward in
                var listener = forward
                (listener.target, listener.targetPort) = (.subnet(.v4, 0), 0)
                return address(of: router, on: forward.listen, forward.family) != nil
                    && place(of: forward.target, behind: router) != nil && !isRouter(forward.target, router)
                    && listeners.insert(listener).inserted
            }
            routers[name] = router.interfaces.isEmpty ? nil : router
        }
    }

    private func isRouter(_ address: Network, _ router: Router) -> Bool {
        router.interfaces.keys.contains { self.address(of: router, on: $0, address.family) == address }
    }

    private func unique<Value: Hashable>(_ values: [Value]) -> [Value] {
        var seen: Set<Value> = []
        return values.filter { seen.insert($0).inserted }
    }
}
