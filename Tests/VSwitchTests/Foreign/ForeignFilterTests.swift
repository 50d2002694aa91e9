import Netlink
import Rules
import Testing

/// What other people's chains do with our packets, as far as it can be told from their interfaces.
struct ForeignFilterTests {
    private typealias Interfaces = NFRuleOutline.Interfaces

    private static let forward = NFRulesetChain(
        .ip, "filter", "FORWARD", hook: .init(number: 2, priority: 0, accepts: false))
    private static let accepting = NFRulesetChain(
        .ip, "filter", "FORWARD", hook: .init(number: 2, priority: 0, accepts: true))

    private static func filter(_ rules: [NFRuleOutline], on chain: NFRulesetChain = forward) -> ForeignFilter {
        ForeignFilter(chain, rules: rules, neighbours: ["FORWARD"])
    }

    private static func rule(
        _ deed: NFRuleOutline.Deed, _ input: String? = nil, _ output: String? = nil, in chain: String = "FORWARD",
        isPartial: Bool = false, isVague: Bool = false
    ) -> NFRuleOutline {
        let interfaces =
            (input.map { [Interfaces(.input, [$0])] } ?? []) + (output.map { [Interfaces(.output, [$0])] } ?? [])
        return NFRuleOutline(chain: chain, deed, interfaces, isPartial: isPartial, isVague: isVague)
    }

    @Test func `a policy decides on what no rule decides on`() {
        #expect(Self.filter([]).passage(from: "blue", to: "blue") == .closed)
        #expect(Self.filter([], on: Self.accepting).passage(from: "blue", to: "blue") == .open)
        let rejecting = Self.filter([Self.rule(.refuse, "eth0"), Self.rule(.refuse)], on: Self.accepting)
        #expect(rejecting.passage(from: "blue", to: "red") == .closed)
        let others = Self.filter(
            [Self.rule(.refuse, nil, "virbr0"), Self.rule(.refuse, isPartial: true)], on: Self.accepting)
        #expect(others.passage(from: "blue", to: "red") == .open)
    }

    @Test func `a rule opens what it names, on the side that it names`() {
        let one = Self.filter([Self.rule(.accept, "blue")])
        #expect(one.passage(from: "blue", to: "red") == .open)
        #expect(one.passage(from: "red", to: "blue") == .closed)
        let both = Self.filter([Self.rule(.accept, "blue", "red")])
        #expect(both.passage(from: "blue", to: "red") == .open)
        #expect(both.passage(from: "blue", to: "blue") == .closed)
        let beginning = NFRuleOutline(chain: "FORWARD", .accept, [Interfaces(.input, [], beginning: "bl")])
        #expect(Self.filter([beginning]).passage(from: "blue", to: "red") == .open)
        #expect(Self.filter([beginning]).passage(from: "red", to: "red") == .closed)
        let allBut = NFRuleOutline(chain: "FORWARD", .accept, [Interfaces(.input, ["docker0"], isInverted: true)])
        #expect(Self.filter([allBut]).passage(from: "red", to: "red") == .open)
    }

    @Test func `rules are asked in their order, and a chain that returns goes on behind its jump`() {
        let late = Self.filter([Self.rule(.refuse), Self.rule(.accept, "blue")])
        #expect(late.passage(from: "blue", to: "red") == .closed)
        let returning = Self.filter([
            Self.rule(.jump("user")), Self.rule(.accept, "blue"),
            Self.rule(.return, "blue", in: "user"), Self.rule(.refuse, in: "user"),
        ])
        #expect(returning.passage(from: "blue", to: "red") == .open)
        #expect(returning.passage(from: "red", to: "blue") == .closed)
        let leaving = Self.filter([
            Self.rule(.goto("user"), "blue"), Self.rule(.accept), Self.rule(.nothing, in: "user"),
        ])
        #expect(leaving.passage(from: "blue", to: "red") == .closed)
        #expect(leaving.passage(from: "red", to: "blue") == .open)
    }

    @Test func `some of the packets of an interface that is named are no mistake`() {
        let ssh = Self.filter([Self.rule(.accept, "blue", isPartial: true)])
        #expect(ssh.passage(from: "blue", to: "red") == .partly)
        #expect(ssh.passage(from: "red", to: "blue") == .closed)
        // Answers, or echo requests, of anybody's open nothing.
        #expect(Self.filter([Self.rule(.accept, isPartial: true)]).passage(from: "blue", to: "red") == .closed)
        // By addresses, by marks: ours may be meant.
        let vague = Self.filter([Self.rule(.accept, isPartial: true, isVague: true)])
        #expect(vague.passage(from: "blue", to: "red") == .partly)
        let inner = Self.filter([
            Self.rule(.jump("user"), "blue", isPartial: true), Self.rule(.accept, in: "user"),
        ])
        #expect(inner.passage(from: "blue", to: "red") == .partly)
    }

