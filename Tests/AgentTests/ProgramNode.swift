import Foundation
import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import sdagent

/// The program as an operator runs it: in a network namespace and a state folder of its own.
struct ProgramNode: Sendable {
    /// Built beside the tests.
    static let program = Bundle.main.bundlePath + "/sdagent"

    /// A manifest that is soon applied.
    static let text = "switches: {blue: {mtu: 1400}}\nvms: {vm1: {nics: [{switch: blue, address: 10.0.0.9}]}}\n"

    let namespace: TestNamespace
    let place: Workplace
    /// In the folder of the socket, which is given by its name alone.
    var isInside = false

    func sdagent(_ words: String..., manifest: String? = nil) async throws -> CommandResult {
        try await command(line(words, manifest))
    }

    func line(_ words: [String], _ manifest: String? = nil) -> [String] {
        let options = ["-f", manifest ?? place.manifest, "--state", place.state.path.string]
        let socket = ["--socket", isInside ? String(place.socket.dropFirst(place.folder.count + 1)) : place.socket]
        let start = isInside ? ["env", "-C", place.folder] : []
        return namespace.inside(start + [Self.program] + words + options + socket)
    }

    /// Runs a daemon beside the body, and gives what it said.
    func withDaemon(_ body: @escaping @Sendable () async throws -> Void) async throws -> CommandResult {
        let socket = ControlClient(socketPath: place.socket)
        return try await withThrowingTaskGroup { group in
            // The suite's time limit is the shorter one.
            group.addTask { try await command(line(["run"]), seconds: 200) }
            do {
                while try !socket.isAnswering() { try await Task.sleep(for: .milliseconds(20)) }
                try await body()
            } catch {
                try? await stop()
                throw error
            }
            try await stop()
            return try #require(try await group.next())
        }
    }

    /// Ends the daemon in order.
    func stop() async throws {
        let pid = try #require(StateLock.holder(of: .run, in: place.state))
        try await output(of: ["kill", "-TERM", "\(pid)"])
    }

    static func with(_ body: (ProgramNode) async throws -> Void) async throws {
        let place = try Workplace()
        try await TestNamespace.with { try await body(ProgramNode(namespace: $0, place: place)) }
    }

    /// Until it is so; the suite's time limit ends what never comes.
    static func wait(_ condition: () async throws -> Bool) async throws {
        while try await !condition() { try await Task.sleep(for: .milliseconds(50)) }
    }
}
