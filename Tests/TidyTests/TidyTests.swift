import Testing

/// The house rules, kept over the tree this was compiled from.
@Suite("House rules")
struct TidyTests {
    @Test(arguments: Rule.all)
    func `the tree keeps the rule that`(_ rule: Rule) {
        for finding in rule.find(.own) {
            Issue.record("\(finding.path):\(finding.line): \(finding.what). Remedy: \(rule.remedy).")
        }
    }

    @Test func `the tree is there`() {
        let modules = Set(SourceTree.own.files.filter { $0.isProduct && $0.isSwift }.map(\.module))
        #expect(modules == Set(Arrows.allowed.keys))
        #expect(SourceTree.own.paths.contains("Package.swift"))
    }
}
