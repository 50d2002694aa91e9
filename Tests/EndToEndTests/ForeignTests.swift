import TestSupport
import Testing

/// A node on which others have things too: all of it is there before, during and after, byte for byte.
@Suite(.enabled(if: TestNamespace.isPossible))
struct ForeignTests {
    private static func manifest(guest: String) -> String {
        """
        switches: { blue: { mtu: 1450, uplinks: [eth1, eth2] }, wan: {}, tiny: { mtu: 600 } }
        routers:
          gw:
            interfaces:
              blue: { addresses: [10.10.0.1/24, "fd00:10::1/64"] }
              wan: { addresses: [203.0.113.2/24, "fd00:20::2/64"] }
            routes: [ { to: default, via: 203.0.113.1 }, { to: default, via: "fd00:20::1" } ]
            snat: [ { from: 10.10.0.0/24, out: wan } ]
            forwards: [ { listen: 203.0.113.2, protocol: tcp, port: 80, to: 10.10.0.10 } ]
        vms:
          vm1: { nics: [ { switch: blue, address: 10.10.0.10 }, { switch: tiny } ] }
          ct: { nics: [ { switch: blue, namespace: \(guest), address: [10.10.0.20, "fd00:10::20"] } ] }
          vm2: { nics: [ { switch: wan }, { switch: wan }, { switch: wan } ] }

        """
    }

    /// Before us: ports, a bridge with addresses and a tap, routes and rules where ours will be, tables of our name in
    /// other families.
    private static let before = """
        ip link add eth1 type veth peer name far1
        ip link add eth2 type veth peer name far2
        ip link set eth2 up
        ip link set eth2 addrgenmode random
        ip link add br9 type bridge
        ip link set br9 addrgenmode none up
        ip addr add 192.0.2.1/24 dev br9
        ip addr add 2001:db8:9::1/64 dev br9 nodad
        ip tuntap add tap9 mode tap
        ip link set tap9 master br9
        ip route add 198.18.0.0/16 via 192.0.2.9
        ip route add 198.19.0.0/16 via 192.0.2.9 table 77
        ip rule add prio 20100 from 192.0.2.0/24 lookup 77
        ip rule add prio 20102 from 10.10.0.0/24 lookup 77
        ip -6 rule add prio 20101 iif br9 lookup 78
        nft add table inet theirs
        nft add chain inet theirs forward { type filter hook forward priority 0 ; policy accept ; }
        nft add rule inet theirs forward iifname br9 counter accept
        nft add table bridge theirs
        nft add table ip sdagent
        nft add chain ip sdagent theirs
        """

    /// On what is ours.
    private static let onOurs = """
        ip addr add 10.10.0.77/24 dev blue
        ip addr add 172.16.0.1/24 dev blue
        ip -6 addr add fd00:77::1/64 dev blue nodad
        ip route add 172.17.0.0/16 via 172.16.0.9
        ip link property add dev blue altname theirs
        ip tuntap add tap8 mode tap
        ip link set tap8 master blue
        ip rule add prio 20101 from 172.16.0.0/24 lookup 77
        """

    private func run(_ node: AgentNode, _ script: String) async throws {
        let quoted = script.replacing(#/\{.*\}/#) { "'\($0.0)'" }
        try await node.space.run("sh", "-e", "-c", quoted)
    }

    /// Everything but what the kernel does at its own time: a port that was up once keeps its queue, and an interface
    /// whose IPv6 was off and is on again has its routes at the end of the list.
    private func picture(_ node: AgentNode) async throws -> [String] {
        let settings = try await node.space.run(
            "sh", "-c", "cd /proc/sys/net && grep -rH . ipv4/conf ipv6/conf 2>/dev/null | grep -v stable_secret")
        let picture = try await node.picture().replacing(#/qdisc \S+/#, with: "")
        return (picture + settings).split(separator: "\n").map(String.init).sorted()
    }

    @Test(arguments: [
        "true", "sysctl -q net.ipv4.ip_forward=1", "sysctl -q net.ipv6.conf.all.forwarding=1",
        "sysctl -q net.ipv4.conf.default.promote_secondaries=1 net.ipv6.conf.default.forwarding=1",
    ])
    func whatOthersHaveIsTheSameBeforeAndAfter(setting: String) async throws {
        try await TestNamespace.with { guest in
            try await AgentNode.with(Self.manifest(guest: guest.name)) { node in
                try await run(node, setting + "\n" + Self.before)
                #expect(try await node.space.settle())
                let before = try await picture(node)
                let inside = try await guest.run("ip", "-d", "address")
                try await node.apply()
                #expect(try await node.isConverged())

                try await run(node, Self.onOurs)
                #expect(try await node.isConverged())
                try node.write(
                    Self.manifest(guest: guest.name).replacing("10.10.0.1/24", with: "10.10.0.2/24")
                        .replacing("1450", with: "1400").replacing("via: 203.0.113.1 ", with: "via: 203.0.113.9 "))
                try await node.apply()
                #expect(try await node.isConverged())
                let during = try await node.picture()
                for words in [
                    "10.10.0.2/24", "10.10.0.77/24", "172.16.0.1/24", "fd00:77::1/64", "172.17.0.0/16 via 172.16.0.9",
                    "altname theirs", "tap8", "from 172.16.0.0/24 lookup 77",
                ] { #expect(during.contains(words), "\(words) in \(during)") }
                #expect(!during.contains("10.10.0.1/24"))

                try await run(node, "ip link del tap8\nip rule del prio 20101 from 172.16.0.0/24 lookup 77")
                try node.write("")
                try await node.apply()
                #expect(try await node.isConverged())
                var after: [String] = []
                // An anycast address follows its address at leisure.
                let isSame = try await eventually(within: 5) {
                    after = try await picture(node)
                    return after == before
                }
                #expect(
                    isSame, "now: \(Set(after).subtracting(before)), before: \(Set(before).subtracting(after))")
                #expect(try await guest.run("ip", "-d", "address") == inside)
            }
        }
    }
}
