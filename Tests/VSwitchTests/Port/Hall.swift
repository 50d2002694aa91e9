import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

/// NICs in namespaces of their own on one switch: a, b and so on, at 10.0.0.1 and fd00::1, 10.0.0.2 and fd00::2.
struct Hall {
    let node: Node
    let spaces: [TestNamespace]

    private static let names = ["a", "b", "c"]

    /// Runs the body with as many namespaces as there are names.
    static func with<Value>(_ body: (Hall) async throws -> Value) async throws -> Value {
        try await TestNamespace.with { a in
            try await TestNamespace.with { b in
                try await TestNamespace.with { c in
                    try await Node.with { try await body(Hall(node: $0, spaces: [a, b, c])) }
                }
            }
        }
    }

    /// All three NICs on a switch with these settings.
    func desired(
        _ settings: SwitchSettings = SwitchSettings(), uplinks: [String] = [],
        ports: (String) -> PortSettings = { _ in PortSettings() }
    ) throws -> Desired {
        var desired = Desired()
        var network = SwitchSpec(name: "blue")
        network.settings = settings
        desired.add(network)
        for uplink in uplinks {
            let spec = UplinkSpec(interface: try #require(InterfaceName(uplink)), switchName: "blue")
            desired.add(UplinkKind.self, uplink, spec)
        }
        for (index, name) in Self.names.enumerated() {
            let addresses = ["10.0.0.\(index + 1)", "fd00::\(index + 1)"].compactMap { IPAddress($0) }
            var nic = NICSpec(
                machine: name, name: "net0", switchName: "blue",
                addresses: addresses.map { NICSpec.Address($0, length: $0.isIPv4 ? 24 : 64) }, mtu: 1500,
                attachment: .namespace(spaces[index].name, farEnd: .derived(from: "eth0"), gateways: []))
            nic.port = ports(name)
            nic.port.guardsTree = settings.spanningTree != nil
            desired.add(nic)
        }
        return desired
    }

    /// Whether pings get through, of both families or of none.
    func reaches(_ from: Int, _ target: Int) async throws -> Bool {
        var (v4, v6) = (false, false)
        // Who has asked for a neighbour in vain asks again only after a while.
        for _ in 0..<3 where !(v4 && v6) {
            v4 = try await ping(from, "10.0.0.\(target + 1)")
            v6 = try await ping(from, "fd00::\(target + 1)")
        }
        #expect(v4 == v6, "IPv4 \(v4), IPv6 \(v6)")
        return v4
    }

    func ping(_ from: Int, _ address: String) async throws -> Bool {
        let words = ["ip", "netns", "exec", spaces[from].name, "ping", "-c1", "-W1", address]
        return try await command(words).code == 0
    }
}
