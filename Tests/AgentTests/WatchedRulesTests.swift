import Logging
import Netlink
import ServiceLifecycle
import Syscall
import TestSupport
import Testing

@testable import sdagent

/// A daemon whose tables nobody owns, as on a kernel before Linux 6.9: it hears what others do to them.
@Suite("Rules that are watched", .serialized, .enabled(if: TestNamespace.isPossible), .timeLimit(.minutes(3)))
struct WatchedRulesTests {
    private static let manifest = """
        switches: { blue: {} }
        groups: { web: { ingress: [ { protocol: tcp, ports: 80 } ] } }
        routers: { gw: { interfaces: { blue: { addresses: [10.10.0.1/24, "fd00:10::1/64"] } } } }
        vms: { vm1: { nics: [ { switch: blue, address: 10.10.0.10, groups: [web] } ] } }

        """

    private static let deeds = [
        "nft flush ruleset",
        "nft delete table bridge sdagent",
        "nft delete table inet sdagent",
        "nft flush table bridge sdagent",
        "nft flush chain bridge sdagent guard",
        "nft insert rule bridge sdagent guard accept",
        "nft delete element bridge sdagent ports '{ vm1-net0 }'",
        "nft delete element bridge sdagent to '{ vm1-net0 }'",
        "printf 'flush ruleset\\ntable inet filter { chain c { type filter hook input priority 0; }; }\\n' | nft -f -",
    ]

    /// The daemon's parts that look at the network, in a namespace.
    private func withDaemon(
        in space: TestNamespace, _ body: @escaping @Sendable (Agent) async throws -> Void
    ) async throws {
        let place = try Workplace()
        try place.write(Self.manifest)
        try place.state.prepare()
        let location = NetworkLocation.namespace(space.name)
        var logger = Logger(label: "watched") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        let wants = Wants()
        let agent = Agent(
            kinds: Kinds.node(place.state, in: location, tenure: .none), paths: ManifestPaths(paths: [place.manifest]),
            state: place.state, logger: logger)
        #expect(await agent.reload())
        let services: [any Service] = [
            ReconcileService(agent: agent, wants: wants, supervisor: Supervisor(environment: [:]), logger: logger),
            try KernelEvents(in: location, wants: wants, logger: logger),
        ]
        let group = ServiceGroup(services: services, logger: logger)
        try await withThrowingTaskGroup { tasks in
            tasks.addTask { try await group.run() }
            do { try await body(agent) } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test("What others change is restored by the event of it, long before the next look by the clock")
    func restores() async throws {
        try await TestNamespace.with { space in
            try await withDaemon(in: space) { agent in
                #expect(try await eventually(within: 20) { await agent.status.exitCode == 0 })
                let rules = try #require(await agent.status.rules)
                #expect(rules.protection == "watched" && rules.detail.contains("restored within a second"))
                let before = try await words(space)
                #expect(before.contains { $0.contains("vm1-net0") } && !before.contains { $0.contains("flags owner") })
                for deed in Self.deeds {
                    try await space.run("sh", "-ec", deed)
                    // The clock's next look may be 30 s away.
                    let isRestored = try await eventually(within: 10) { try await words(space) == before }
                    #expect(isRestored, "after \(deed)")
                }
            }
        }
    }

    /// What the tables of ours say, whatever the order.
    private func words(_ space: TestNamespace) async throws -> Set<String> {
        var words: Set<String> = []
        for table in ["bridge sdagent", "inet sdagent", "inet sdagent-state"] {
            let listing = try await space.attempt("nft", "-s", "list", "table", table).output
            words.formUnion(listing.split(separator: "\n").map { $0.filter { !", \t{}".contains($0) } })
        }
        return words
    }
}
