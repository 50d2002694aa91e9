import TestSupport
@testable import VSwitch

/// A node with its guests, all of whose ends of conversations are in one process.
struct Place: Sendable {
    let town: Town

    static let script = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined()

    /// A place with these guests, where nobody answers yet; torn down when the body ends.
    static func with<Value: Sendable>(
        _ names: [String], _ body: @Sendable (Place) async throws -> Value
    ) async throws -> Value {
        try await TestNamespace.with { try await build(names[...], [:], $0, body) }
    }

    private static func build<Value: Sendable>(
        _ names: ArraySlice<String>, _ guests: [String: TestNamespace], _ node: TestNamespace,
        _ body: @Sendable (Place) async throws -> Value
    ) async throws -> Value {
        guard let name = names.first else { return try await body(Place(town: Town(node: node, guests: guests))) }
        return try await TestNamespace.with { guest in
            var guests = guests
            guests[name] = guest
            return try await build(names.dropFirst(), guests, node, body)
        }
    }

    /// Runs the body while all guests answer.
    func answering(_ body: @Sendable () async throws -> Void) async throws {
        try await TemporaryDirectory.with { directory in
            let words = ["python3", "\(Self.script)/guests.py", "serve"] + town.guests.values.map(\.name)
            try await RunningCommand.with(words, log: directory.file("log")) { _ in
                let isReady = try await eventually(within: 60) { try directory.read("log").contains("ready") }
                guard isReady else { throw Town.Absence(log: try directory.read("log")) }
                try await body()
            }
        }
    }
}

// MARK: Asking

extension Place {
    /// Asks all at once; returns what turned out other than expected.
    ///
    /// - Parameter seconds: how long an answer that is expected is asked for, again and again.
    func surprises(
        _ asked: [(question: Expectation.Question, isAnswered: Bool)], within seconds: Int = 30
    ) async throws -> [String] {
        guard !asked.isEmpty else { return [] }
        var names: [String: String] = [:]
        let lines = asked.compactMap { asked -> String? in
            let question = asked.question
            guard let guest = town.guests[question.from] else { return nil }
            let line = "\(guest.name) \(question.how) \(question.to.address) \(question.port)"
            let verdict = asked.isAnswered ? "is not answered, though it may be asked" : "is answered, though forbidden"
            names["\(line) \(asked.isAnswered ? "yes" : "no")"] = "\(question) \(verdict)"
            return "\(line) \(asked.isAnswered ? "yes" : "no")"
        }
        try await forget()
        let words = ["sh", "-c", "printf '%s\\n' \"$1\" | python3 \"$0/guests.py\" ask \(seconds)", Self.script]
        let found = try await output(of: words + [lines.joined(separator: "\n")], seconds: 120)
        return found.split(separator: "\n").map { names[String($0)] ?? String($0) }
    }

    /// Who has moved is looked for anew: machines say so themselves when they come up, bare namespaces do not.
    private func forget() async throws {
        let spaces = [town.node.name] + town.guests.values.map(\.name)
        let script = "for space; do ip -n $space neigh flush all || exit; done"
        try await output(of: ["sh", "-c", script, "-"] + spaces)
    }
}

// MARK: Looking

extension Place {
    /// What the kernel has on the node and in these guests, as sorted lines.
    func kernel(_ guests: [String]) async throws -> [String] {
        let spaces = guests.compactMap { name in town.guests[name].map { "\(name)=\($0.name)" } }
        let words = ["python3", "\(Self.script)/kernel.py", "node=\(town.node.name)"] + spaces
        return try await output(of: words).split(separator: "\n").map(String.init).sorted()
    }

    /// How this place differs from another that has the same manifest: its own lines with `-`, the other's with `+`.
    ///
    /// Some things follow an apply in the kernel's own time: carriers, of which it looks at a hundred in a second on
    /// all the machine (net/core/link_watch.c), and local routes. These are waited for.
    func differences(from other: Place, guests: [String], within seconds: Int = 60) async throws -> [String] {
        var differences: [String] = []
        _ = try await eventually(within: seconds) {
            let (mine, others) = (try await kernel(guests), try await other.kernel(guests))
            differences = others.difference(from: mine).map { change in
                switch change {
                case .remove(_, let line, _): "- \(line)"
                case .insert(_, let line, _): "+ \(line)"
                }
            }
            return differences.isEmpty
        }
        return differences
    }
}
