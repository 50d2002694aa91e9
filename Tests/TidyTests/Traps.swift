extension Rule {
    /// What may stop the daemon, and what may hide a race.
    static let traps = [
        Rule("nothing traps on what others send", remedy: "throw a typed error, or guard and report it") { file in
            guard file.isProduct, file.isSwift else { return [] }
            return Traps.forced(file.code) + Traps.fatal(file.code)
        },
        Rule(
            "unchecked concurrency has a reason", remedy: "say in a comment right before it why it is safe, or drop it"
        ) { file in
            guard file.isProduct || file.isTest, file.isSwift else { return [] }
            return Traps.unchecked(file)
        },
        Rule(
            "raw memory is touched in few places",
            remedy: "use ByteReader, ByteWriter, spans or arrays; the places are listed in Tests/TidyTests/Traps.swift"
        ) { file in
            guard file.isProduct, file.isSwift, !Traps.touching.contains(where: file.path.hasPrefix) else { return [] }
            let mayName = Traps.naming.contains(where: file.path.hasPrefix)
            return file.code.filter { $0.kind == .word && Traps.isRaw($0.text, mayNamePointers: mayName) }
                .map { ($0.line, $0.text) }
        },
    ]
}

/// Patterns of traps and of raw memory.
enum Traps {
    /// Where pointers are dereferenced, and why.
    static let touching = [
        "Sources/Syscall/",  // the kernel's calls take pointers
        "Sources/Netlink/Message/",  // libmnl's buffers
        "Sources/Netlink/NFTables/",  // libnftnl's objects
        "Sources/Netlink/Socket/",  // the buffers that messages are received into
        "Sources/Netlink/Values/InterfaceName.swift",  // a C array of 16 characters
        "Sources/IOLoop/",  // the ring, and the slabs that the kernel reads and writes
        "Sources/ISCSI/Bytes/", "Sources/ISCSI/Digest/",  // the only accesses to a PDU's bytes
        "Sources/BlockStore/Image/", "Sources/BlockStore/Disk/", "Sources/BlockStore/Serve/",  // the data path
        "Sources/BlockStore/Source/",  // disks copied whole
        "Sources/Manifest/YAMLReader.swift",  // libyaml's events
        "Sources/Manifest/EqualEnds.swift",  // memcmp of whole texts
    ]

    /// Where pointers are handed on without being looked into.
    static let naming = ["Sources/ISCSI/"]

    static func isRaw(_ word: String, mayNamePointers: Bool) -> Bool {
        if accesses.contains(word) || word.hasPrefix("withUnsafe") { return true }
        return !mayNamePointers && (word.hasPrefix("Unsafe") || word == "OpaquePointer" || word == "Unmanaged")
    }

    private static let accesses: Set = [
        "unsafeBitCast", "unsafeDowncast", "unsafelyUnwrapped", "assumingMemoryBound", "bindMemory",
        "withMemoryRebound",
        "loadUnaligned", "storeBytes", "copyMemory", "initializeMemory", "baseAddress",
    ]

    /// `try!`, `as!`, `value!` and `Type!`.
    static func forced(_ code: [Token]) -> [(Int, String)] {
        code.indices.dropFirst().compactMap { index in
            guard code[index].isSign("!"), code[index].isAttached else { return nil }
            let before = code[index - 1]
            // `!=` and a `!` before a value belong to no value on their left.
            if index + 1 < code.count, code[index + 1].isSign("="), code[index + 1].isAttached { return nil }
            switch before.kind {
            case .word: return keywordsBeforeNot.contains(before.text) ? nil : (before.line, "\(before.text)!")
            case .sign: return [")", "]", "}", ">", "?"].contains(before.text) ? (before.line, "\(before.text)!") : nil
            case .text: return (before.line, "\"…\"!")
            case .comment: return nil
            }
        }
    }

    private static let keywordsBeforeNot: Set = [
        "return", "in", "case", "if", "guard", "while", "else", "await", "where",
    ]

    /// `fatalError(…)`, and the C function `abort()`, which unlike others of that name takes nothing.
    static func fatal(_ code: [Token]) -> [(Int, String)] {
        code.indices.dropLast(2).filter { index in
            guard code[index + 1].isSign("("), !(index > 0 && code[index - 1].isWord("func")) else { return false }
            return code[index].isWord("fatalError") || code[index].isWord("abort") && code[index + 2].isSign(")")
        }.map { (code[$0].line, code[$0].text) }
    }

    static func unchecked(_ file: SourceFile) -> [(Int, String)] {
        file.tokens.indices.compactMap { index in
            let token = file.tokens[index]
            let isUnsafe = token.isWord("unsafe") && index > 1 && file.tokens[index - 2].isWord("nonisolated")
            let isUnchecked = token.isWord("unchecked") && index > 0 && file.tokens[index - 1].isSign("@")
            guard isUnchecked || isUnsafe else { return nil }
            let comments = file.tokens.filter { $0.kind == .comment && (token.line - 8...token.line).contains($0.line) }
            let isReasoned = comments.contains { comment in
                comment.text.contains(token.text) || comment.text.contains("Sendable") || isUnsafe
            }
            return isReasoned ? nil : (token.line, token.text)
        }
    }
}