    @Test func `a loop, which the kernel never has, ends`() {
        let loop = Self.filter([Self.rule(.jump("a")), Self.rule(.jump("b"), in: "a"), Self.rule(.jump("a"), in: "b")])
        #expect(loop.passage(from: "blue", to: "red") == .closed)
    }

    @Test func `bridged packets are seen where br_netfilter shows them, routed ones always`() {
        let table = NFForeignRules.TableName(.ip, "filter")
        let named = Self.rule(.accept, "red", "red")
        let rules = NFForeignRules(chains: [Self.forward], rules: [table: [named]])
        let unseen = ForeignFilters(rules)
        #expect(unseen.blockades(on: "blue", isTracked: false).isEmpty)
        #expect(unseen.blockades(on: "blue", isTracked: true).count == 1)
        #expect(unseen.blockades(on: "red", isTracked: true).isEmpty)
        let seen = ForeignFilters(rules, sees4: true)
        #expect(
            seen.blockades(on: "blue", isTracked: false).map(\.sight) == ["net.bridge.bridge-nf-call-iptables is 1"])
        #expect(ForeignFilters(rules, sees6: true).blockades(on: "blue", isTracked: false).isEmpty)

        #expect(unseen.blockades(among: ["blue", "red"], isIPv4: true).map(\.bridges) == [["blue", "red"]])
        #expect(unseen.blockades(among: ["blue", "red"], isIPv4: false).isEmpty)
        #expect(unseen.blockades(among: ["red"], isIPv4: true).isEmpty)
        #expect(unseen.blockades(among: ["blue"], isIPv4: true).map(\.bridges) == [["blue"]])
        #expect(unseen.blockades(among: [], isIPv4: true).isEmpty)
    }

    @Test func `of many bridges those are told that are cut off`() {
        let names = (1...300).map { "b\($0)" }
        let table = NFForeignRules.TableName(.ip, "filter")
        let pairs = (1...299).flatMap { [Self.rule(.accept, "b\($0)"), Self.rule(.accept, nil, "b\($0)")] }
        let filters = ForeignFilters(NFForeignRules(chains: [Self.forward], rules: [table: pairs]))
        // Each of the others lets all pass, whatever stands on the other side.
        #expect(filters.blockades(among: names, isIPv4: true).isEmpty)
        let none = ForeignFilters(NFForeignRules(chains: [Self.forward], rules: [table: []]))
        #expect(none.blockades(among: names, isIPv4: true).map(\.bridges) == [names])
    }

    @Test func `a rule that refuses ours by name is somebody's will`() {
        let table = NFForeignRules.TableName(.ip, "filter")
        let filters = ForeignFilters(
            NFForeignRules(chains: [Self.accepting], rules: [table: [Self.rule(.refuse, "blue")]]), sees4: true)
        #expect(filters.all.isEmpty)
        #expect(filters.blockades(on: "blue", isTracked: true).isEmpty)
    }

    @Test func `who asks for a route is told of where its rule is met, and by which version of IP`() {
        let arriving = NFRulesetChain(.inet, "fw", "pre", hook: .init(number: 0, priority: 10, accepts: true))
        func asking(_ isIPv4: Bool?) -> NFRuleOutline {
            NFRuleOutline(chain: "pre", .refuse, isPartial: true, asksForRoute: true, isIPv4: isIPv4)
        }
        func filters(_ rules: NFRuleOutline...) -> ForeignFilters {
            ForeignFilters(
                NFForeignRules(chains: [arriving], rules: [NFForeignRules.TableName(.inet, "fw"): rules]), sees6: true)
        }
        let six = filters(asking(false))
        #expect(six.routeChecks(on: "blue", isTracked: false, isIPv4: false).count == 1)
        #expect(six.routeChecks(on: "blue", isTracked: true, isIPv4: true).isEmpty)
        // Nobody shows it the packets of IPv4 of that bridge.
        #expect(filters(asking(nil)).routeChecks(on: "blue", isTracked: false, isIPv4: true).isEmpty)
        #expect(filters(asking(nil)).routeChecks(on: "blue", isTracked: true, isIPv4: true).count == 1)
        let accepted = filters(Self.rule(.accept, "blue", in: "pre"), asking(false))
        #expect(accepted.routeChecks(on: "blue", isTracked: false, isIPv4: false).isEmpty)
        #expect(accepted.routeChecks(on: "red", isTracked: false, isIPv4: false).count == 1)
        #expect(filters(Self.rule(.refuse, in: "pre")).areNone)
    }
}
