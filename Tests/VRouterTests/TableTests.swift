import Netlink
import Reconcile
import TestSupport
import Testing
@testable import VRouter

/// The routers' table against the same rules written for the nft command.
@Suite(.enabled(if: TestNamespace.isPossible))
struct TableTests {
    private static let script = """
        table inet sdagent {
            comment "sdagent nat"
            set interfaces { type ifname; elements = { "blue", "wan" } }
            set paths {
                type ifname . ifname
                elements = { "blue" . "blue", "blue" . "wan", "wan" . "blue", "wan" . "wan" }
            }
            map forward4 {
                type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
                elements = {
                    203.0.113.2 . tcp . 8443 : 10.10.0.10 . 443,
                    203.0.113.2 . udp . 5000 : 10.10.0.11 . 6000,
                    203.0.113.2 . udp . 5001 : 10.10.0.11 . 6001
                }
            }
            map forward6 {
                type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service
                elements = { fd00:20::2 . tcp . 8443 : fd00:10::10 . 443 }
            }
            chain prerouting {
                type nat hook prerouting priority dstnat; policy accept;
                meta nfproto ipv4 iifname @interfaces dnat ip to ip daddr . meta l4proto . th dport map @forward4 \
                    comment "forwarded ports"
                meta nfproto ipv6 iifname @interfaces dnat ip6 to ip6 daddr . meta l4proto . th dport map @forward6 \
                    comment "forwarded ports"
            }
            chain output {
                type nat hook output priority -100; policy accept;
                meta nfproto ipv4 dnat ip to ip daddr . meta l4proto . th dport map @forward4 \
                    comment "forwarded ports, from this node"
                meta nfproto ipv6 dnat ip6 to ip6 daddr . meta l4proto . th dport map @forward6 \
                    comment "forwarded ports, from this node"
            }
            chain forward {
                type filter hook forward priority filter; policy accept;
                iifname . oifname @paths accept comment "within a router"
                iifname @interfaces oifname @interfaces ct status dnat accept comment "forwarded, and the answers"
                iifname @interfaces counter drop comment "from a router to elsewhere"
                oifname @interfaces counter drop comment "from elsewhere to a router"
            }
            chain answers {
                type filter hook output priority filter; policy accept;
                oifname @interfaces icmp type redirect drop comment "no redirects"
                oifname @interfaces icmpv6 type nd-redirect drop comment "no redirects"
            }
            chain postrouting {
                type nat hook postrouting priority srcnat; policy accept;
                oifname "blue" ct status dnat ip saddr 10.10.0.0/24 masquerade comment "hairpin 10.10.0.0/24 on blue"
                oifname "blue" ct status dnat ip6 saddr fd00:10::/64 masquerade comment "hairpin fd00:10::/64 on blue"
                iifname @interfaces oifname "wan" ip saddr 10.10.0.0/24 masquerade \
                    comment "masquerade 10.10.0.0/24 out of wan"
                iifname @interfaces oifname "wan" ip6 saddr fd00:10::7 snat ip6 to fd00:20::3 \
                    comment "snat fd00:10::7/128 out of wan to fd00:20::3"
            }
        }
        """

    private static let manifest = """
        switches: { blue: {}, wan: {} }
        routers:
          gw:
            interfaces:
              blue: { addresses: [10.10.0.1/24, "fd00:10::1/64"] }
              wan: { addresses: [203.0.113.2/24, "fd00:20::2/64", "fd00:20::3/64"] }
            snat: [ { from: 10.10.0.0/24, out: wan }, { from: "fd00:10::7/128", out: wan, to: "fd00:20::3" } ]
            forwards:
              - { listen: 203.0.113.2, protocol: tcp, port: 8443, to: 10.10.0.10:443 }
              - { listen: "fd00:20::2", protocol: tcp, port: 8443, to: "[fd00:10::10]:443" }
              - { listen: 203.0.113.2, protocol: udp, port: 5000-5001, to: 10.10.0.11:6000 }
        """

    /// What `nft` lists of the table, in an order that does not hang on the order of making.
    private static func listing(_ space: TestNamespace) async throws -> [String] {
        let text = try await space.run("nft", "-n", "list", "table", "inet", "sdagent")
        // The command leaves a test for the family out where the next one implies it, and so may we.
        return text.replacing("meta nfproto ipv4 ", with: "").replacing("meta nfproto ipv6 ", with: "")
            .replacing("elements = { ", with: "").replacing(" }", with: "")
            .split { $0 == "\n" || $0 == "," }
            .map { String($0.drop { $0 == "\t" || $0 == " " }) }.sorted()
    }

    @Test func `our table reads as the one of the nft command`() async throws {
        let table = try #require(Manifests.load(Self.manifest).desired?.specs(of: NATKind.self)["inet"])
        try await TestNamespace.with { mine in
            try await TestNamespace.with { theirs in
                var socket = try NetworkLocation.namespace(mine.name).socket(.netfilter)
                try NFTableChange(from: nil, to: table)
                    .commit(from: nil, to: table, generation: try socket.nftablesGeneration(), on: &socket)
                try await TemporaryDirectory.with { directory in
                    _ = try await theirs.run("nft", "-f", directory.write(Self.script, to: "script.nft"))
                }
                let (left, right) = (try await Self.listing(mine), try await Self.listing(theirs))
                #expect(left == right)
            }
        }
    }

    @Test func `ten thousand forwarded ports are one transaction, and nothing the second time`() async throws {
        try await Site.with { site in
            let many = Self.manifest.replacing("port: 5000-5001", with: "port: 10000-19999")
            #expect(try await site.apply(many) == [])
            #expect(try await site.plan(many) == "Plan: no changes.\n")
            let plan = try await site.plan(Self.manifest)
            #expect(plan.contains("and 9990 more"), "\(plan)")
            #expect(try await site.apply(Self.manifest) == [])
        }
    }
}
