import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

/// Three nodes that exchange traffic of their guests over VXLAN.
@Suite("Overlay traffic", .enabled(if: TestNamespace.isPossible))
struct OverlayTrafficTests {
    @Test(arguments: [true, false])
    func `guests of three nodes talk, flooding and learning`(isIPv4: Bool) async throws {
        try await Cluster.with(isIPv4: isIPv4) { cluster in
            try await cluster.apply { cluster.manifest($0) }
            try await cluster.pingAll()
            for member in cluster.members {
                let wanted = try Cluster.desired(cluster.manifest(member))
                let before = try member.node.links()
                #expect(await member.node.plan(wanted) == [])
                #expect(await member.node.apply(wanted) == [])
                #expect(try member.node.links() == before)
                let mtu = try member.node.link("blue")?.mtu
                #expect(mtu == (isIPv4 ? 1450 : 1430))
                // What was learned is there still.
                let learned = try await member.space.run("bridge", "fdb", "show", "dev", "vx-blue")
                for other in cluster.members where other.number != member.number {
                    #expect(learned.contains("\(other.mac) dst \(cluster.address(other.number)) self"), "\(learned)")
                }
            }
        }
    }

    @Test func `hosts that are named need no learning, no flooding, no ARP and no ND`() async throws {
        try await Cluster.with { cluster in
            try await cluster.count()
            try await cluster.apply { cluster.manifest($0, hosts: true, more: "learning: false") }
            try await cluster.pingAll()
            // 6 pairs, 2 families, there and back.
            #expect(try await cluster.counted(.all) >= 24)
            #expect(try await cluster.counted(.arp) == 0)
            #expect(try await cluster.counted(.solicitations) == 0)
            // A station that nobody knows is nowhere.
            try await knock(cluster)
            #expect(try await cluster.counted(.stranger) == 0)
            for member in cluster.members {
                #expect(await member.node.plan(try Cluster.desired(manifest(cluster, member))) == [])
                let entries = try await member.space.run("bridge", "fdb", "show", "dev", "vx-blue")
                #expect(!entries.contains("\(member.mac)"), "learned: \(entries)")
            }
            // An address that is not named is asked for everywhere.
            _ = try await cluster.members[0].guest.attempt("ping", "-c1", "-W1", "10.10.0.77")
            #expect(try await cluster.counted(.arp) >= 2)
        }
    }

    private func manifest(_ cluster: Cluster, _ member: Cluster.Member) -> String {
        cluster.manifest(member, hosts: true, more: "learning: false")
    }

    /// One packet to a MAC address that nobody has.
    private func knock(_ cluster: Cluster) async throws {
        let guest = cluster.members[0].guest
        try await guest.run("ip", "neigh", "replace", "10.10.0.99", "lladdr", Cluster.stranger, "dev", "eth0")
        _ = try await guest.attempt("ping", "-c1", "-W1", "10.10.0.99")
    }

    @Test func `with learning, an unknown station is asked for everywhere`() async throws {
        try await Cluster.with { cluster in
            try await cluster.count()
            try await cluster.apply { cluster.manifest($0) }
            try await cluster.pingAll()
            #expect(try await cluster.counted(.arp) > 0)
            #expect(try await cluster.counted(.solicitations) > 0)
            try await knock(cluster)
            #expect(try await cluster.counted(.stranger) == 2)
        }
    }

    @Test func `suppression is off where it is asked to be`() async throws {
        try await Cluster.with(2) { cluster in
            try await cluster.count()
            try await cluster.apply { cluster.manifest($0, hosts: true, more: "suppress: false") }
            try await cluster.pingAll()
            #expect(try await cluster.counted(.arp) > 0)
            #expect(try await cluster.counted(.solicitations) > 0)
            #expect(try await cluster.members[0].space.run("ip", "neigh", "show", "dev", "blue") == "")
        }
    }

    @Test(arguments: [true, false])
    func `a full-size packet passes unfragmented, and a longer one does not`(isIPv4: Bool) async throws {
        try await Cluster.with(2, isIPv4: isIPv4) { cluster in
            try await cluster.apply { cluster.manifest($0, hosts: true) }
            try await cluster.pingAll()
            let guest = cluster.members[0].guest
            let other = cluster.members[1].addresses
            let mtu = isIPv4 ? 1450 : 1430
            // An IP header of 20 or 40 bytes, and ICMP's of 8.
            for (address, room) in [(other[0], mtu - 28), (other[1], mtu - 48)] {
                let fits = try await guest.attempt("ping", "-c1", "-W2", "-M", "do", "-s", "\(room)", address)
                #expect(fits.succeeded, "\(fits)")
                let long = try await guest.attempt("ping", "-c1", "-W1", "-M", "do", "-s", "\(room + 1)", address)
                #expect(!long.succeeded, "\(long)")
            }
            // The underlay carries it as it is: with one byte less of room there it would not pass.
            let shown = try await cluster.members[0].space.run("ip", "-s", "link", "show", "vx-blue")
            #expect(shown.contains("mtu \(mtu)"), "\(shown)")
        }
    }

    @Test func `a router on one node serves the guests of the others, with full-size packets`() async throws {
        try await Cluster.with(2) { cluster in
            try await TestNamespace.with { outside in
                try await cluster.apply { cluster.manifest($0, hosts: true) }
                try await cluster.pingAll()
                let (here, there) = (cluster.members[0], cluster.members[1])
                try await here.space.run(
                    "ip", "link", "add", "wan", "type", "veth", "peer", "eth0", "netns", outside.name)
                for words in [
                    // Without a link-local address the kernel asks for no neighbour on behalf of others.
                    "ip addr add fe80::1/64 dev blue nodad", "ip addr add fe80::1/64 dev wan nodad",
                    "ip addr add 10.10.0.1/24 dev blue", "ip addr add fd00:10::1/64 dev blue nodad",
                    "ip addr add 203.0.113.1/24 dev wan", "ip addr add fd00:20::1/64 dev wan nodad",
                    "ip link set wan up", "sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
                ] { try await output(of: here.space.inside(words.split(separator: " ").map(String.init))) }
                for words in [
                    "ip link set eth0 up", "ip addr add 203.0.113.9/24 dev eth0",
                    "ip addr add fd00:20::9/64 dev eth0 nodad", "ip route add default via 203.0.113.1",
                    "ip -6 route add default via fd00:20::1",
                ] { try await output(of: outside.inside(words.split(separator: " ").map(String.init))) }
                try await there.guest.run("ip", "route", "add", "default", "via", "10.10.0.1")
                try await there.guest.run("ip", "-6", "route", "add", "default", "via", "fd00:10::1")
                for (address, room) in [("203.0.113.9", 1450 - 28), ("fd00:20::9", 1450 - 48)] {
                    let passes = try await eventually(within: 15) {
                        try await there.guest.attempt("ping", "-c1", "-W1", "-M", "do", "-s", "\(room)", address)
                            .succeeded
                    }
                    #expect(passes, "\(address)")
                }
                // Addresses and settings that others have put on the bridge are none of the overlay's.
                #expect(await here.node.plan(try Cluster.desired(cluster.manifest(here, hosts: true))) == [])
            }
        }
    }
}
