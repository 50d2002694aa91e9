import Syscall
import TestSupport
import Testing

@testable import Netlink

@Suite("The ruleset of others", .enabled(if: TestNamespace.isPossible && haveTools("nft")))
struct NFRulesetTests {
    @Test("Chains of every family are listed with hook, priority and policy")
    func chains() async throws {
        try await TestNamespace.with { namespace in
            try await namespace.run(
                "nft",
                """
                table ip filter {
                  chain FORWARD { type filter hook forward priority 0; policy drop; }
                  chain DOCKER-USER { }
                }
                table inet fw { chain in { type filter hook input priority -5; }; }
                table bridge b { chain pre { type filter hook prerouting priority -300; }; }
                table ip6 n { chain post { type nat hook postrouting priority 100; }; }
                table arp a { chain in { type filter hook input priority 0; }; }
                table netdev d { chain i { type filter hook ingress device lo priority 3; }; }
                """)
            var socket = try NetlinkSocket(.netfilter, in: try NetworkNamespace(namespace.name))
            let chains = try socket.nftablesChains()
            #expect(
                Set(chains) == [
                    NFRulesetChain(.ip, "filter", "FORWARD", hook: .init(number: 2, priority: 0, accepts: false)),
                    NFRulesetChain(.ip, "filter", "DOCKER-USER"),
                    NFRulesetChain(.inet, "fw", "in", hook: .init(number: 1, priority: -5, accepts: true)),
                    NFRulesetChain(.bridge, "b", "pre", hook: .init(number: 0, priority: -300, accepts: true)),
                    NFRulesetChain(
                        .ip6, "n", "post", hook: .init(number: 4, priority: 100, kind: "nat", accepts: true)),
                    NFRulesetChain(.arp, "a", "in", hook: .init(number: 0, priority: 0, accepts: true)),
                    NFRulesetChain(.netdev, "d", "i", hook: .init(number: 0, priority: 3, accepts: true)),
                ])
        }
    }

    @Test("A rule is a pass only where an interface's name is all that it asks for")
    func passes() async throws {
        try await TestNamespace.with { namespace in
            try await namespace.run(
                "nft",
                """
                table ip t {
                  set named { type ifname; elements = { "s1", "s2" }; }
                  chain trusted { }
                  chain odd { }
                  chain c {
                    iifname "one" counter accept comment "plain"
                    oifname { "two", "three" } accept
                    iifname @named goto trusted
                    iifname "four" tcp dport 22 accept
                    iifname != "five" accept
                    iifname "six*" accept
                    iifname "seven" oifname "eight" accept
                    iifname "nine" drop
                    oifname != { "ten", "eleven" } accept
                    iifname vmap { "twelve" : accept }
                    tcp dport 80 jump odd
                    accept
                  }
                }
                table ip other { chain c { iifname "other" accept; }; }
                """)
            var socket = try NetlinkSocket(.netfilter, in: try NetworkNamespace(namespace.name))
            let paths = try socket.nftablesPaths(.ip, "t")
            #expect(
                paths.passes == [
                    NFInterfacePass(chain: "c", side: .input, interface: "one"),
                    NFInterfacePass(chain: "c", side: .output, interface: "two"),
                    NFInterfacePass(chain: "c", side: .output, interface: "three"),
                    NFInterfacePass(chain: "c", side: .input, interface: "s1", leadsTo: "trusted"),
                    NFInterfacePass(chain: "c", side: .input, interface: "s2", leadsTo: "trusted"),
                ])
            #expect(paths.jumps == ["c": ["trusted", "odd"]])
            #expect(paths.passes(from: "c").count == 5)
            #expect(paths.passes(from: "trusted").isEmpty)
            #expect(try socket.nftablesPaths(.ip, "absent") == NFTablePaths())
        }
    }
}
