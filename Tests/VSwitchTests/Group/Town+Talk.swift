import Netlink
import Reconcile
import TestSupport
import Testing
@testable import VSwitch

/// Conversations that go on while the policy changes.
extension Town {
    /// Runs the body while guests talk; it gets what counts the answers so far, by "guest line".
    func talking(
        _ lines: [(guest: String, line: String)],
        _ body: @Sendable (@Sendable () throws -> [String: Int]) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with { directory in
            try await talk(Dictionary(grouping: lines, by: \.guest).sorted { $0.key < $1.key }[...], directory) {
                try await body {
                    var counts: [String: Int] = [:]
                    for (guest, line) in lines {
                        let said = try directory.read("\(guest).talk").split(separator: "\n")
                        counts["\(guest) \(line)"] = said.count { $0 == line }
                    }
                    return counts
                }
            }
        }
    }

    private func talk(
        _ left: ArraySlice<(key: String, value: [(guest: String, line: String)])>, _ directory: TemporaryDirectory,
        _ body: @Sendable () async throws -> Void
    ) async throws {
        guard let (name, lines) = left.first, let guest = guests[name] else { return try await body() }
        let words = guest.inside(["python3", Self.script, "talk"] + lines.map(\.line))
        try await RunningCommand.with(words, log: directory.file("\(name).talk")) { _ in
            try await talk(left.dropFirst(), directory, body)
        }
    }

    /// That within a second these lines go on, and all others have fallen silent.
    func expect(
        _ counts: @Sendable () throws -> [String: Int], at location: SourceLocation = #_sourceLocation,
        goesOn isKept: @Sendable (String) -> Bool
    ) async throws {
        try await ContinuousClock().sleep(for: .seconds(1))
        let before = try counts()
        let goesOn = try await eventually(within: 20) {
            try counts().filter { isKept($0.key) }.allSatisfy { $0.value > before[$0.key, default: 0] + 9 }
        }
        let after = try counts()
        #expect(goesOn, "\(before), then \(after)", sourceLocation: location)
        for (line, count) in after where !isKept(line) {
            #expect(count == before[line], "\(line)", sourceLocation: location)
        }
    }

    /// What a plan says of those who lose something.
    func losses(_ text: String) async throws -> [String] {
        let (desired, mistakes) = load(text)
        guard let desired else { return mistakes }
        return await reconciler.plan(desired).changes.flatMap(\.disruption)
    }

    /// What a plan says, one line for each resource that is not as asked.
    func plan(_ text: String) async throws -> [String] {
        let (desired, mistakes) = load(text)
        guard let desired else { return mistakes }
        let plan = await reconciler.plan(desired)
        return plan.changes.filter { $0.change != .none }.map { "\($0.id) \($0.change.word)" }
            + plan.failures.map { "\($0.kind) failed: \($0.reason)" }
    }
}
