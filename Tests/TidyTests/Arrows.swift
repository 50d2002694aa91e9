extension Rule {
    /// Who may import whom. `Package.swift` says what a target can reach, this says what it should.
    static let arrows = [
        Rule(
            "imports follow the arrows",
            remedy: "imports go down only; see the table in Tests/TidyTests/Arrows.swift and the map in ARCHITECTURE.md"
        ) { file in
            guard file.isProduct, file.isSwift else { return [] }
            guard let allowed = Arrows.allowed[file.module] else {
                return [(1, "the module '\(file.module)' is not in the table of arrows")]
            }
            return Arrows.imports(of: file).filter {
                !allowed.contains($0.module) && !Arrows.everywhere.contains($0.module)
            }
            .map { ($0.line, "\(file.module) imports \($0.module)") }
        },
        Rule("tests are written with Swift Testing", remedy: "import Testing, not XCTest") { file in
            guard file.isTest else { return [] }
            return Arrows.imports(of: file).filter { $0.module == "XCTest" }.map { ($0.line, "imports XCTest") }
        },
    ]
}

/// The table of import arrows.
enum Arrows {
    /// Parts of the platform that any module may use.
    static let everywhere: Set<String> = ["Glibc", "Swift", "Synchronization", "SystemPackage"]

    private static let kinds: Set<String> = ["Capabilities", "Manifest", "Netlink", "Reconcile", "Rules", "Syscall"]

    static let allowed: [String: Set<String>] = [
        // Row 1.
        "Syscall": ["CLinux"],
        "Manifest": ["CYaml", "Yams"],
        "ISCSI": ["CLinux", "Crypto"],
        // Row 2.
        "Netlink": ["CNetlink", "Syscall"],
        "Reconcile": ["Manifest"],
        "IOLoop": ["CLinux", "Collections", "HeapModule", "Syscall"],
        // Row 3.
        "Rules": ["Netlink", "Reconcile", "Syscall"],
        "Capabilities": ["CNetlink", "Netlink", "Syscall"],
        // Row 4: they never import each other.
        "VSwitch": kinds,
        "VRouter": kinds,
        "BlockStore": [
            "CLinux", "Collections", "Crypto", "DequeModule", "Dispatch", "IOLoop", "ISCSI", "Logging", "Manifest",
            "Reconcile", "Syscall",
        ],
        // Row 5: knows everything but the C modules, libnftnl and libyaml.
        "sdagent": [
            "ArgumentParser", "BlockStore", "Capabilities", "FoundationEssentials", "HTTPTypes", "Hummingbird",
            "HummingbirdCore", "IOLoop", "ISCSI", "Logging", "Manifest", "Metrics", "NIOCore", "NIOHTTP1", "NIOPosix",
            "Netlink", "Reconcile", "Rules", "ServiceLifecycle", "Syscall", "UnixSignals", "VRouter", "VSwitch",
        ],
    ]

    /// The modules that a file imports, with their lines. `import struct M.T` counts as M.
    static func imports(of file: SourceFile) -> [(module: String, line: Int)] {
        let code = file.code
        let kinds: Set = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        return code.indices.compactMap { index in
            guard code[index].isWord("import") else { return nil }
            var next = index + 1
            if next < code.count, kinds.contains(code[next].text) { next += 1 }
            guard next < code.count, code[next].kind == .word else { return nil }
            return (code[next].text, code[index].line)
        }
    }
}
