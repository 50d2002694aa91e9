import Netlink
import Syscall
import TestSupport
import Testing

/// VXLAN links, their entries and neighbours in a namespace of the test's own, with `ip` and `bridge` as witnesses.
@Suite(.enabled(if: TestNamespace.isPossible))
struct OverlayLinkTests {
    private let mac = MACAddress(rawValue: 0x0200_0000_0007)
    private let other = MACAddress(rawValue: 0x0200_0000_0008)

    private func name(_ text: String) throws -> InterfaceName { try #require(InterfaceName(text)) }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    /// A bridge and a VXLAN link, which is its port; the indices of both.
    private func build(_ socket: inout NetlinkSocket, local: String) throws -> (bridge: Int32, vxlan: Int32) {
        let attributes = VXLANAttributes(vni: 100, local: try address(local), port: 4789, isLearning: false)
        var batch = MessageWriter()
        batch.createBridge(try name("blue"), mac: mac, mtu: 1400)
        batch.createVXLAN(try name("vx"), mac: mac.replacingFirstByte(with: 6), mtu: 1400, attributes: attributes)
        #expect(try socket.request(batch) == [nil, nil])
        let bridge = try #require(try socket.link(named: name("blue"))).index
        var change = LinkChange()
        change.master = bridge
        change.addressGeneration = AddressGeneration.none
        batch = MessageWriter()
        batch.changeLink(.name(try name("vx")), change)
        #expect(try socket.request(batch) == [nil])
        return (bridge, try #require(try socket.link(named: name("vx"))).index)
    }

    @Test(arguments: ["192.0.2.10", "fd00::10"])
    func `a VXLAN link is made, changed and shown, and so is its port`(local: String) async throws {
        try await TestNamespace.with { space in
            var socket = try NetworkLocation.namespace(space.name).socket(.route)
            let (_, vxlan) = try build(&socket, local: local)
            let isIPv4 = try address(local).isIPv4
            let shown = try await space.run("ip", "-d", "link", "show", "vx")
            let checksum = isIPv4 ? "df set ageing 300 udpcsum" : "noudp6zerocsumtx"
            for words in ["vxlan id 100 local \(local)", "dstport 4789", "nolearning", "ttl auto", checksum] {
                #expect(shown.contains(words), "\(words) in \(shown)")
            }
            var link = try #require(try socket.link(named: name("vx")))
            var wanted = VXLANAttributes(vni: 100, local: try address(local), port: 4789, isLearning: false)
            #expect(link.kind == .vxlan && link.vxlan == wanted && link.port == BridgePortAttributes())

            wanted.local = try address(isIPv4 ? "192.0.2.11" : "fd00::11")
            (wanted.isLearning, wanted.ageing, wanted.timeToLive, wanted.fragmentation) = (true, 77, 9, .inherited)
            var port = BridgePortAttributes()
            (port.isLearning, port.floodsUnicast, port.floodsMulticast) = (false, false, false)
            (port.floodsBroadcast, port.suppressesNeighbours, port.isIsolated) = (false, true, true)
            port.isLocked = true
            var batch = MessageWriter()
            batch.changeVXLAN(.index(vxlan), wanted)
            batch.changeBridgePort(.index(vxlan), port)
            #expect(try socket.request(batch) == [nil, nil])
            link = try #require(try socket.link(named: name("vx")))
            #expect(link.vxlan == wanted && link.port == port)
            let after = try await space.run("ip", "-d", "link", "show", "vx")
            for words in [
                "learning off flood off", "mcast_flood off bcast_flood off", "neigh_suppress on", "isolated on",
                "locked on", "ageing 77", "ttl 9",
            ] { #expect(after.contains(words), "\(words) in \(after)") }
        }
    }

    @Test func `entries are set, replaced, listed and removed`() async throws {
        try await TestNamespace.with { space in
            var socket = try NetworkLocation.namespace(space.name).socket(.route)
            let (_, vxlan) = try build(&socket, local: "192.0.2.10")
            let (first, second) = (try address("192.0.2.11"), try address("192.0.2.12"))
            let zero = MACAddress(rawValue: 0)
            let wanted = [
                ForwardingEntry(zero, to: first, on: vxlan), ForwardingEntry(zero, to: second, on: vxlan),
                ForwardingEntry(mac, to: second, on: vxlan), ForwardingEntry(mac, atPort: vxlan),
            ]
            var batch = MessageWriter()
            batch.setForwardingEntry(ForwardingEntry(mac, to: first, on: vxlan))
            for entry in wanted + wanted { batch.setForwardingEntry(entry) }
            #expect(try socket.request(batch).allSatisfy { $0 == nil })
            let seen = try socket.forwardingEntries(of: vxlan)
            #expect(Set(seen.filter { $0.origin == .fixed }) == Set(wanted))
            // The address of the port itself is the node's own.
            #expect(seen.filter { $0.origin != .fixed }.map(\.origin) == [.local])
            let shown = try await space.run("bridge", "fdb", "show", "dev", "vx")
            for words in [
                "00:00:00:00:00:00 dst 192.0.2.11 self permanent", "00:00:00:00:00:00 dst 192.0.2.12 self permanent",
                "\(mac) dst 192.0.2.12 self permanent", "\(mac) sticky master blue static",
            ] { #expect(shown.contains(words), "\(words) in \(shown)") }

            try await space.run(
                "bridge", "fdb", "add", "\(other)", "dev", "vx", "dst", "192.0.2.13", "port", "4790", "vni", "7", "self"
            )
            try await space.run(
                "bridge", "fdb", "add", "02:00:00:00:00:09", "dev", "vx", "dst", "192.0.2.13", "self", "extern_learn")
            let odd = try #require(try socket.forwardingEntries(of: vxlan).first { $0.mac == other })
            #expect(odd.detour.port == 4790 && odd.detour.vni == 7 && odd.origin == .fixed)
            #expect(try socket.forwardingEntries(of: vxlan).contains { $0.origin == .external })
            var removal = MessageWriter()
            for entry in wanted + [odd] { removal.removeForwardingEntry(entry) }
            removal.removeForwardingEntry(wanted[0])
            let outcomes = try socket.request(removal)
            #expect(outcomes.dropLast().allSatisfy { $0 == nil } && outcomes.last??.isMissing == true)
            #expect(try socket.forwardingEntries(of: vxlan).filter { $0.origin == .fixed }.isEmpty)
        }
    }

    @Test func `neighbours are set over learned ones, listed by owner and removed`() async throws {
        try await TestNamespace.with { space in
            var socket = try NetworkLocation.namespace(space.name).socket(.route)
            let (bridge, _) = try build(&socket, local: "192.0.2.10")
            try await space.run("ip", "link", "set", "blue", "up")
            for (address, mac) in [("10.0.0.1", "\(other)"), ("10.0.0.3", "\(other)")] {
                try await space.run("ip", "neigh", "add", address, "lladdr", mac, "dev", "blue", "nud", "reachable")
            }
            let wanted = try ["10.0.0.1", "10.0.0.2", "fd00::1"].map {
                Neighbour(try address($0), mac: mac, link: bridge)
            }
            var batch = MessageWriter()
            for neighbour in wanted + wanted { batch.setNeighbour(neighbour) }
            #expect(try socket.request(batch).allSatisfy { $0 == nil })
            let seen = try socket.neighbours(ofProtocol: OwnershipMark.protocolNumber)
            #expect(Set(seen) == Set(wanted) && seen.count == 3)
            #expect(try socket.neighbours(ofProtocol: 0).contains { $0.mac == other && !$0.isPermanent })
            let shown = try await space.run("ip", "neigh", "show", "dev", "blue")
            #expect(shown.contains("10.0.0.1 lladdr \(mac) PERMANENT proto 201"), "\(shown)")
            #expect(shown.contains("fd00::1 lladdr \(mac) PERMANENT proto 201"), "\(shown)")
            var removal = MessageWriter()
            for neighbour in wanted { removal.removeNeighbour(neighbour) }
            removal.removeNeighbour(wanted[0])
            let outcomes = try socket.request(removal)
            #expect(outcomes.dropLast().allSatisfy { $0 == nil } && outcomes.last??.isMissing == true)
            #expect(try socket.neighbours(ofProtocol: OwnershipMark.protocolNumber).isEmpty)
        }
    }

    @Test func `a monitor hears of what somebody sets, not of what is learned`() async throws {
        try await TestNamespace.with { space in
            var socket = try NetworkLocation.namespace(space.name).socket(.route)
            _ = try build(&socket, local: "192.0.2.10")
            for link in ["blue", "vx"] { try await space.run("ip", "link", "set", link, "up") }
            let monitor = try NetlinkMonitor(.routing, in: NetworkNamespace(space.name))
            let learned = [
                "ip neigh add 10.0.0.1 lladdr \(mac) dev blue nud reachable", "ip neigh del 10.0.0.1 dev blue",
                "bridge fdb add \(other) dst 192.0.2.11 dev vx self dynamic", "bridge fdb del \(other) dev vx self",
                "bridge fdb add \(other) dev vx master dynamic", "bridge fdb del \(other) dev vx master",
            ]
            // More than once: a link's carrier is told in the kernel's own time, and is heard as well.
            let isSilent = try await eventually(within: 20) {
                _ = try monitor.drain()
                for words in learned {
                    try await output(of: space.inside(words.split(separator: " ").map(String.init)))
                }
                return try !monitor.drain()
            }
            #expect(isSilent)
            for words in [
                "ip neigh add fd00::1 lladdr \(mac) dev blue nud permanent",
                "ip neigh add 10.0.0.1 lladdr \(mac) dev blue nud permanent protocol 201",
                "ip neigh del 10.0.0.1 dev blue", "bridge fdb add \(other) dst 192.0.2.11 dev vx self",
                "bridge fdb add \(other) dev vx master static", "bridge fdb del \(other) dev vx master",
                "bridge fdb del \(other) dev vx self", "ip link add other type bridge",
            ] {
                try await output(of: space.inside(words.split(separator: " ").map(String.init)))
                #expect(try monitor.drain(), "\(words)")
            }
        }
    }
}
