import Netlink
import Syscall
import TestSupport
import Testing

/// Addresses and routes in a namespace of the test's own, with `ip` as the witness.
@Suite(.enabled(if: TestNamespace.isPossible))
struct RouteTests {
    @Test func `addresses and routes of both families come and go`() async throws {
        try await TestNamespace.with { space in
            var socket = try NetworkLocation.namespace(space.name).socket(.route)
            try await space.run("ip", "link", "add", "br0", "type", "bridge")
            try await space.run("ip", "link", "set", "br0", "up")
            try await space.run("ip", "addr", "add", "192.0.2.1/24", "dev", "br0")
            let link = try #require(try socket.links().first { $0.name.description == "br0" }).index
            let addresses = try ["10.10.0.1/24", "fd00:10::1/64", "10.11.0.1/32"].map { try #require(IPPrefix($0)) }
            let routes = [
                Route(to: try prefix("198.51.100.0/24"), via: try address("10.10.0.254"), link: link),
                Route(to: try prefix("::/0"), via: try address("fd00:10::fe"), link: link, metric: 50),
                Route(to: try prefix("203.0.113.0/24"), table: 1000, kind: .unreachable),
                Route(to: try prefix("10.20.0.0/16"), link: link, preferredSource: try address("10.10.0.1")),
            ]
            var batch = MessageWriter()
            for address in addresses { batch.addAddress(address, to: link) }
            for route in routes { batch.addRoute(route) }
            #expect(try socket.request(batch) == Array(repeating: nil, count: 7))

            let ours = try socket.addresses().filter { $0.protocolNumber == OwnershipMark.protocolNumber }
            #expect(Set(ours.map(\.prefix)) == Set(addresses))
            #expect(ours.allSatisfy { $0.link == link && $0.isPermanent })
            let seen = try socket.routes().filter { $0.protocolNumber == OwnershipMark.protocolNumber }
            #expect(Set(seen) == Set(routes))

            let shown = try await space.run("ip", "addr", "show", "dev", "br0")
            #expect(shown.contains("inet 10.10.0.1/24 brd 10.10.0.255"))
            #expect(shown.contains("inet6 fd00:10::1/64") && !shown.contains("tentative fd00"))
            #expect(try await space.run("ip", "route").contains("198.51.100.0/24 via 10.10.0.254 dev br0 proto 201"))
            #expect(try await space.run("ip", "-6", "route").contains("default via fd00:10::fe dev br0 proto 201"))

            var removal = MessageWriter()
            for route in routes { removal.removeRoute(route) }
            for address in addresses { removal.removeAddress(address, from: link) }
            removal.removeRoute(routes[0])
            let outcomes = try socket.request(removal)
            #expect(outcomes.dropLast().allSatisfy { $0 == nil })
            #expect(outcomes.last??.isMissing == true)
            #expect(!(try socket.routes().contains { $0.protocolNumber == OwnershipMark.protocolNumber }))
            let left = try socket.addresses().filter { $0.link == link && $0.prefix.isIPv4 }
            #expect(left.map(\.prefix.description) == ["192.0.2.1/24"])
        }
    }

    @Test func `a monitor wakes for a change and says nothing else`() async throws {
        try await TestNamespace.with { space in
            let location = NetworkLocation.namespace(space.name)
            var socket = try location.socket(.route)
            let monitor = try NetlinkMonitor(.routing, in: NetworkNamespace(space.name))
            #expect(try monitor.drain() == false)
            var batch = MessageWriter()
            batch.createBridge(try #require(InterfaceName("br0")), mac: .derived(from: "b"), mtu: 1500)
            #expect(try socket.request(batch) == [nil])
            #expect(try monitor.drain())
            #expect(try monitor.drain() == false)
        }
    }

    private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
}
