import TestSupport
import Testing

@testable import Capabilities

/// Every probe is compared with what `ip`, `tc` and `nft` can do in a namespace of the test's own.
@Suite("Probes and their witnesses", .enabled(if: isRoot && haveTools("ip", "tc", "nft")), .timeLimit(.minutes(2)))
struct ProbeTests {
    private static let found = Capabilities.probe()

    @Test(
        "A kind of link is there where `ip link add` makes one",
        arguments: [
            (Capability.bridge, "type bridge"), (.veth, "type veth"), (.vxlan, "type vxlan id 7 dstport 4789"),
            (.vrf, "type vrf table 7"), (.dummy, "type dummy"), (.bond, "type bond"), (.ifb, "type ifb"),
            (.vlanDevice, "link under type vlan id 2"),
        ])
    func links(_ capability: Capability, _ words: String) async throws {
        try await TestNamespace.with { namespace in
            try await namespace.run("ip", "link", "add", "under", "type", "veth")
            let made = try await namespace.attempt("sh", "-c", "ip link add name x0 \(words)")
            #expect(made.succeeded == Self.found.has(capability), "\(Self.found[capability]): \(made.error)")
        }
    }

    @Test("A tap is there where `ip tuntap add` makes one")
    func tap() async throws {
        try await TestNamespace.with { namespace in
            let made = try await namespace.attempt(
                "ip", "tuntap", "add", "x0", "mode", "tap", "multi_queue", "vnet_hdr")
            #expect(made.succeeded == Self.found.has(.tap), "\(made.error)")
        }
    }

    @Test(
        "A bridge option is there where `ip` shows it set",
        arguments: [
            (Capability.vlanFiltering, "ip link set bb type bridge vlan_filtering 1", "vlan_filtering 1"),
            (.spanningTree, "ip link set bb type bridge stp_state 1", "stp_state 1"),
            (.multicastSnooping, "ip link set bb type bridge mcast_querier 1", "mcast_querier 1"),
            (.portIsolation, "ip link set pp type bridge_slave isolated on", "isolated on"),
            (.lockedPort, "ip link set pp type bridge_slave locked on", "locked on"),
            (.neighbourSuppression, "ip link set pp type bridge_slave neigh_suppress on", "neigh_suppress on"),
        ])
    func bridges(_ capability: Capability, _ command: String, _ shown: String) async throws {
        try await TestNamespace.with { namespace in
            try await namespace.run("ip", "link", "add", "bb", "type", "bridge")
            try await namespace.run("ip", "link", "add", "pp", "type", "veth")
            try await namespace.run("ip", "link", "set", "pp", "master", "bb")
            _ = try await namespace.attempt("sh", "-c", command)
            let text = try await namespace.run("ip", "-d", "link", "show")
            #expect(text.contains(shown) == Self.found.has(capability), "\(Self.found[capability])")
        }
    }

    @Test(
        "Rules are there where `nft` loads them",
        arguments: [
            (Capability.nftablesInet, "table inet t { chain c { type filter hook forward priority 0; }; }"),
            (.nftablesBridge, "table bridge t { chain c { type filter hook forward priority 0; }; }"),
            (.nftablesNetdev, "table netdev t { }"),
            (.netdevIngress, "table netdev t { chain c { type filter hook ingress device lo priority 0; }; }"),
            (.netdevEgress, "table netdev t { chain c { type filter hook egress device lo priority 0; }; }"),
            (.conntrack, "table inet t { chain c { type filter hook forward priority 0; ct state new drop; }; }"),
            (
                .conntrackBridge,
                "table bridge t { chain c { type filter hook forward priority 0; ct state new drop; }; }"
            ),
            (
                .conntrackZones,
                "table inet t { chain c { type filter hook prerouting priority -300; ct zone set 7; }; }"
            ),
            (.nat, "table inet t { chain c { type nat hook postrouting priority 100; masquerade; }; }"),
            (.rejectBridge, "table bridge t { chain c { type filter hook prerouting priority 0; reject; }; }"),
            (.bridgeMeta, "table bridge t { chain c { type filter hook forward priority 0; meta ibrname b drop; }; }"),
            (.intervalSets, "table inet t { set s { type ipv4_addr; flags interval; }; }"),
            (.concatenatedRanges, "table inet t { set s { type ipv4_addr . ipv4_addr; flags interval; }; }"),
            (.flowtables, "table inet t { flowtable f { hook ingress priority 0; devices = { lo }; }; }"),
        ])
    func rules(_ capability: Capability, _ text: String) async throws {
        try await TestNamespace.with { namespace in
            let loaded = try await namespace.attempt("nft", text)
            #expect(loaded.succeeded == Self.found.has(capability), "\(Self.found[capability]): \(loaded.error)")
        }
    }

    @Test(
        "Shaping is there where `tc` takes it",
        arguments: [
            (Capability.tbf, "qdisc add dev lo root tbf rate 1mbit burst 10k limit 10k"),
            (.htb, "qdisc add dev lo root htb"), (.fqCodel, "qdisc add dev lo root fq_codel"),
            (.clsact, "qdisc add dev lo clsact"),
            (.u32, "filter add dev lo ingress protocol all u32 match u32 0 0"),
            (.flower, "filter add dev lo ingress protocol all flower"),
            (.matchall, "filter add dev lo ingress protocol all matchall"),
            (.mirred, "actions add action mirred egress mirror dev lo"),
            (.police, "actions add action police rate 1mbit burst 10k"),
        ])
    func shaping(_ capability: Capability, _ words: String) async throws {
        try await TestNamespace.with { namespace in
            if words.contains("ingress") { try await namespace.run("tc", "qdisc", "add", "dev", "lo", "clsact") }
            let taken = try await namespace.attempt("sh", "-c", "tc \(words)")
            #expect(taken.succeeded == Self.found.has(capability), "\(Self.found[capability]): \(taken.error)")
        }
    }

    @Test("Routing is there where `ip` and /proc/sys have it")
    func routing() async throws {
        try await TestNamespace.with { namespace in
            let rule = try await namespace.attempt("ip", "rule", "add", "table", "7")
            #expect(rule.succeeded == Self.found.has(.policyRouting))
            let setting = "/proc/sys/net/ipv6/conf/lo/force_forwarding"
            #expect(try await namespace.attempt("test", "-e", setting).succeeded == Self.found.has(.forceForwarding))
            let bridged = "/proc/sys/net/bridge/bridge-nf-call-iptables"
            #expect(try await namespace.attempt("test", "-e", bridged).succeeded == Self.found.has(.bridgeNetfilter))
            // Debian 12's `ip` has no word for the mark of an address, and no option takes it out of a kernel.
            let release = try #require(KernelRelease(parsing: Self.found.release))
            #expect((release >= KernelRelease(5, 18)) == Self.found.has(.addressProtocol))
        }
    }

    @Test("Every capability has an answer, and none is unknown to root")
    func complete() {
        for capability in Capability.allCases {
            if case .unknown(let reason) = Self.found[capability] { Issue.record("\(capability): \(reason)") }
        }
    }

    @Test("Nothing is left behind, and it takes less than half a second")
    func traces() async throws {
        let first = try await command(["ip", "-o", "link"]).output + command(["nft", "list", "tables"]).output
        let clock = ContinuousClock()
        let times = (0..<5).map { _ in clock.measure { _ = Capabilities.probe() } }
        let last = try await command(["ip", "-o", "link"]).output + command(["nft", "list", "tables"]).output
        #expect(!last.contains("sdp-"))
        #expect(!first.contains("sdp-"))
        #expect(times.min() ?? .zero < .milliseconds(500))
    }
}
