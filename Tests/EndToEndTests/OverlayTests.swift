import TestSupport
import Testing

/// Two nodes under the agent's own program, joined by an overlay, each with a router and a guest.
@Suite(.enabled(if: TestNamespace.isPossible))
struct OverlayTests {
    /// The manifest of node 1 or 2: the router 10.10.0.N, the guest 10.10.0.1N, the node 192.0.2.N.
    private func manifest(_ number: Int, guest: TestNamespace) -> String {
        """
        switches:
          blue: { overlay: { vni: 100, local: 192.0.2.\(number), peers: [192.0.2.\(3 - number)] } }
        routers:
          gw\(number): { interfaces: { blue: { addresses: [10.10.0.\(number)/24, "fd00:10::\(number)/64"] } } }
        vms:
          vm\(number):
            nics:
              - { switch: blue, namespace: \(guest.name), address: [10.10.0.1\(number), "fd00:10::1\(number)"] }
        """
    }

    private func onTwoNodes(_ body: (AgentNode, TestNamespace, AgentNode, TestNamespace) async throws -> Void)
        async throws
    {
        try await TestNamespace.with { first in
            try await TestNamespace.with { second in
                try await AgentNode.with(manifest(1, guest: first)) { one in
                    try await AgentNode.with(manifest(2, guest: second)) { two in
                        try await one.space.run(
                            "ip", "link", "add", "eth1", "type", "veth", "peer", "eth1", "netns", two.space.name)
                        for (number, node) in [(1, one), (2, two)] {
                            try await node.space.run("ip", "addr", "add", "192.0.2.\(number)/24", "dev", "eth1")
                            try await node.space.run("ip", "link", "set", "eth1", "up")
                        }
                        try await body(one, first, two, second)
                    }
                }
            }
        }
    }

    @Test func `guests reach each other and the routers of both nodes`() async throws {
        try await onTwoNodes { one, first, two, second in
            try await one.apply()
            try await two.apply()
            for guest in [first, second] {
                for number in ["1", "2", "11", "12"] {
                    for address in ["10.10.0.\(number)", "fd00:10::\(number)"] {
                        let isReached = try await eventually(within: 15) {
                            try await guest.attempt("ping", "-c1", "-W1", address).succeeded
                        }
                        #expect(isReached, "\(address)")
                    }
                }
            }
            // Each router has addresses of its own on the wire that they share.
            let bridges = try await [one.space, two.space].asyncMap {
                try await $0.run("ip", "-br", "link", "show", "blue")
            }
            #expect(Set(bridges.compactMap { $0.split(separator: " ").dropFirst(2).first }).count == 2)
            let local = try await [one.space, two.space].asyncMap {
                try await $0.run("ip", "-6", "-br", "addr", "show", "blue", "scope", "link")
            }
            #expect(Set(local.compactMap { $0.split(separator: " ").dropFirst(2).first }).count == 2, "\(local)")
            #expect(try await one.isConverged())
        }
    }

    @Test func `the daemon puts back an entry that somebody takes away`() async throws {
        try await onTwoNodes { one, _, _, _ in
            try await one.withDaemon { _ in
                let space = one.space
                let entry = ["00:00:00:00:00:00", "dev", "vx-blue", "dst", "192.0.2.2", "self"]
                for _ in 0..<3 {
                    try await output(of: space.inside(["bridge", "fdb", "del"] + entry))
                    let isBack = try await eventually(within: 5) {
                        try await space.run("bridge", "fdb", "show", "dev", "vx-blue").contains("dst 192.0.2.2 self")
                    }
                    #expect(isBack)
                }
            }
        }
    }
}

extension Array {
    fileprivate func asyncMap<Value>(_ transform: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
