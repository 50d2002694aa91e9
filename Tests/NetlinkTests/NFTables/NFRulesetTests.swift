import Syscall
import SystemPackage
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

    @Test("Of each rule it is read for which interfaces it is, what else it asks for, and what it does")
    func outlines() async throws {
        try await TestNamespace.with { namespace in
            try await namespace.run(
                "nft",
                """
                table inet t {
                  set named { type ifname; elements = { "s1", "s2" }; }
                  chain odd { }
                  chain c {
                    iifname "one" counter accept comment "plain"
                    oifname { "two", "three" } accept
                    iifname @named goto odd
                    iifname "four" tcp dport 22 accept
                    iifname != "five" drop
                    iifname "six*" log jump odd
                    iifname "seven" oifname "eight" return
                    oifname != { "ten", "eleven" } reject
                    iifname vmap { "twelve" : accept }
                    iifname . oifname { "a" . "b" } accept
                    ct state established,related accept
                    ip saddr 10.0.0.0/8 accept
                    ip protocol tcp limit rate 1/second accept
                    iif lo accept
                    meta nfproto ipv4 drop
                    fib saddr . mark . iif oif missing drop
                    meta mark set 1
                    accept
                  }
                }
                table ip other { chain c { iifname "other" accept; }; }
                """)
            var socket = try NetlinkSocket(.netfilter, in: try NetworkNamespace(namespace.name))
            let rules = try socket.nftablesOutlines(NFForeignRules.TableName(.inet, "t"))
            typealias Interfaces = NFRuleOutline.Interfaces
            func rule(
                _ deed: NFRuleOutline.Deed, _ interfaces: Interfaces..., isPartial: Bool = false, isVague: Bool = false,
                asksForRoute: Bool = false, isIPv4: Bool? = nil
            ) -> NFRuleOutline {
                NFRuleOutline(
                    chain: "c", deed, interfaces, isPartial: isPartial, isVague: isVague, asksForRoute: asksForRoute,
                    isIPv4: isIPv4)
            }
            #expect(
                rules == [
                    rule(.accept, Interfaces(.input, ["one"])),
                    rule(.accept, Interfaces(.output, ["two", "three"])),
                    rule(.goto("odd"), Interfaces(.input, ["s1", "s2"])),
                    rule(.accept, Interfaces(.input, ["four"]), isPartial: true),
                    rule(.refuse, Interfaces(.input, ["five"], isInverted: true)),
                    rule(.jump("odd"), Interfaces(.input, [], beginning: "six")),
                    rule(.return, Interfaces(.input, ["seven"]), Interfaces(.output, ["eight"])),
                    rule(.refuse, Interfaces(.output, ["ten", "eleven"], isInverted: true)),
                    rule(.accept, Interfaces(.input, ["twelve"]), isPartial: true),
                    rule(.accept, isPartial: true, isVague: true),
                    rule(.accept, isPartial: true),
                    rule(.accept, isPartial: true, isVague: true, isIPv4: true),
                    rule(.accept, isPartial: true, isIPv4: true),
                    rule(.accept, isPartial: true, isVague: true),
                    rule(.refuse, isPartial: true, isIPv4: true),
                    rule(.refuse, isPartial: true, asksForRoute: true),
                    rule(.nothing),
                    rule(.accept),
                ])
            #expect(try socket.nftablesOutlines(NFForeignRules.TableName(.ip, "absent")).isEmpty)
        }
    }

    @Test("Rules that iptables has written are read as those of nft", .enabled(if: haveTools("iptables-nft")))
    func iptables() async throws {
        try await TestNamespace.with { namespace in
            let script = """
                iptables-nft -N ONE
                iptables-nft -A FORWARD -i blue -m comment --comment why -j ACCEPT
                iptables-nft -A FORWARD ! -i docker0 -o docker0 -d 172.17.0.2 -p tcp --dport 80 -j ACCEPT
                iptables-nft -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                iptables-nft -A FORWARD -m physdev --physdev-is-bridged -j ACCEPT
                iptables-nft -A FORWARD -i br+ -g ONE
                iptables-nft -A FORWARD -o virbr0 -j REJECT
                iptables-nft -A FORWARD -j LOG
                iptables-nft -A FORWARD -j DROP
                """
            try await namespace.run("sh", "-ec", script)
            var socket = try NetlinkSocket(.netfilter, in: try NetworkNamespace(namespace.name))
            typealias Interfaces = NFRuleOutline.Interfaces
            let docker = [Interfaces(.input, ["docker0"], isInverted: true), Interfaces(.output, ["docker0"])]
            #expect(
                try socket.nftablesOutlines(NFForeignRules.TableName(.ip, "filter")) == [
                    NFRuleOutline(chain: "FORWARD", .accept, [Interfaces(.input, ["blue"])]),
                    NFRuleOutline(chain: "FORWARD", .accept, docker, isPartial: true, isVague: true),
                    NFRuleOutline(chain: "FORWARD", .accept, isPartial: true),
                    NFRuleOutline(chain: "FORWARD", .accept, isPartial: true, isVague: true),
                    NFRuleOutline(chain: "FORWARD", .goto("ONE"), [Interfaces(.input, [], beginning: "br")]),
                    NFRuleOutline(chain: "FORWARD", .refuse, [Interfaces(.output, ["virbr0"])]),
                    NFRuleOutline(chain: "FORWARD", .nothing),
                    NFRuleOutline(chain: "FORWARD", .refuse),
                ])
        }
    }

    @Test(
        "Rules of the old iptables are read as those of the new one, and a table that is not in force is not made",
        .enabled(if: haveTools("iptables-legacy", "ip6tables-legacy")), arguments: [true, false])
    func oldTables(isIPv4: Bool) async throws {
        try await TestNamespace.with { namespace in
            func read() throws -> OldTable? {
                try NetworkNamespace(namespace.name).run { () -> Result<OldTable?, Errno> in
                    do throws(Errno) {
                        return .success(try OldTable.read("filter", isIPv4: isIPv4))
                    } catch {
                        return .failure(error)
                    }
                }.get()
            }
            #expect(try read() == nil)
            let names = "/proc/net/ip\(isIPv4 ? "" : "6")_tables_names"
            #expect(try await namespace.run("cat", names) == "")
            let network = isIPv4 ? "172.17.0.0/16" : "fd00:17::/64"
            let script = """
                t=ip\(isIPv4 ? "" : "6")tables-legacy
                $t -P FORWARD DROP; $t -N ONE; $t -N TWO
                $t -A INPUT -i eth0 -j ACCEPT
                $t -A FORWARD -i blue -m comment --comment why -j ACCEPT
                $t -A FORWARD ! -i docker0 -o docker0 -d \(network) -p tcp --dport 80 -j ACCEPT
                $t -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                $t -A FORWARD -m physdev --physdev-is-bridged -j ACCEPT
                $t -A FORWARD -i br+ -g TWO
                $t -A FORWARD -j ONE
                $t -A FORWARD -o virbr0 -j REJECT
                $t -A FORWARD -j LOG
                $t -A ONE -i red -j RETURN
                $t -A ONE -p udp -j DROP
                $t -A TWO -o a123456789bcdef -j ACCEPT
                """
            try await namespace.run("sh", "-ec", script)
            var foreign = NFForeignRules()
            foreign.add(try #require(try read()))
            typealias Interfaces = NFRuleOutline.Interfaces
            func rule(
                _ chain: String, _ deed: NFRuleOutline.Deed, _ interfaces: Interfaces..., isPartial: Bool = false,
                isVague: Bool = false
            ) -> NFRuleOutline {
                NFRuleOutline(chain: chain, deed, interfaces, isPartial: isPartial, isVague: isVague)
            }
            let table = NFForeignRules.TableName(isIPv4 ? .ip : .ip6, NFForeignRules.oldTable)
            #expect(
                foreign.rules[table] == [
                    rule("FORWARD", .accept, Interfaces(.input, ["blue"])),
                    rule(
                        "FORWARD", .accept, Interfaces(.input, ["docker0"], isInverted: true),
                        Interfaces(.output, ["docker0"]), isPartial: true, isVague: true),
                    rule("FORWARD", .accept, isPartial: true),
                    rule("FORWARD", .accept, isPartial: true, isVague: true),
                    rule("FORWARD", .goto("TWO"), Interfaces(.input, [], beginning: "br")),
                    rule("FORWARD", .jump("ONE")),
                    rule("FORWARD", .refuse, Interfaces(.output, ["virbr0"])),
                    rule("FORWARD", .nothing),
                    rule("ONE", .return, Interfaces(.input, ["red"])),
                    rule("ONE", .refuse, isPartial: true),
                    rule("ONE", .return),
                    rule("TWO", .accept, Interfaces(.output, ["a123456789bcdef"])),
                    rule("TWO", .return),
                ])
            #expect(foreign.chains.filter(\.filtersForwarded).map(\.hook?.accepts) == [false])
            #expect(Set(foreign.chains.map(\.name)) == ["FORWARD", "ONE", "TWO"])
            // However it is cut off, it is read without a trap.
            let whole = try #require(try read())
            for count in stride(from: 0, to: whole.entries.count, by: 7) {
                var cut = NFForeignRules()
                cut.add(OldTable(whole, first: count))
                #expect((cut.rules[table]?.count ?? 0) <= 13)
            }
        }
    }

    @Test("What others filter is remembered until somebody commits, and never holds a table of ours")
    func ledger() async throws {
        try await TestNamespace.with { namespace in
            let ledger = NFLedger(in: .namespace(namespace.name), tenure: .none)
            #expect(try ledger.foreign(ours: "sdagent") == NFForeignRules())
            let rules = """
                table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }
                table inet sdagent-x { chain f { type filter hook forward priority 0; policy drop; }; }
                """
            try await namespace.run("nft", rules)
            let chain = NFRulesetChain(.ip, "filter", "FORWARD", hook: .init(number: 2, priority: 0, accepts: false))
            let table = NFForeignRules.TableName(.ip, "filter")
            #expect(try ledger.foreign(ours: "sdagent") == NFForeignRules(chains: [chain], rules: [table: []]))
            try await namespace.run("nft", "add rule ip filter FORWARD accept")
            let accept = NFRuleOutline(chain: "FORWARD", .accept)
            #expect(try ledger.foreign(ours: "sdagent").rules == [table: [accept]])
            try await namespace.run("nft", "flush ruleset")
            #expect(try ledger.foreign(ours: "sdagent") == NFForeignRules())
        }
    }
}
