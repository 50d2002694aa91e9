import Netlink
import Reconcile
import TestSupport
import Testing
@testable import VSwitch

/// That a change of policy counts for flows that are there already, with real conversations.
@Suite("Live flows", .enabled(if: TestNamespace.isPossible))
struct FlowTests {
    /// How a visitor loses what it was allowed.
    enum Loss: String, CaseIterable {
        case rule, set, group
    }

    /// A server that allows a friend and, at first, a visitor; it may itself send whatever it wants.
    private static func manifest(_ loss: Loss, isAllowed: Bool, liveFlows: String = "reevaluate") -> String {
        let visitor = loss != .rule || isAllowed ? ", 10.0.0.3, \"fd00::3\"" : ""
        let from =
            ["group": "{ group: friends }", "set": "{ set: friends }"][loss.rawValue]
            ?? "[ 10.0.0.2, \"fd00::2\"\(visitor) ]"
        let members = loss == .set && isAllowed ? ", 10.0.0.3, \"fd00::3\"" : ""
        // Without any the visitor is open: what the server sends of itself would get through.
        let groups = loss == .group && isAllowed ? " groups: friends," : ""
        return """
            switches: { blue: {} }
            addressSets: { friends: [ 10.0.0.2, "fd00::2"\(members) ] }
            groups:
              web:
                ingress:
                  - { protocol: tcp, ports: [80, 443], from: \(from) }
                  - { protocol: udp, ports: [53, 54], from: \(from) }
                  - { protocol: icmp, types: echo-request, from: \(from) }
                  - { protocol: icmpv6, types: echo-request, from: \(from) }
                egress: { protocol: any }
                liveFlows: \(liveFlows)
              friends: { egress: { protocol: any } }
            vms:
              w: { nics: [ { switch: blue, address: [10.0.0.1/24, "fd00::1/64"], groups: web, namespace: @w } ] }
              a: { nics: [ { switch: blue, address: [10.0.0.2/24, "fd00::2/64"], groups: friends, namespace: @a } ] }
              v: { nics: [ { switch: blue, address: [10.0.0.3/24, "fd00::3/64"],\(groups) namespace: @v } ] }
            """
    }

    /// On port 54 answers are late: there is always one under way.
    private static let lines = ["a", "v"].flatMap { guest in
        ["10.0.0.1", "fd00::1"].flatMap { address in
            [
                "tcp \(address) 80", "hear \(address) 443", "udp \(address) 53", "udp \(address) 54",
                "icmp \(address) 0",
            ].map { (guest: guest, line: $0) }
        }
    }

    @Test(arguments: Loss.allCases)
    func `a conversation ends when its rule goes, and its neighbour's goes on`(loss: Loss) async throws {
        try await Town.with(["w", "a", "v"]) { town in
            town.expect(try await town.apply(Self.manifest(loss, isAllowed: true)))
            try await town.talking(Self.lines) { counts in
                let areTalking = try await eventually(within: 20) { try counts().values.allSatisfy { $0 > 3 } }
                let first = try counts()
                #expect(areTalking, "\(first)")
                let plan = try await town.plan(Self.manifest(loss, isAllowed: false))
                #expect(plan == ["routed/inet update", "guard/bridge update"])
                let losses = try await town.losses(Self.manifest(loss, isAllowed: false))
                #expect(losses == ["flows of w-net0 that the rules no longer allow end, unless a group keeps them"])
                #expect(try await town.losses(Self.manifest(loss, isAllowed: true)) == [])
                town.expect(try await town.apply(Self.manifest(loss, isAllowed: false)))
                #expect(try await town.plan(Self.manifest(loss, isAllowed: false)) == [])
                try await town.expect(counts) { $0.hasPrefix("a ") }
            }
            // What was not allowed to go on may not begin either.
            let questions = [("a", true), ("v", false)].flatMap { name, isAnswered in
                ["10.0.0.1", "fd00::1"].map {
                    Town.Question(from: name, how: "tcp", to: $0, port: 80, isAnswered: isAnswered)
                }
            }
            town.expect(try await town.surprises(questions))
        }
    }

