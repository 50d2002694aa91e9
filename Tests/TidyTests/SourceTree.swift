import Foundation

/// One file of the tree, its text split once for all rules.
struct SourceFile: Sendable {
    /// From the top of the tree: "Sources/Netlink/NetlinkError.swift".
    let path: String
    let text: String
    let lines: [Substring]
    /// Empty where the file is not Swift.
    let tokens: [Token]

    init(_ path: String, _ text: String) {
        self.path = path
        self.text = text
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        // The last line ends with a newline, it does not begin another.
        if lines.last?.isEmpty == true { lines.removeLast() }
        self.lines = lines
        tokens = path.hasSuffix(".swift") ? Lexer.tokens(of: text) : []
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
    var isProduct: Bool { path.hasPrefix("Sources/") }
    var isTest: Bool { path.hasPrefix("Tests/") }

    /// The name of its target: "Netlink".
    var module: String { components.count > 2 ? String(components[1]) : "" }

    /// The file's name without folder and ending.
    var name: String { components.last.map { String($0.prefix { $0 != "." }) } ?? "" }

    private var components: [Substring] { path.split(separator: "/") }

    /// The tokens without the comments.
    var code: [Token] { tokens.filter { $0.kind != .comment } }
}

/// The files that the rules look at: sources, tests, configurations and documents.
struct SourceTree: Sendable {
    let files: [SourceFile]
    /// Every path in the tree, of whatever kind, folders too.
    let paths: Set<String>

    init(files: [SourceFile], paths: Set<String> = []) {
        self.files = files
        self.paths = paths.union(files.map(\.path))
    }

    /// The tree this test was compiled from; read once.
    static let own = SourceTree.read(root(of: #filePath))

    /// Where `Package.swift` stands. Links are followed, so that a package of links to a tree checks that tree.
    private static func root(of file: String) -> String {
        let real = realpath(file, nil)
        defer { free(real) }
        let path = real.map { String(cString: $0) } ?? file
        return "/" + path.split(separator: "/").dropLast(3).joined(separator: "/")
    }

    private static let folders = ["Sources", "Tests", "configs", "docs", "Benchmarks"]
    private static let texts = ["swift", "c", "h", "modulemap", "md", "yaml", "txt", "json", "service", "sh"]

    private static func read(_ root: String) -> SourceTree {
        let top = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        var paths = Set(top)
        for folder in folders {
            let below = (try? FileManager.default.subpathsOfDirectory(atPath: "\(root)/\(folder)")) ?? []
            paths.formUnion(below.filter { !$0.contains(".build") }.map { "\(folder)/\($0)" })
        }
        let files = paths.filter { path in texts.contains { path.hasSuffix(".\($0)") } }.sorted().compactMap { path in
            (try? String(contentsOfFile: "\(root)/\(path)", encoding: .utf8)).map { SourceFile(path, $0) }
        }
        return SourceTree(files: files, paths: paths)
    }
}
