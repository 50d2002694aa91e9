extension Rule {
    /// How long things may be, and how they end.
    static let shape = [
        Rule("a file holds one idea", remedy: "split it: 400 lines in Sources, 600 in Tests") { file in
            guard file.isProduct || file.isTest, !file.isFixture else { return [] }
            let limit = file.isTest ? 600 : 400
            return file.lines.count > limit ? [(limit + 1, "\(file.lines.count) lines")] : []
        },
        Rule("a line fits the screen", remedy: "break it before column 121") { file in
            guard file.isSwift || file.path.hasSuffix(".c") || file.path.hasSuffix(".h") else { return [] }
            return file.lines.enumerated().filter { $0.element.count > 120 }.map {
                ($0.offset + 1, "\($0.element.count) columns")
            }
        },
        Rule("a function fits the screen", remedy: "split it: at most 70 lines") { file in
            guard file.isProduct else { return [] }
            return Functions.of(file).filter { $0.lines > 70 }.map { ($0.line, "\($0.name) has \($0.lines) lines") }
        },
        Rule("no trailing blanks, no tabs, one newline at the end", remedy: "swift format -i FILE, or an editor") {
            file in
            // A golden file holds what a program prints.
            guard !file.isFixture, !file.path.hasSuffix(".txt") else { return [] }
            var findings: [(Int, String)] = []
            for (index, line) in file.lines.enumerated() {
                if line.last == " " || line.last == "\t" { findings.append((index + 1, "trailing blank")) }
                if line.contains("\t"), file.isSwift { findings.append((index + 1, "tab")) }
                if line.utf8.contains(UInt8(ascii: "\r")) { findings.append((index + 1, "carriage return")) }
            }
            if file.lines.last?.isEmpty == true { findings.append((file.lines.count, "blank line at the end")) }
            if !file.text.isEmpty, !file.text.utf8.last.isNewline {
                findings.append((file.lines.count, "no newline at the end"))
            }
            return findings
        },
        Rule("a file has something to say", remedy: "delete it") { file in
            guard file.isSwift, file.code.isEmpty else { return [] }
            return [(1, "no code")]
        },
    ]
}

extension SourceFile {
    /// Input of a test, which may be wrong on purpose.
    var isFixture: Bool { path.contains("/Cases/") || path.contains("/Golden/") || path.contains("/Corpus/") }
}

extension UInt8? {
    fileprivate var isNewline: Bool { self == UInt8(ascii: "\n") }
}

/// Finds the bodies of functions by their braces.
enum Functions {
    struct Function {
        let name: String
        let line: Int
        /// From the line of `func` to the closing brace.
        let lines: Int
    }

    static func of(_ file: SourceFile) -> [Function] {
        let code = file.code
        var found: [Function] = []
        for index in code.indices {
            guard let name = name(at: index, code), let opening = bodyStart(after: index, code) else { continue }
            let end = closing(of: opening, code)
            found.append(Function(name: name, line: code[index].line, lines: code[end].line - code[index].line + 1))
        }
        return found
    }

    private static func name(at index: Int, _ code: [Token]) -> String? {
        let isMember = index > 0 && code[index - 1].isSign(".")
        guard code[index].kind == .word, !isMember, index + 1 < code.count else { return nil }
        switch code[index].text {
        case "func": return code[index + 1].text
        case "init" where code[index + 1].isSign("(") || code[index + 1].isSign("<") || code[index + 1].isSign("?"):
            return "init"
        case "deinit": return "deinit"
        default: return nil
        }
    }

    /// The `{` of a body; nil for a requirement of a protocol.
    private static func bodyStart(after start: Int, _ code: [Token]) -> Int? {
        var depth = 0
        for index in (start + 1)..<code.count {
            let token = code[index]
            if token.isSign("(") || token.isSign("[") { depth += 1 }
            if token.isSign(")") || token.isSign("]") { depth -= 1 }
            guard depth <= 0 else { continue }
            if token.isSign("{") { return index }
            if token.isSign("}") || declarations.contains(token.text), token.kind != .text { return nil }
        }
        return nil
    }

    private static let declarations: Set = [
        "func", "var", "let", "struct", "enum", "class", "extension", "init", "static",
    ]

    private static func closing(of opening: Int, _ code: [Token]) -> Int {
        var depth = 0
        for index in opening..<code.count {
            if code[index].isSign("{") { depth += 1 }
            if code[index].isSign("}") { depth -= 1 }
            if depth == 0 { return index }
        }
        return code.count - 1
    }
}