    @Test func `who wants to keep flows keeps them, and an interrupted change is finished`() async throws {
        try await Town.with(["w", "a", "v"]) { town in
            town.expect(try await town.apply(Self.manifest(.set, isAllowed: true, liveFlows: "keep")))
            try await town.talking(Self.lines) { counts in
                let areTalking = try await eventually(within: 20) { try counts().values.allSatisfy { $0 > 3 } }
                let first = try counts()
                #expect(areTalking, "\(first)")
                town.expect(try await town.apply(Self.manifest(.set, isAllowed: false, liveFlows: "keep")))
                let before = try counts()
                let goOn = try await eventually(within: 20) {
                    try counts().allSatisfy { $0.value > before[$0.key, default: 0] + 5 }
                }
                let after = try counts()
                #expect(goOn, "\(before), then \(after)")
                // As the agent leaves it that ends between the rules and the flows.
                let text = Self.manifest(.set, isAllowed: false)
                town.ledger.release()
                try await town.node.run(
                    "nft", "add set bridge sdagent unjudged { type ifname; elements = { \"w-net0\" }; }")
                #expect(try await town.plan(text) == ["guard/bridge update"])
                town.expect(try await town.apply(text))
                #expect(try await town.plan(text) == [])
                try await town.expect(counts) { $0.hasPrefix("a ") }
            }
        }
    }

    @Test func `the first group of a switch ends what it does not allow`() async throws {
        try await Town.with(["w", "a", "v"]) { town in
            let open = Self.manifest(.rule, isAllowed: false).replacing(" groups: web,", with: "")
                .replacing(" groups: friends,", with: "")
            town.expect(try await town.apply(open))
            try await town.talking(Self.lines) { counts in
                let areTalking = try await eventually(within: 20) { try counts().values.allSatisfy { $0 > 3 } }
                let first = try counts()
                #expect(areTalking, "\(first)")
                town.expect(try await town.apply(Self.manifest(.rule, isAllowed: false)))
                // Of TCP nobody has seen the beginning.
                try await town.expect(counts) { $0.hasPrefix("a udp") || $0.hasPrefix("a icmp") }
            }
            let questions = ["10.0.0.1", "fd00::1"].map {
                Town.Question(from: "a", how: "tcp", to: $0, port: 80, isAnswered: true)
            }
            town.expect(try await town.surprises(questions))
        }
    }

    @Test func `flows that cannot be ended are told of until they are`() async throws {
        try await Town.with(["w", "a", "v"]) { town in
            town.expect(try await town.apply(Self.manifest(.set, isAllowed: true)))
            try await town.talking(Self.lines) { counts in
                let areTalking = try await eventually(within: 20) { try counts().values.allSatisfy { $0 > 3 } }
                #expect(areTalking)
                // One process has to let go of the tables before another changes them.
                town.ledger.release()
                let deaf = Town(node: town.node, guests: town.guests, tracking: .namespace("sdt-nowhere"))
                let text = Self.manifest(.set, isAllowed: false)
                for _ in 0..<2 {
                    let left = try await deaf.apply(text)
                    #expect(left.count == 1, "\(left)")
                    #expect(left.allSatisfy { $0.hasPrefix("guard/bridge failed: the rules are in force, but flows") })
                    #expect(try await deaf.plan(text) == ["guard/bridge update"])
                }
                // New ones meet the new rules all the same.
                let questions = ["10.0.0.1", "fd00::1"].map {
                    Town.Question(from: "v", how: "tcp", to: $0, port: 80, isAnswered: false)
                }
                town.expect(try await town.surprises(questions))
                deaf.ledger.release()
                town.expect(try await town.apply(text))
                #expect(try await town.plan(text) == [])
                try await town.expect(counts) { $0.hasPrefix("a ") }
            }
        }
    }

    @Test func `twenty thousand flows end, and one stays`() async throws {
        try await Town.with(["w", "v"]) { town in
            func manifest(_ ports: String) -> String {
                """
                switches: { blue: {} }
                groups: { web: { ingress: { protocol: udp, ports: \(ports) } } }
                vms:
                  w: { nics: [ { switch: blue, address: 10.0.0.1/24, groups: web, namespace: @w } ] }
                  v: { nics: [ { switch: blue, address: 10.0.0.3/24, namespace: @v } ] }
                """
            }
            town.expect(try await town.apply(manifest("1-65535")))
            try await town.node.run("sh", "-c", "echo 600 > /proc/sys/net/netfilter/nf_conntrack_udp_timeout")
            let spray = """
                import socket
                end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                end.bind(("10.0.0.3", 4444))
                for port in range(10000, 30000): end.sendto(b"hello", ("10.0.0.1", port))
                """
            try await town.guests["v"]?.run("python3", "-c", spray)
            func known() async throws -> Set<Int> {
                Set(
                    try await town.flows().filter { $0.contains(" udp ") && $0.contains(" sport=4444 ") }.compactMap {
                        $0.split(separator: " dport=").dropFirst().first?.prefix { $0 != " " }
                    }.compactMap { Int($0) })
            }
            let before = try await known()
            // More than are held at a time.
            #expect(before.count > 17_000 && before.contains(29_999), "\(before.count)")
            town.expect(try await town.apply(manifest("29999")))
            #expect(try await known() == [29_999])
        }
    }
}
