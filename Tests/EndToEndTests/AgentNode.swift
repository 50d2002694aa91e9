import Glibc
import TestSupport

/// A node of one test's own: a network namespace, a manifest, a state directory and the built `sdagent`.
struct AgentNode: Sendable {
    let space: TestNamespace
    let directory: TemporaryDirectory

    /// The one manifest that every verb of this node is given.
    var manifest: String { directory.file("node.yaml") }
    var state: String { directory.file("state") }
    var socket: String { directory.file("agent.sock") }
    /// All that the daemons of this node have said.
    var log: String { directory.file("daemon.log") }

    /// The program under test: the one of this very build, beside the test bundle.
    static let program: String = {
        if let chosen = getenv("SDAGENT") { return String(cString: chosen) }
        var path = [CChar](repeating: 0, count: 4096)
        let length = max(0, readlink("/proc/self/exe", &path, path.count - 1))
        let executable = String(decoding: path.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return executable.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            + "/sdagent"
    }()

    /// The checkout: three folders above this file.
    static let checkout = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        .joined(separator: "/")

    /// A manifest that the project ships.
    static func shipped(_ name: String) throws -> String { try text(ofFile: "\(checkout)/configs/\(name)") }

    /// Makes a node with a manifest, runs the body and takes everything away again.
    @discardableResult
    static func with<Value>(_ manifest: String, _ body: (AgentNode) async throws -> Value) async throws -> Value {
        try await TestNamespace.with { space in
            try await TemporaryDirectory.with { directory in
                let node = AgentNode(space: space, directory: directory)
                try node.write(manifest)
                return try await body(node)
            }
        }
    }

    /// Replaces the manifest as an editor does: the new file takes the old one's place at once.
    func write(_ text: String) throws {
        let new = try directory.write(text, to: "node.yaml.new")
        rename(new, manifest)
    }

    /// Runs a verb of the agent in the node.
    func agent(_ verb: String, _ more: String..., seconds: Int = 60) async throws -> CommandResult {
        try await command(space.inside(words(verb) + more), seconds: seconds)
    }

    /// Applies, which must succeed.
    func apply() async throws { try await output(of: space.inside(words("apply"))) }

    /// The words of a verb, with this node's manifest, state and socket.
    func words(_ verb: String) -> [String] {
        [Self.program, verb, "-f", manifest, "--state", state, "--socket", socket]
    }

    /// Runs the daemon beside the body; it is up and has looked at the node when the body begins.
    ///
    /// - Returns: the body's value and how the daemon ended: killed, unless the body has ended it before.
    @discardableResult
    func withDaemon<Value: Sendable>(
        _ body: @Sendable (RunningCommand) async throws -> Value
    ) async throws -> (value: Value, end: RunningCommand.End) {
        try await RunningCommand.with(space.inside(words("run")), log: log) { daemon in
            let isUp = try await eventually(within: 30) {
                try await agent("status", "--output", "json").output.contains("\"looked\"")
            }
            guard isUp else { throw NoDaemon(log: (try? text(ofFile: log)) ?? "") }
            return try await body(daemon)
        }
    }

    /// Ends a daemon as a service manager does.
    ///
    /// - Returns: whether it ended within 20 s.
    func terminate(_ daemon: RunningCommand) async throws -> Bool {
        daemon.signal(SIGTERM)
        return try await daemon.isGone(within: 20)
    }

    /// The names of all links of the node, sorted.
    func links() async throws -> [String] {
        try await space.run("ip", "-brief", "link").split(separator: "\n").compactMap { line in
            line.split(separator: " ").first?.split(separator: "@").first.map(String.init)
        }.sorted()
    }

    /// Whether a plan finds nothing to do.
    func isConverged() async throws -> Bool { try await agent("plan").code == 0 }

    /// All that the kernel holds and a manifest could change: links, addresses, routes, rules, forwarding.
    ///
    /// Without what the kernel moves by itself: carriers, states, timers, counters.
    func picture() async throws -> String {
        let commands = [
            ["ip", "-o", "-d", "link"], ["ip", "-o", "address"], ["ip", "route", "show", "table", "all"],
            ["ip", "-6", "route", "show", "table", "all"], ["ip", "rule"], ["ip", "-6", "rule"],
            ["nft", "-s", "list", "ruleset"], ["sysctl", "-n", "net.ipv4.ip_forward"],
        ]
        var parts: [String] = []
        for words in commands { parts.append(try await output(of: space.inside(words))) }
        return parts.joined(separator: "--\n")
            .replacing(#/NO-CARRIER,|,LOWER_UP| linkdown| dead/#, with: "")
            .replacing(#/\b(state|[a-z_]+_timer|topology_change(_detected)?) +\S+/#, with: "")
            .replacing(#/\b(root_port|root_path_cost|designated_root|numqueues|numdisabled) +\S+/#, with: "")
    }
}

/// The daemon did not come up; what it said stands here.
struct NoDaemon: Error, CustomStringConvertible {
    let log: String
    var description: String { "the daemon did not come up:\n\(log)" }
}
