import Testing

/// Where a file breaks a rule, and how.
struct Finding: Sendable {
    let path: String
    /// From 1; the file as a whole is meant by its first line.
    let line: Int
    let what: String
}

/// One house rule: what it is called, what to do about a finding, and how findings are found.
struct Rule: Sendable, CustomTestStringConvertible {
    let name: String
    let remedy: String
    let find: @Sendable (SourceTree) -> [Finding]

    var testDescription: String { name }

    /// A rule that looks at one file at a time; `find` gives line and finding.
    init(_ name: String, remedy: String, _ find: @escaping @Sendable (SourceFile) -> [(Int, String)]) {
        self.name = name
        self.remedy = remedy
        self.find = { tree in
            tree.files.flatMap { file in find(file).map { Finding(path: file.path, line: $0.0, what: $0.1) } }
        }
    }

    /// A rule about the tree as a whole.
    init(wholeTree name: String, remedy: String, _ find: @escaping @Sendable (SourceTree) -> [Finding]) {
        self.name = name
        self.remedy = remedy
        self.find = find
    }
}

extension Rule {
    /// Every rule of the house, by subject.
    static let all = arrows + shape + names + traps + boundaries + documents
}
