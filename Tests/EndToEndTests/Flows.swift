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
        /// Addresses at which nothing may arrive of what is sent to another port; `SOURCE=ADDRESS` comes from a source
        /// that is not the sender's.
        var intrusions: [String] = []
    }

    /// What became of them.
    struct Outcome: Sendable {
        /// For each path a text, with a verdict at its end.
        var reports: [String] = []
        /// What arrived although it must not, a line for each packet.
        var intruders: [String] = []
    }

    /// Runs the body beside flows that have begun to arrive.
    static func during(
        _ paths: [Path], in directory: TemporaryDirectory, _ body: @Sendable () async throws -> Void
    ) async throws -> Outcome {
        let servers = Set(paths.flatMap(\.to).map(\.name)).sorted()
        let logs = servers.map { log(of: $0, directory) }
        // Each day has its own.
        for log in logs { try await output(of: ["rm", "-f", log]) }
        let reports = try await serve(servers[...], in: directory) {
            try await drive(paths[...], in: directory, body)
        }
        let told = try logs.flatMap { try text(ofFile: $0).split(separator: "\n") }
        return Outcome(reports: reports, intruders: told.filter { $0 != "ready" }.map(String.init))
    }

    private static func log(of space: String, _ directory: TemporaryDirectory) -> String {
        directory.file("flow-\(space)")
    }

    private static func serve(
        _ spaces: ArraySlice<String>, in directory: TemporaryDirectory,
        _ body: @Sendable () async throws -> [String]
    ) async throws -> [String] {
        guard let space = spaces.first else { return try await body() }
        let log = log(of: space, directory)
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
        try await output(of: ["rm", "-f", log])
        let words = path.from.inside(["python3", script, "drive"] + path.addresses)
        return try await RunningCommand.with(words, log: log) { driver in
            try await begun(log)
            let others = try await intrude(path, in: directory) {
                try await drive(paths.dropFirst(), in: directory, body)
            }
            driver.signal(SIGTERM)
            guard try await driver.isGone(within: 60) else { throw Silence(log: try text(ofFile: log)) }
            return try [text(ofFile: log)] + others
        }.value
    }

    private static func intrude(
        _ path: Path, in directory: TemporaryDirectory, _ body: @Sendable () async throws -> [String]
    ) async throws -> [String] {
        guard !path.intrusions.isEmpty else { return try await body() }
        let log = directory.file("intruder-from-\(path.from.name)")
        try await output(of: ["rm", "-f", log])
        let words = path.from.inside(["python3", script, "intrude"] + path.intrusions)
        return try await RunningCommand.with(words, log: log) { _ in
            try await begun(log)
            return try await body()
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
