import TestSupport
import Testing

/// Others who filter packets on the same node, and ours beside them: theirs goes on whatever becomes of ours, and where
/// they drop what is ours, status says so with what mends it.
@Suite(
    .enabled(if: TestNamespace.isPossible && haveTools("iptables-nft", "nft", "socat", "python3")),
    .timeLimit(.minutes(5)))
struct CoexistTests {
    @Test(arguments: Neighbour.all)
    func theirsAndOursGoOn(neighbour: Neighbour) async throws {
        try await Neighbourhood.with(neighbour) { place in
            let node = place.node
            func hisGoesOn(_ moment: Comment) async throws {
                #expect(try await place.closed(neighbour.open) == [], moment)
                let stillShut = try await place.closed(neighbour.shut, within: 0)
                #expect(Set(stillShut) == Set(neighbour.shut), moment)
            }
            try await hisGoesOn("before")
            let rules = try await place.hisRules()

            try node.write(try place.manifest())
            try await node.apply()
            try await hisGoesOn("beside ours")
            #expect(try await node.isConverged())
            let troubles = try await place.troubles()
            #expect(troubles.isEmpty != neighbour.isInTheWay)
            for (resource, ways) in Neighbourhood.ours {
                // One that is degraded is cut off for a while, so a look at each way is enough.
                let isWell = troubles[resource] == nil
                let closed = try await place.closed(ways, within: isWell ? 10 : 0)
                #expect(closed.isEmpty == isWell, "\(resource): \(closed), \(troubles)")
            }
            #expect(try await place.hisRules() == rules)

            try await place.mend(troubles.values)
            #expect(try await place.troubles() == [:])
            #expect(try await node.agent("status").code == 0)
            let ways = Neighbourhood.ours.values.flatMap { $0 }
            #expect(try await place.closed(ways) == [])
            try await hisGoesOn("when ours passes")

            let mended = try await place.hisRules()
            try node.write(try place.manifest(isChanged: true))
            try await node.apply()
            #expect(try await place.closed(ways) == [])
            try await hisGoesOn("when ours has changed")

            try node.write("")
            try await node.apply()
            try await hisGoesOn("without ours")
            #expect(try await place.hisRules() == mended)
        }
    }

    /// The kernel tells the daemon of everybody's rules: it looks at once, and need not change anything.
    @Test func aDaemonSaysSoAsSoonAsItIsThereAndNoLonger() async throws {
        let manifest = """
            switches: { blue: {}, red: {} }
            routers:
              gw: { interfaces: { blue: { addresses: [10.10.0.1/24] }, red: { addresses: [10.20.0.1/24] } } }

            """
        try await AgentNode.with(manifest) { node in
            try await node.withDaemon { _ in
                #expect(try await node.agent("status").code == 0)
                try await node.space.run("iptables-nft", "-P", "FORWARD", "DROP")
                let detail =
                    "the chain 'ip filter FORWARD' drops what it forwards from and to blue, red; let it pass with "
                let isTold = try await eventually(within: 15) {
                    try await node.agent("status").output.contains(detail)
                }
                #expect(isTold)
                #expect(try await node.agent("status").code == 1)
                let plan = try await node.agent("plan")
                #expect(plan.code == 0 && plan.output.contains(detail), "\(plan)")
                let apply = try await node.agent("apply")
                #expect(apply.code == 0 && apply.output.contains("degraded"), "\(apply)")

                // Not all of it, but what somebody wants.
                for words in [["-i", "blue", "-o", "red", "-p", "tcp"], ["-i", "red", "-o", "blue", "-p", "tcp"]] {
                    let command = ["iptables-nft", "-A", "FORWARD"] + words + ["-j", "ACCEPT"]
                    try await output(of: node.space.inside(command))
                }
                let isMeant = try await eventually(within: 15) {
                    try await !node.agent("status").output.contains("from and to")
                }
                #expect(isMeant)
                try await node.space.run("iptables-nft", "-F", "FORWARD")
                #expect(try await eventually(within: 15) { try await node.agent("status").output.contains(detail) })
                try await node.space.run("iptables-nft", "-P", "FORWARD", "ACCEPT")
                #expect(try await eventually(within: 15) { try await node.agent("status").code == 0 })
                #expect(try !text(ofFile: node.log).contains("drift repaired"))
            }
        }
    }
}
