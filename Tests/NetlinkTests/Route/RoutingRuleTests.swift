import Netlink
import Syscall
import TestSupport
import Testing

/// Routing policy rules: their bytes, and the kernel's view of them.
struct RoutingRuleTests {
    @Test func `a rule by interface and one by source`() throws {
        var batch = MessageWriter()
        batch.addRoutingRule(
            RoutingRule(
                isIPv4: true, priority: 20_100, inputInterface: InterfaceName.derived(from: "blue"),
                table: Route.mainTable, suppressedLength: 0))
        batch.removeRoutingRule(
            RoutingRule(isIPv4: false, priority: 20_101, source: IPPrefix("fd00:10::1/64"), table: 201_000_007))
        #expect(
            hex(batch.bytes)
                == hex(
                    "48000000 2000 0106 00000000 00000000  # nlmsghdr: 72 bytes, RTM_NEWRULE, REQUEST|CREATE|EXCL",
                    "02 00 00 00 fe 00 00 01 00000000  # fib_rule_hdr: AF_INET, table 254, FR_ACT_TO_TBL",
                    "0800 0600 844e0000  # FRA_PRIORITY 20100",
                    "0800 0f00 fe000000  # FRA_TABLE 254",
                    "0500 1500 c9 000000  # FRA_PROTOCOL 201",
                    "0900 0300 626c756500 000000  # FRA_IIFNAME blue",
                    "0800 0e00 00000000  # FRA_SUPPRESS_PREFIXLEN 0",
                    "48000000 2100 0100 00000000 00000000  # nlmsghdr: 72 bytes, RTM_DELRULE, REQUEST",
                    "0a 00 40 00 00 00 00 01 00000000  # fib_rule_hdr: AF_INET6, source of 64 bits, FR_ACT_TO_TBL",
                    "0800 0600 854e0000  # FRA_PRIORITY 20101",
                    "0800 0f00 4704fb0b  # FRA_TABLE 201000007",
                    "0500 1500 c9 000000  # FRA_PROTOCOL 201",
                    "1400 0200 fd000010000000000000000000000000  # FRA_SRC fd00:10::"))
    }

    @Test(.enabled(if: TestNamespace.isPossible))
    func `rules come, are listed and go, and others' stay`() async throws {
        try await TestNamespace.with { space in
            var socket = try NetworkLocation.namespace(space.name).socket(.route)
            let before = try socket.routingRules()
            try await space.run("ip", "rule", "add", "from", "192.0.2.0/24", "lookup", "77", "priority", "30000")
            try await space.run("ip", "rule", "add", "fwmark", "7", "lookup", "78", "priority", "30001")
            let name = InterfaceName.derived(from: "blue")
            let rules = [true, false].flatMap { isIPv4 in
                [
                    RoutingRule(
                        isIPv4: isIPv4, priority: 20_100, inputInterface: name, table: Route.mainTable,
                        suppressedLength: 0),
                    RoutingRule(isIPv4: isIPv4, priority: 20_101, inputInterface: name, table: 201_000_007),
                    RoutingRule(
                        isIPv4: isIPv4, priority: 20_101, source: IPPrefix(isIPv4 ? "10.0.0.0/8" : "fd00::/8"),
                        table: 201_000_007),
                ]
            }
            var batch = MessageWriter()
            for rule in rules { batch.addRoutingRule(rule) }
            #expect(try socket.request(batch) == Array(repeating: nil, count: rules.count))
            let ours = try socket.routingRules().filter { $0.protocolNumber == OwnershipMark.protocolNumber }
            #expect(Set(ours) == Set(rules) && ours.allSatisfy { !$0.isComplex })
            let foreign = try socket.routingRules().filter { $0.priority >= 30_000 && $0.priority <= 30_001 }
            #expect(foreign.map(\.isComplex) == [false, true] && foreign.map(\.table) == [77, 78])
            let shown = try await space.run("ip", "rule")
            // The interface is not there: the rule waits for it.
            #expect(shown.contains("from all iif blue [detached] lookup main suppress_prefixlength 0 proto 201"))

            #expect(try socket.request(batch).allSatisfy { $0?.isExisting == true })
            var removal = MessageWriter()
            for rule in rules { removal.removeRoutingRule(rule) }
            removal.removeRoutingRule(rules[0])
            let outcomes = try socket.request(removal)
            #expect(outcomes.dropLast().allSatisfy { $0 == nil } && outcomes.last??.isMissing == true)
            #expect(try socket.routingRules().count == before.count + 2)
        }
    }

    @Test(.enabled(if: TestNamespace.isPossible))
    func `bridges and one program's routes are listed alone`() async throws {
        try await TestNamespace.with { space in
            for words in [
                "link add br0 type bridge", "link add p0 type veth peer name p1", "link set p0 master br0 up",
                "link set br0 up", "addr add 10.0.0.1/24 dev br0", "route add 10.1.0.0/16 via 10.0.0.2 proto 77",
                "route add 10.2.0.0/16 via 10.0.0.2", "-6 route add fd01::/64 dev br0 proto 77",
            ] {
                try await output(of: space.inside(["ip"] + words.split(separator: " ").map(String.init)))
            }
            var socket = try NetworkLocation.namespace(space.name).socket(.route)
            #expect(try socket.bridges().map(\.name.description) == ["br0"])
            let routes = try socket.routes(ofProtocol: 77).map(\.destination.description)
            #expect(routes.sorted() == ["10.1.0.0/16", "fd01::/64"])
        }
    }
}
