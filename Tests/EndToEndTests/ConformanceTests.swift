import TestSupport
import Testing

/// libiscsi's conformance tests, all of them, each family in a process of its own.
@Suite(.enabled(if: TestNamespace.isPossible && haveTools("iscsi-test-cu", "qemu-img")))
struct ConformanceTests {
    /// Resets and reservations reach a whole target: what runs at the same time runs on different ones.
    private static let lanes = 4
    /// Those that wait for what must not come, or move much, begin first.
    private static let slow = [
        "CompareAndWrite", "Verify12", "Verify16", "Verify10", "Reserve6", "iSCSIcmdsn", "OrWrite",
    ]
    /// Of one family, on a loaded machine; the slowest takes a few seconds.
    private static let seconds = 240

    /// What a family came to.
    private struct Outcome {
        let family: String
        let result: CommandResult
        /// The tests that it began, and those of them that it skipped.
        private(set) var begun: [String] = []
        private(set) var skipped: Set<String> = []
        /// Passed and failed, as the summary counts them.
        private(set) var tests: (passed: Int, failed: Int)?

        init(_ family: String, _ result: CommandResult) {
            self.family = family
            self.result = result
            for line in result.output.split(separator: "\n") {
                let words = line.split(separator: " ")
                if words.count > 1, words[0] == "Test:" { begun.append("\(family).\(words[1])") }
                if line.contains("[SKIPPED]"), let test = begun.last { skipped.insert(test) }
                // Total, ran, passed, failed, inactive.
                if words.count == 6, words[0] == "tests", let passed = Int(words[3]), let failed = Int(words[4]) {
                    tests = (passed, failed)
                }
            }
        }
    }

    /// Families for whoever asks next.
    private actor Line {
        private var waiting: [String]
        init(_ families: [String]) { waiting = families.reversed() }
        func next() -> String? { waiting.popLast() }
    }

    @Test func everyFamilyPassesAndOnlyWhatIsListedIsSkipped() async throws {
        let listed = try await output(of: ["iscsi-test-cu", "--list"]).split(separator: "\n").compactMap { line in
            let parts = line.split(separator: ".")
            return parts.count == 3 && parts[0] == "ALL"
                ? (family: String(parts[1]), test: "\(parts[1]).\(parts[2])") : nil
        }
        let tests = Dictionary(grouping: listed, by: \.family).mapValues { Set($0.map(\.test)) }
        let families = Self.slow + Set(tests.keys).subtracting(Self.slow + ["ReadOnly"]).sorted()
        try #require(families.count > 40)
        try await AgentNode.with(Self.manifest) { node in
            let end = try await node.withDaemon { daemon in
                var outcomes = try await Self.run(families, node)
                // The one family that is for a disk that cannot be written.
                outcomes.append(try await Self.run("ReadOnly", "fixed", node))
                for outcome in outcomes {
                    let isWhole =
                        Set(outcome.begun) == tests[outcome.family] && outcome.tests?.passed == outcome.begun.count
                    #expect(outcome.result.succeeded && isWhole && outcome.tests?.failed == 0, "\(outcome)")
                }
                let skipped = outcomes.reduce(into: Set<String>()) { $0.formUnion($1.skipped) }
                let allowed = Self.allowed(tests)
                #expect(skipped.subtracting(allowed) == [], "skipped, and not in ConformanceSkips.swift")
                #expect(allowed.subtracting(skipped) == [], "in ConformanceSkips.swift, and not skipped any more")
                return try await node.terminate(daemon)
            }
            #expect(end.value && end.end == .exited(0))
            for lane in 0..<Self.lanes {
                try await output(of: ["qemu-img", "check", "\(node.state)/pools/fast/lane\(lane).qcow2"])
            }
        }
    }

    private static var manifest: String {
        var (volumes, targets) = ("", "")
        for lane in 0..<lanes {
            volumes += "  lane\(lane): { pool: fast, size: 128MiB }\n"
            targets += "  iqn.2026-11.org.example:lane\(lane): { portals: [127.0.0.1], luns: { 0: lane\(lane) } }\n"
        }
        return """
            pools: { fast: {} }
            volumes:
              fixed: { pool: fast, size: 128MiB }
            \(volumes)targets:
              iqn.2026-11.org.example:fixed:
                portals: [127.0.0.1]
                luns: { 0: { volume: fixed, readOnly: true } }
            \(targets)
            """
    }

    private static func run(_ families: [String], _ node: AgentNode) async throws -> [Outcome] {
        let line = Line(families)
        return try await withThrowingTaskGroup(of: [Outcome].self) { group in
            for lane in 0..<lanes {
                group.addTask {
                    var outcomes: [Outcome] = []
                    while let family = await line.next() { outcomes.append(try await run(family, "lane\(lane)", node)) }
                    return outcomes
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }

    private static func run(_ family: String, _ target: String, _ node: AgentNode) async throws -> Outcome {
        let disk = "iscsi://127.0.0.1/iqn.2026-11.org.example:\(target)/0"
        let words = ["iscsi-test-cu", "--dataloss", "--test=ALL.\(family)", disk]
        return Outcome(family, try await command(node.space.inside(words), seconds: seconds))
    }

    /// The list, with the names that a star stands for.
    private static func allowed(_ tests: [String: Set<String>]) -> Set<String> {
        var names: Set<String> = []
        for pattern in ConformanceSkips.lines.flatMap(\.tests) {
            if pattern.hasSuffix(".*") {
                names.formUnion(tests[String(pattern.dropLast(2))] ?? [])
            } else {
                names.insert(pattern)
            }
        }
        return names
    }
}
