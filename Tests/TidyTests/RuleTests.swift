import Testing

/// A text that breaks a rule, and one as near as possible that keeps it.
struct RuleSample: Sendable, CustomTestStringConvertible {
    let rule: String
    let path: String
    let bad: String
    let good: String
    /// Where the bad one is reported.
    let line: Int

    init(_ rule: String, in path: String, bad: String, good: String, line: Int = 1) {
        self.rule = rule
        self.path = path
        self.bad = bad + (bad.hasSuffix("\n") ? "" : "\n")
        self.good = good + (good.hasSuffix("\n") ? "" : "\n")
        self.line = line
    }

    var testDescription: String { "\(rule): \(bad.prefix(40))" }
}

/// Every rule can fail: it finds what breaks it, and nothing in what comes near.
@Suite("Rules of the house rules")
struct RuleTests {
    private func find(_ rule: String, _ files: [SourceFile], paths: Set<String> = []) throws -> [Finding] {
        let rule = try #require(Rule.all.first { $0.name == rule })
        return rule.find(SourceTree(files: files, paths: paths))
    }

    @Test(arguments: RuleSample.all)
    func `a rule finds what breaks it and nothing else`(_ sample: RuleSample) throws {
        let bad = try find(sample.rule, [SourceFile(sample.path, sample.bad)])
        #expect(bad.first?.line == sample.line)
        #expect(bad.first?.path == sample.path)
        let good = try find(sample.rule, [SourceFile(sample.path, sample.good)])
        #expect(good.isEmpty, "\(good.map(\.what))")
    }

    @Test func `every rule has a sample`() {
        let sampled = Set(RuleSample.all.map(\.rule)).union([
            "every example is used by a test", "links between documents lead somewhere",
            "files that the documents name are there",
        ])
        #expect(sampled == Set(Rule.all.map(\.name)))
        #expect(Rule.all.count == sampled.count)
    }

    @Test func `an example that no test names is found`() throws {
        let rule = "every example is used by a test"
        let example = SourceFile("configs/examples/nat.yaml", "routers:\n")
        let lone = SourceFile("configs/lone.yaml", "routers:\n")
        let test = SourceFile("Tests/AgentTests/ExampleTests.swift", "let folder = \"configs/examples\"\n")
        #expect(try find(rule, [example, lone, test]).map(\.path) == ["configs/lone.yaml"])
        #expect(try find(rule, [example]).count == 1)
    }

    @Test func `a link and a name that lead nowhere are found`() throws {
        let text =
            "[a](docs/a.md) [b](docs/b.md#c) [d](https://example.org)\n`docs/a.md` `Sources/PART/X.swift` `docs/c.md`\n"
        let page = SourceFile("README.md", text)
        #expect(
            try find("links between documents lead somewhere", [page], paths: ["docs/a.md"]).map(\.what)
                == ["no such file: docs/b.md"])
        let named = try find("files that the documents name are there", [page], paths: ["docs/a.md"])
        #expect(named.map(\.what) == ["no such file: docs/c.md"])
        #expect(named.first?.line == 2)
    }

    @Test func `a target is found beside the page that names it`() {
        #expect(Documents.resolve("../README.md", from: "docs/manifest.md") == "README.md")
        #expect(Documents.resolve("./a/b.md", from: "docs/manifest.md") == "docs/a/b.md")
    }
}
