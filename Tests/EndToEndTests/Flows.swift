import Glibc
import TestSupport

/// Flows through a node of which every packet is counted: to each address 1,000 datagrams a second, and one TCP
/// connection that is never silent (`flow.py`).
struct Flows: Sendable {
    /// Where they begin and end.
    struct Path: Sendable {
        let from: TestNamespace
        let to: [TestNamespace]
        let addresses: [String]
    }

    /// Runs the body beside flows that have begun to arrive.
    ///
    /// - Returns: what became of the flows of each path.
    static func during(
        _ paths: [Path], in directory: TemporaryDirectory, _ body: @Sendable () async throws -> Void
    ) async throws -> [String] {
        let servers = paths.flatMap(\.to).map(\.name)
        return try await serve(Set(servers).sorted()[...], in: directory) {
            try await drive(paths[...], in: directory, body)
        }
    }

    private static func serve(
        _ spaces: ArraySlice<String>, in directory: TemporaryDirectory,
        _ body: @Sendable () async throws -> [String]
    ) async throws -> [String] {
        guard let space = spaces.first else { return try await body() }
        let log = directory.file("flow-\(space)")
        let words = ["nsenter", "--net=/run/netns/\(space)", "python3", script, "serve"]
        return try await RunningCommand.with(words, log: log) { _ in
            try await begun(log)
            return try await serve(spaces.dropFirst(), in: directory, body)
        }.value
    }

    private static func drive(
        _ paths: ArraySlice<Path>, in directory: TemporaryDirectory, _ body: @Sendable () async throws -> Void
    ) async throws -> [String] {
        guard let path = paths.first else {
            try await body()
            return []
        }
        let log = directory.file("flow-from-\(path.from.name)")
        _ = try await output(of: ["rm", "-f", log])
        let words = path.from.inside(["python3", script, "drive"] + path.addresses)
        return try await RunningCommand.with(words, log: log) { driver in
            try await begun(log)
            let others = try await drive(paths.dropFirst(), in: directory, body)
            driver.signal(SIGTERM)
            guard try await driver.isGone(within: 60) else { throw Silence(log: try text(ofFile: log)) }
            return try [text(ofFile: log)] + others
        }.value
    }

    private static func begun(_ log: String) async throws {
        let isReady = try await eventually(within: 60) { try text(ofFile: log).contains("ready") }
        guard isReady else { throw Silence(log: try text(ofFile: log)) }
    }

    /// Flows did not begin, or did not end.
    struct Silence: Error {
        let log: String
    }

    private static let script = #filePath.replacing("Flows.swift", with: "flow.py")
}
