import TestSupport
import Testing

/// The manifest that a newcomer applies first, from nothing to everything and back.
@Suite(.enabled(if: TestNamespace.isPossible))
struct QuickstartTests {
    @Test func planApplyAndPlanExitWith2And0And0WithoutADaemon() async throws {
        try await AgentNode.with(try AgentNode.shipped("quickstart.yaml")) { node in
            let plan = try await node.agent("plan")
            #expect(plan.code == 2, "\(plan)")
            #expect(try await node.links() == ["lo"], "a plan touches nothing")
            let apply = try await node.agent("apply")
            #expect(apply.code == 0, "\(apply)")
            let second = try await node.agent("plan")
            #expect(second.code == 0, "\(second)")
            let again = try await node.agent("apply")
            #expect(again.code == 0 && again.output.contains("No changes"), "\(again)")
        }
    }

    @Test func planApplyAndPlanExitWith2And0And0WithADaemon() async throws {
        try await AgentNode.with("{}") { node in
            try await node.withDaemon { _ in
                let file = try node.directory.write(try AgentNode.shipped("quickstart.yaml"), to: "other.yaml")
                let rest = ["-f", file, "--state", node.state, "--socket", node.socket]
                var codes: [Int32] = []
                for verb in ["plan", "apply", "plan", "status"] {
                    let result = try await command(node.space.inside([AgentNode.program, verb] + rest))
                    codes.append(result.code)
                    if verb == "status" { #expect(!result.output.contains("waiting"), "\(result)") }
                }
                #expect(codes == [2, 0, 0, 0])
            }
        }
    }

    @Test func theKernelShowsWhatWasAskedAndNothingMore() async throws {
        try await AgentNode.with(try AgentNode.shipped("quickstart.yaml")) { node in
            try await node.apply()
            let names = try await node.links()
            #expect(Set(["blue", "wan", "vm1-net0", "vm2-net0", "lo"]).isSubset(of: Set(names)))
            #expect(names.count == 5, "\(names)")
            let tap = try await node.space.run("ip", "-d", "link", "show", "vm1-net0")
            for word in ["tun type tap", "multi_queue", "vnet_hdr on", "persist on", "master blue", "UP"] {
                #expect(tap.contains(word), "\(word) in \(tap)")
            }
            let addresses = try await node.space.run("ip", "-brief", "address", "show", "blue")
            #expect(addresses.contains("10.10.0.1/24") && addresses.contains("fd00:10::1/64"))
            #expect(try await node.space.run("ip", "-brief", "address", "show", "vm1-net0").contains("fe80") == false)
            let rules = try await node.space.run("nft", "list", "ruleset")
            #expect(rules.contains("table bridge ") && rules.contains("table inet "))
            #expect(
                rules.contains("10.10.0.10") && (rules.contains("masquerade") || rules.contains("snat")), "\(rules)")
            #expect(try await node.space.run("ip", "route", "show", "table", "all").contains("203.0.113.1"))
            for link in ["blue", "wan"] {
                let names = ["net.ipv4.conf.\(link).forwarding", "net.ipv6.conf.\(link).forwarding"]
                #expect(try await output(of: node.space.inside(["sysctl", "-n"] + names)) == "1\n1\n")
            }
        }
    }

    @Test(arguments: [false, true])
    func removingEverythingLeavesTheNodeAsItWas(withDaemon: Bool) async throws {
        try await AgentNode.with(try AgentNode.shipped("quickstart.yaml")) { node in
            for words in [
                ["ip", "link", "add", "mine0", "type", "bridge"],
                ["ip", "address", "add", "192.0.2.1/24", "dev", "mine0"],
                ["ip", "link", "set", "mine0", "up"], ["ip", "route", "add", "198.51.100.0/24", "dev", "mine0"],
                ["nft", "add table inet mine; add chain inet mine keep; add rule inet mine keep counter accept"],
            ] {
                try await output(of: node.space.inside(words))
            }
            #expect(try await node.space.settle())
            let before = try await node.picture()
            if withDaemon {
                try await node.withDaemon { _ in
                    try node.write("{}")
                    #expect(try await eventually(within: 20) { try await !node.picture().contains("vm1-net0") })
                    try await node.apply()
                }
            } else {
                try await node.apply()
                try node.write("{}")
                try await node.apply()
            }
            let after = try await node.picture()
            #expect(before == after, "\(Golden.sideBySide(before, after))")
            let status = try await node.agent("status")
            #expect(status.code == 0 && status.output.contains("orphan"), "volumes stay: \(status)")
        }
    }

    @Test func aForeignPortOnOurSwitchSurvives() async throws {
        try await AgentNode.with("switches: { blue: {} }\n") { node in
            try await node.apply()
            try await node.space.run("ip", "link", "add", "guest0", "type", "veth", "peer", "name", "guest1")
            try await node.space.run("ip", "link", "set", "guest0", "master", "blue")
            #expect(try await node.isConverged())
            try node.write("{}")
            try await node.apply()
            #expect(try await node.links() == ["guest0", "guest1", "lo"])
        }
    }
}
