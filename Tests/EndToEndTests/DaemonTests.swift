import Glibc
import TestSupport
import Testing

/// The daemon over its life: it follows, repairs, restarts unseen, and ends when told.
@Suite(.enabled(if: TestNamespace.isPossible))
struct DaemonTests {
    private static let base = """
        switches: { blue: {} }
        routers:
          gw: { interfaces: { blue: { addresses: [10.10.0.1/24, "fd00:10::1/64"] } } }
        vms:
          vm1: { nics: [ { switch: blue, address: 10.10.0.10 } ] }

        """

    @Test func itFollowsItsFile() async throws {
        try await AgentNode.with(Self.base) { node in
            try await node.withDaemon { _ in
                try node.write(Self.base + "  vm2: { nics: [ { switch: blue, address: 10.10.0.11 } ] }\n")
                #expect(try await eventually(within: 15) { try await node.links().contains("vm2-net0") })
                try node.write(Self.base)
                #expect(try await eventually(within: 15) { try await !node.links().contains("vm2-net0") })
            }
        }
    }

    @Test func aHangupMakesItReadAgainWhatAnApplyHasReplaced() async throws {
        try await AgentNode.with(Self.base) { node in
            try await node.withDaemon { daemon in
                let other = try node.directory.write("switches: { green: {} }\n", to: "other.yaml")
                let apply = try await command(
                    node.space.inside([AgentNode.program, "apply", "-f", other, "--socket", node.socket]))
                #expect(apply.code == 0, "\(apply)")
                #expect(try await node.links() == ["green", "lo"])
                daemon.signal(SIGHUP)
                #expect(
                    try await eventually(within: 15) { try await node.links() == ["blue", "lo", "vm1-net0"] })
            }
        }
    }

    @Test(arguments: [
        ["ip", "link", "set", "vm1-net0", "down"],
        ["ip", "link", "delete", "vm1-net0"],
        ["ip", "link", "set", "vm1-net0", "nomaster"],
        ["ip", "link", "set", "blue", "mtu", "1400"],
        ["ip", "address", "flush", "dev", "blue"],
        ["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.ip_forward=0"],
        ["sysctl", "-qw", "net.ipv6.conf.blue.forwarding=0"],
        ["sh", "-c", "ip link set blue down && ip link set blue name bluex"],
    ])
    func itRepairsWhatSomebodyElseChanges(_ words: [String]) async throws {
        try await AgentNode.with(Self.base) { node in
            try await node.withDaemon { _ in
                #expect(try await node.isConverged())
                #expect(try await node.space.settle())
                let before = try await steady(node)
                try await output(of: node.space.inside(words))
                let isRepaired = try await eventually(within: 15) { try await steady(node) == before }
                let said = (try? text(ofFile: node.log)) ?? ""
                let after = try await steady(node)
                #expect(isRepaired, "after \(words): \(Golden.sideBySide(before, after))\n\(said)")
                #expect(try await eventually(within: 5) { try await node.isConverged() })
            }
        }
    }

    @Test func otherProgramsCanNeitherFlushNorDeleteItsTablesAndARestartTakesThemOver() async throws {
        try await AgentNode.with(Self.base) { node in
            var made = ""
            for _ in 0..<2 {
                // The second one finds what the first, killed, has left.
                let rules = try await node.withDaemon { _ in
                    let before = try await rulesWithHandles(node)
                    try await node.space.run("nft", "flush", "ruleset")
                    for table in ["bridge sdagent", "inet sdagent"] {
                        let result = try await node.space.attempt("nft", "delete table \(table)")
                        #expect(result.error.contains("Operation not permitted"), "\(result)")
                    }
                    #expect(try await rulesWithHandles(node) == before)
                    #expect(try await node.isConverged())
                    return before
                }
                #expect(rules.value.contains("chain guard") && rules.value.contains("flags owner"))
                #expect(made.isEmpty || made == rules.value, "\(Golden.sideBySide(made, rules.value))")
                made = rules.value
            }
        }
    }

    /// Handles tell one object from another that was made in its place.
    private func rulesWithHandles(_ node: AgentNode) async throws -> String {
        try await node.space.run("nft", "-a", "-s", "list", "ruleset")
    }

    /// The picture without interface numbers: a link that is made again has another one.
    private func steady(_ node: AgentNode) async throws -> String {
        try await node.picture().split(separator: "\n").map { line in
            String(line.drop { $0.isNumber }).replacing(#/(port_no|port_id|designated_port) \S+/#, with: "")
        }.joined(separator: "\n")
    }

    @Test func aRestartTouchesNoLinkNoRuleAndNoPacket() async throws {
        try await TestNamespace.with { alice in
            try await TestNamespace.with { bob in
                let manifest =
                    Self.base + """
                          alice: { nics: [ { switch: blue, address: 10.10.0.20, namespace: \(alice.name) } ] }
                          bob: { nics: [ { switch: blue, address: 10.10.0.21, namespace: \(bob.name) } ] }

                        """
                try await AgentNode.with(manifest) { node in
                    try await survivesARestart(node, from: alice)
                }
            }
        }
    }

    private func survivesARestart(_ node: AgentNode, from alice: TestNamespace) async throws {
        try await node.withDaemon { daemon in
            try await alice.run("ping", "-c", "1", "-W", "5", "10.10.0.21")
            #expect(try await node.terminate(daemon))
        }
        #expect(try await node.space.settle())
        let before = try await node.picture()
        // Any change at all, even one that is taken back, would be a line of one of the two.
        let links = node.directory.file("ip-monitor")
        let rules = node.directory.file("nft-monitor")
        let watch = ["ip", "monitor", "link", "address", "route", "rule"]
        try await RunningCommand.with(node.space.inside(watch), log: links) { _ in
            try await RunningCommand.with(node.space.inside(["stdbuf", "-oL", "nft", "monitor"]), log: rules) { _ in
                // The kernel itself still speaks of what was made: carriers come, addresses prove to be nobody else's.
                let settled = try await quiet(links)
                async let pings = alice.attempt("ping", "-q", "-i", "0.005", "-c", "1600", "-W", "2", "10.10.0.21")
                for _ in 0..<2 {
                    let end = try await node.withDaemon { daemon in
                        let isConverged = try await node.isConverged()
                        let hasEnded = try await node.terminate(daemon)
                        return isConverged && hasEnded
                    }
                    #expect(end.value && end.end == .exited(0))
                }
                let result = try await pings
                #expect(result.output.contains("1600 received, 0% packet loss"), "\(result)")
                #expect(try text(ofFile: links).dropFirst(settled.count) == "")
            }
        }
        let after = try await node.picture()
        #expect(after == before, "\(Golden.sideBySide(before, after))")
        // Each daemon takes each table over, which has no other effect.
        let events = try text(ofFile: rules).split(separator: "\n").map { $0.prefix { $0 != "{" } }
        let tables = try await node.space.run("nft", "list", "tables").split(separator: "\n").map { "add \($0)" }
        #expect(tables.count > 2)
        #expect(Set(events.filter { !$0.hasPrefix("# new generation") }.map(String.init)) == Set(tables), "\(events)")
    }

    /// What a log holds once it has not grown for two seconds.
    private func quiet(_ log: String) async throws -> String {
        var held = try text(ofFile: log)
        for _ in 0..<20 {
            try await ContinuousClock().sleep(for: .seconds(2))
            let now = try text(ofFile: log)
            if now == held { break }
            held = now
        }
        return held
    }

    @Test func aTerminatedDaemonLeavesTheNodeAsItIsAndItsSocketNowhere() async throws {
        try await AgentNode.with(Self.base) { node in
            let end = try await node.withDaemon { daemon in try await node.terminate(daemon) }
            #expect(end.value)
            #expect(end.end == .exited(0))
            #expect(try await node.links().contains("vm1-net0"))
            #expect(try await node.isConverged(), "a command answers without the daemon")
        }
    }

    @Test func theSocketAnswersCurl() async throws {
        try await AgentNode.with(Self.base) { node in
            try await node.withDaemon { _ in
                let status = try await output(of: [
                    "curl", "-sS", "--unix-socket", node.socket, "http://agent/v1/status",
                ])
                #expect(status.contains("\"converged\""))
                let metrics = try await output(of: [
                    "curl", "-sS", "--unix-socket", node.socket, "http://agent/metrics",
                ])
                #expect(metrics.contains("# TYPE sdagent_resources gauge"))
            }
        }
    }
}
