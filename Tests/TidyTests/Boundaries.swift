extension Rule {
    /// What the product leaves to others, and what only one part of it does.
    static let boundaries = [
        Rule("the product runs no other programs", remedy: "talk to the kernel; programs are witnesses in tests") {
            file in
            guard file.isProduct, file.isSwift || file.path.hasSuffix(".c") else { return [] }
            let code = file.isSwift ? file.code : Lexer.tokens(of: file.text).filter { $0.kind != .comment }
            return Boundaries.programs(code)
        },
        Rule(
            "errno is read in one place", remedy: "use a typed call of Syscall, or add one; only it imports errno"
        ) { file in
            guard file.isProduct, file.isSwift, !file.path.hasPrefix(Boundaries.mayReadErrno) else {
                return []
            }
            return Boundaries.errno(file.code)
        },
        Rule("only the commands print", remedy: "return text or values; the sdagent target prints them") { file in
            guard file.isProduct, file.isSwift else { return [] }
            let code = file.code
            return code.indices.dropLast().filter {
                (code[$0].isWord("print") || code[$0].isWord("debugPrint")) && code[$0 + 1].isSign("(")
                    && !($0 > 0 && (code[$0 - 1].isSign(".") || code[$0 - 1].isWord("func")))
            }.map { (code[$0].line, "\(code[$0].text)(") }
        },
        Rule("what is on main is finished", remedy: "do it now, or leave it out and say so in the documents") { file in
            guard file.isSwift else { return [] }
            return file.tokens.filter { $0.kind == .comment }.flatMap { comment in
                Boundaries.marks.filter { Boundaries.words(of: comment.text).contains($0) }.map { (comment.line, $0) }
            }
        },
        Rule(wholeTree: "every example is used by a test", remedy: "name it, or its folder, in a test that loads it") {
            tree in
            let tests = tree.files.filter { $0.isTest && $0.isSwift && $0.module != "TidyTests" }
            let texts = tests.flatMap { $0.tokens.filter { $0.kind == .text }.map(\.text) }
            return tree.files.filter { $0.path.hasPrefix("configs/") }.filter { file in
                let folder = file.path.split(separator: "/").dropLast().joined(separator: "/")
                let name = String(file.path.split(separator: "/").last ?? "")
                let isNamed = texts.contains { $0.contains(name) }
                let isDiscovered = folder != "configs" && texts.contains { $0.contains(folder) }
                return !isNamed && !isDiscovered
            }.map { Finding(path: $0.path, line: 1, what: "no test names it") }
        },
    ]
}

/// Patterns of what stands on the wrong side.
enum Boundaries {
    /// Where errno is read: the typed calls.
    static let mayReadErrno = "Sources/Syscall/"

    private static let spawning: Set = [
        "Process", "Subprocess", "posix_spawn", "posix_spawnp", "system", "popen", "fork", "vfork", "execv", "execve",
        "execvp", "execl", "execlp",
    ]
    private static let binaries: Set = [
        "nft", "iptables", "tc", "brctl", "ovs-vsctl", "qemu-img", "qemu-io", "qemu-nbd", "tgtadm", "iscsiadm",
        "bash", "sh", "sysctl", "modprobe",
    ]

    /// Calls that start a program, and texts that are the name or the path of one.
    static func programs(_ code: [Token]) -> [(Int, String)] {
        code.indices.compactMap { index in
            let token = code[index]
            switch token.kind {
            case .word:
                let isCall = index + 1 < code.count && code[index + 1].isSign("(") && code[index + 1].isAttached
                let isMember = index > 0 && (code[index - 1].isSign(".") || code[index - 1].isWord("func"))
                let isCase = index > 0 && code[index - 1].isWord("case")
                return spawning.contains(token.text) && isCall && !isMember && !isCase ? (token.line, token.text) : nil
            case .text:
                let isPath = ["/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/"].contains(where: token.text.hasPrefix)
                return isPath || binaries.contains(token.text) ? (token.line, "\"\(token.text)\"") : nil
            case .sign, .comment: return nil
            }
        }
    }

    /// The C variable; a property or a binding of the same name is another thing.
    static func errno(_ code: [Token]) -> [(Int, String)] {
        let isOwn = code.indices.dropFirst().contains { index in
            let isLabel = index + 1 < code.count && code[index + 1].isSign(":")
            return code[index].isWord("errno") && (["let", "var"].contains(code[index - 1].text) || isLabel)
        }
        guard !isOwn else { return [] }
        return code.indices.filter { $0 > 0 && code[$0].isWord("errno") && !code[$0 - 1].isSign(".") }
            .map { (code[$0].line, "errno") }
    }

    /// Spelled in halves, so that this file keeps its own rule.
    static let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]

    static func words(of text: String) -> Set<String> {
        Set(text.split { !$0.isLetter }.map(String.init))
    }
}
