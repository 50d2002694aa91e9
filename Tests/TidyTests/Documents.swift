extension Rule {
    /// What the documents promise must be there.
    static let documents = [
        Rule(wholeTree: "links between documents lead somewhere", remedy: "correct the path") { tree in
            tree.files.filter { $0.path.hasSuffix(".md") }.flatMap { file in
                Documents.links(of: file).filter { !tree.paths.contains(Documents.resolve($0.target, from: file.path)) }
                    .map { Finding(path: file.path, line: $0.line, what: "no such file: \($0.target)") }
            }
        },
        Rule(wholeTree: "files that the documents name are there", remedy: "name the file as it is called now") {
            tree in
            tree.files.filter { $0.path.hasSuffix(".md") }.flatMap { file in
                Documents.names(of: file).filter { !tree.paths.contains($0.path) }
                    .map { Finding(path: file.path, line: $0.line, what: "no such file: \($0.path)") }
            }
        },
    ]
}

/// What Markdown text refers to.
enum Documents {
    /// The targets of `[text](target)` within the tree.
    static func links(of file: SourceFile) -> [(target: String, line: Int)] {
        file.lines.enumerated().flatMap { index, line in
            line.split(separator: "](").dropFirst().compactMap { rest -> (String, Int)? in
                guard let end = rest.firstIndex(of: ")") else { return nil }
                let target = rest[..<end].prefix { $0 != "#" }
                return target.isEmpty || target.contains("://") ? nil : (String(target), index + 1)
            }
        }
    }

    /// Paths of the tree between backticks: `Sources/VSwitch/`. Those with a blank, a star or capitals in place of a
    /// name (`Sources/PART/X.swift`) are patterns.
    static func names(of file: SourceFile) -> [(path: String, line: Int)] {
        file.lines.enumerated().flatMap { index, line in
            let quoted = line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                .filter { $0.offset % 2 == 1 }.map { String($0.element) }
            return quoted.filter(isPath).map { ($0.hasSuffix("/") ? String($0.dropLast()) : $0, index + 1) }
        }
    }

    private static let tops = ["Sources/", "Tests/", "configs/", "docs/", "Benchmarks/"]

    private static func isPath(_ text: String) -> Bool {
        guard tops.contains(where: text.hasPrefix), !text.contains(where: { " *{<…".contains($0) }) else {
            return false
        }
        let parts = text.split { $0 == "/" || $0 == "." }
        return !parts.contains { part in part.count > 1 && part.allSatisfy(\.isUppercase) || part == "X" }
    }

    /// A target beside the file that names it, as a path from the top.
    static func resolve(_ target: String, from path: String) -> String {
        var parts = path.split(separator: "/").dropLast()
        for part in target.split(separator: "/") where part != "." {
            if part == ".." { parts = parts.dropLast() } else { parts.append(part) }
        }
        return parts.joined(separator: "/")
    }
}
