/// Random parts of a manifest.
extension Dice {
    static let ports: [UInt16] = [22, 53, 80, 443]

    mutating func sketch() -> Sketch {
        var sketch = Sketch()
        let parts: [(Edit, ClosedRange<Int>)] = [
            (.addSwitch, 1...3), (.addSet, 0...3), (.addGroup, 1...5), (.addRouter, 0...2), (.addNIC, 3...8),
            // Now that the groups have members, and the routers neighbours.
            (.changeGroup, 1...4), (.addTranslation, 0...2), (.addForward, 0...4),
        ]
        for (edit, counts) in parts {
            for _ in 0..<Int.random(in: counts, using: &self) { edit.perform(on: &sketch, &self) }
        }
        return sketch
    }

    /// Changes of a manifest: mostly a few, now and then half of it, or all of it.
    mutating func edit(_ sketch: inout Sketch) {
        switch Int.random(in: 0..<12, using: &self) {
        case 0: sketch = Sketch()
        case 1: sketch = self.sketch()
        case 2: for _ in 0..<25 { performOne(on: &sketch) }
        default:
            if sketch.switches.isEmpty { sketch = self.sketch() }
            for _ in 0..<Int.random(in: 1...5, using: &self) { performOne(on: &sketch) }
        }
    }

    private mutating func performOne(on sketch: inout Sketch) {
        let before = sketch
        for _ in 0..<20 where sketch == before { pick(Edit.allCases)?.perform(on: &sketch, &self) }
    }

    /// One subnet in four is that of another switch: the same addresses there are others'.
    mutating func network() -> Sketch.Switch {
        Sketch.Switch(
            subnet: Int.random(in: 0...3, using: &self), mtu: isOne(in: 4) ? pick([1400, 1450, 2000]) : nil,
            ageing: isOne(in: 4) ? pick([20, 600]) : nil)
    }

    mutating func families() -> [Family] { pick([[.v4], [.v6], [.v4, .v6], [.v4, .v6], [.v4, .v6]]) ?? [] }

    mutating func nic(on switchName: String, number: Int, _ sketch: Sketch) -> Sketch.NIC {
        var nic = Sketch.NIC(
            switchName: switchName, number: number, families: families(),
            groups: some(of: sketch.groups.keys.sorted(), isOne(in: 4) ? 0...0 : 1...2))
        if isOne(in: 12) { nic.subnet = Int.random(in: 0...3, using: &self) }
        nic.isIsolated = isOne(in: 4)
        nic.isStatic = isOne(in: 4)
        nic.hasGateway = !isOne(in: 8)
        nic.hasLength = isOne(in: 3)
        nic.mtu = isOne(in: 6) ? 1300 : nil
        return nic
    }

    mutating func group(_ sketch: Sketch) -> Sketch.Group {
        var group = Sketch.Group()
        group.ingress = (0..<Int.random(in: 0...4, using: &self)).map { _ in rule(sketch) }
        group.egress = (0..<Int.random(in: 0...3, using: &self)).map { _ in rule(sketch) }
        // Else too little would pass.
        if isOne(in: 3) { group.egress.append(Sketch.Rule(traffic: .any, peers: [])) }
        group.keepsFlows = isOne(in: 5)
        return group
    }

    mutating func rule(_ sketch: Sketch) -> Sketch.Rule {
        let peers = isOne(in: 3) ? [] : (0..<Int.random(in: 1...3, using: &self)).map { _ in peer(sketch) }
        return Sketch.Rule(traffic: traffic(), peers: peers)
    }

    private mutating func traffic() -> Sketch.Traffic {
        switch Int.random(in: 0..<10, using: &self) {
        case 0: .any
        case 1: .whole(pick(["tcp", "udp", "icmp", "icmpv6", "sctp"]) ?? "tcp")
        case 2: .whole(pick(["1", "6", "17", "58", "132"]) ?? "6")
        case 3: .message("icmp", pick(["echo-request", "13"]) ?? "8")
        case 4: .message("icmpv6", pick(["echo-request", "1"]) ?? "128")
        case 5: .whole(pick(["icmp", "icmpv6"]) ?? "icmp")
        default: .ports(pick(["tcp", "udp"]) ?? "tcp", (0..<Int.random(in: 1...2, using: &self)).map { _ in range() })
        }
    }

    private mutating func range() -> ClosedRange<UInt16> {
        let port = pick(Self.ports) ?? 80
        return isOne(in: 3) ? (port - 5)...(port + UInt16.random(in: 0...400, using: &self)) : port...port
    }

    private mutating func peer(_ sketch: Sketch) -> Sketch.Peer {
        if isOne(in: 2), let name = pick(sketch.groups.keys.sorted()) { return .group(name) }
        if isOne(in: 3), let name = pick(sketch.sets.keys.sorted()) { return .set(name) }
        return .network(network(sketch))
    }

    mutating func networks(_ sketch: Sketch) -> [Network] {
        (0..<Int.random(in: 0...4, using: &self)).map { _ in network(sketch) }
    }

    /// One that is somebody's, or contains somebody, or nobody.
    private mutating func network(_ sketch: Sketch) -> Network {
        let family = pick(Family.allCases) ?? .v4
        let subnet = pick(sketch.switches.values.map(\.subnet).sorted()) ?? 0
        let number = isOne(in: 6) ? 254 : Int.random(in: 1...10, using: &self)
        let host = Network.host(family, subnet: subnet, number: number)
        let lengths = family == .v4 ? [32, 32, 30, 29, 24, 24, 8, 0] : [128, 128, 126, 125, 64, 64, 8, 0]
        return host.widened(to: pick(lengths) ?? family.width)
    }

    mutating func router(_ sketch: Sketch) -> Sketch.Router {
        var router = Sketch.Router()
        for name in some(of: sketch.switches.keys.sorted(), 1...3) {
            router.interfaces[name] = Sketch.Interface(number: isOne(in: 4) ? 253 : 254, families: families())
        }
        return router
    }

    mutating func translation(_ router: Sketch.Router, _ sketch: Sketch) -> Sketch.Translation? {
        guard let out = pick(router.interfaces.keys.sorted()), let family = pick(Family.allCases) else { return nil }
        let subnet = pick(sketch.switches.values.map(\.subnet).sorted()) ?? 0
        let length = isOne(in: 3) ? 8 : family.subnetLength
        return Sketch.Translation(
            from: Network.host(family, subnet: subnet, number: 1).widened(to: length), out: out)
    }

    mutating func forward(_ router: Sketch.Router, _ sketch: Sketch) -> Sketch.Forward? {
        guard let listen = pick(router.interfaces.keys.sorted()), let family = pick(Family.allCases),
            let nic = pick(sketch.nics.values.sorted { $0.number < $1.number }),
            let target = sketch.address(of: nic, family)
        else { return nil }
        let ports = Self.ports
        return Sketch.Forward(
            listen: listen, family: family, transport: pick(["tcp", "udp"]) ?? "tcp", port: pick(ports + [8080]) ?? 80,
            target: target, targetPort: pick(ports) ?? 80)
    }
}
