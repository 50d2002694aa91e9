extension Rule {
    /// What things may not be called, and what a type says of itself.
    static let names = [
        Rule("a name says what the thing is", remedy: "name it by its noun; see the words in ARCHITECTURE.md") { file in
            guard file.isProduct || file.isTest, file.isSwift else { return [] }
            var findings: [(Int, String)] = []
            if let word = Names.banned(in: file.name) { findings.append((1, "the file's name holds '\(word)'")) }
            for type in Names.types(of: file) {
                guard let word = Names.banned(in: type.name) else { continue }
                findings.append((type.line, "the name of '\(type.name)' holds '\(word)'"))
            }
            return findings
        },
        Rule("no singletons", remedy: "make the value where it is needed and pass it on") { file in
            guard file.isProduct else { return [] }
            let code = file.code
            return code.indices.dropLast(2).filter {
                code[$0].isWord("static") && (code[$0 + 1].isWord("let") || code[$0 + 1].isWord("var"))
                    && Names.singletons.contains(code[$0 + 2].text)
            }.map { (code[$0].line, "static \(code[$0 + 2].text)") }
        },
        Rule("a type says what it is", remedy: "put a '///' before it whose first sentence says what it is") { file in
            guard file.isProduct, file.isSwift else { return [] }
            return Names.types(of: file).filter { $0.isTopLevel && !$0.isPrivate && !$0.isDocumented }
                .map { ($0.line, "'\($0.name)' has no comment") }
        },
    ]
}

/// The declarations of types in a file.
enum Names {
    struct TypeName {
        let name: String
        let line: Int
        let isTopLevel: Bool
        let isPrivate: Bool
        let isDocumented: Bool
    }

    static let singletons: Set = ["shared", "standard", "instance", "sharedInstance"]

    /// Terms that the kernel itself has coined.
    private static let kernelWords: Set = ["NFPayloadBase"]

    private static let bannedWords: Set = [
        "Manager", "Helper", "Helpers", "Util", "Utils", "Utility", "Utilities", "Common", "Base", "Impl", "Core",
        "Extras", "Factory", "Wrapper", "Shared", "Singleton", "Mock", "Misc", "Stuff",
    ]

    /// A banned word among the words of a name: "VolumeManager" is Volume and Manager.
    static func banned(in name: String) -> String? {
        guard !kernelWords.contains(name) else { return nil }
        var words: [String] = [""]
        for letter in name {
            if letter.isUppercase || letter == "+" || letter == "_" { words.append("") }
            words[words.count - 1].append(letter)
        }
        return words.first { bannedWords.contains($0) }
    }

    static func types(of file: SourceFile) -> [TypeName] {
        let tokens = file.tokens
        var found: [TypeName] = []
        var depth = 0
        for index in tokens.indices {
            if tokens[index].isSign("{") { depth += 1 }
            if tokens[index].isSign("}") { depth -= 1 }
            guard declares(tokens, at: index) else { continue }
            let before = modifiers(tokens, before: index)
            found.append(
                TypeName(
                    name: tokens[index + 1].text, line: tokens[index].line, isTopLevel: depth == 0,
                    isPrivate: before.words.contains("private") || before.words.contains("fileprivate"),
                    isDocumented: before.isDocumented))
        }
        return found
    }

    private static func declares(_ tokens: [Token], at index: Int) -> Bool {
        let keywords: Set = ["struct", "enum", "class", "actor", "protocol"]
        guard tokens[index].kind == .word, keywords.contains(tokens[index].text), index + 1 < tokens.count else {
            return false
        }
        let name = tokens[index + 1]
        // `class func`, `.class` and `some actor` are none.
        return name.kind == .word && name.text.first?.isUppercase == true && !tokens[index].isAttached
            || index == 0 && name.kind == .word
    }

    /// What stands before a declaration, back to its comment or to the end of what came before.
    private static func modifiers(_ tokens: [Token], before index: Int) -> (words: [String], isDocumented: Bool) {
        var words: [String] = []
        var hasComment = false
        for token in tokens[..<index].reversed() {
            switch token.kind {
            case .comment where token.text.hasPrefix("///"): return (words, true)
            case .comment: hasComment = true
            case .word where hasComment, .text where hasComment: return (words, false)
            case .word, .text: words.append(token.text)
            case .sign:
                if token.text == "}" || token.text == "{" { return (words, false) }
            }
        }
        return (words, false)
    }
}
