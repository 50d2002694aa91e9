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

    @Test func `an address is taken away alone, and the interface stays as it was`() async throws {
        try await TestNamespace.with { space in
            var socket = try NetworkLocation.namespace(space.name).socket(.route)
            try await space.run("ip", "link", "add", "br0", "type", "bridge")
            let name = try #require(InterfaceName("br0"))
            for promotes in ["0", "1"] {
                let file = "/proc/sys/net/ipv4/conf/br0/promote_secondaries"
                try await space.run("sh", "-c", "echo \(promotes) > \(file)")
                for address in ["192.0.2.1/24", "192.0.2.2/24", "fd00::1/64"] {
                    try await space.run("ip", "addr", "replace", address, "dev", "br0")
                }
                let link = try #require(try socket.link(named: name))
                #expect(link.promotesSecondaries == (promotes == "1"))
                var batch = MessageWriter()
                for address in ["192.0.2.1/24", "fd00::1/64"] {
                    batch.removeAddressAlone(try prefix(address), from: link)
                }
                #expect(try socket.request(batch).allSatisfy { $0 == nil })
                let left = try socket.addresses().filter { $0.link == link.index }.map(\.prefix.description)
                #expect(left == ["192.0.2.2/24"])
                #expect(try await space.run("cat", file) == promotes + "\n")
            }
        }
    }

    @Test func `the routes through one link are listed, and no others`() async throws {
        try await TestNamespace.with { space in
            var socket = try NetworkLocation.namespace(space.name).socket(.route)
            for name in ["br0", "br1"] {
                try await space.run("ip", "link", "add", name, "type", "bridge")
                try await space.run("ip", "link", "set", name, "addrgenmode", "none", "up")
            }
            for words in [
                "route add 198.51.100.0/24 dev br0", "-6 route add fd00:9::/64 dev br0 table 1000",
                "route add 198.51.101.0/24 dev br1", "route add 198.51.102.0/24 nexthop dev br0 nexthop dev br1",
            ] { try await output(of: space.inside(["ip"] + words.split(separator: " ").map(String.init))) }
            let name = try #require(InterfaceName("br0"))
            let link = try #require(try socket.link(named: name))
            // 3 is RTPROT_BOOT: what the ip command puts there.
            let routes = try socket.routes(through: link.index).filter { $0.protocolNumber == 3 }
            #expect(
                routes.map(\.destination.description).sorted() == [
                    "198.51.100.0/24", "198.51.102.0/24", "fd00:9::/64",
                ])
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
