internal import Syscall
internal import SystemPackage

/// What an earlier process found out about this kernel, in a file that only root can write.
///
/// It holds for one boot, one program and one set of modules; a record of anything else says nothing, and neither does
/// one that is not whole. It is a shortcut: a node that cannot keep one is tried at every start.
struct CapabilityRecord: Sendable {
    let path: FilePath

    /// The length of a record, in bytes, with some hundred modules, is 3 KB.
    private static let limit = 1 << 17
    private static let end = "end"

    /// What is kept: what is tried in a namespace. The devices of the node are looked at every time.
    static let kept = Capability.allCases.filter { !NodeProbes.covers.contains($0) }

    /// The answers that were kept under these circumstances; nil without a record that can be trusted.
    func read(_ circumstances: KernelIdentity) -> Answers? {
        guard let text = trusted(), text.hasPrefix(circumstances.text + "\n") else { return nil }
        var lines = text.dropFirst(circumstances.text.count + 1).split(separator: "\n")
        guard lines.popLast() == Self.end[...], lines.count == Self.kept.count else { return nil }
        var answers: Answers = [:]
        for line in lines {
            let words = line.split(separator: " ")
            guard words.count == 2, let capability = Capability(rawValue: String(words[0])) else { return nil }
            switch words[1] {
            case "native": answers[capability] = .native
            case "missing": answers[capability] = .missing(option: capability.facts.option)
            default: return nil
            }
        }
        return Self.kept.allSatisfy { answers[$0] != nil } ? answers : nil
    }

    /// Keeps the answers, so that a reader sees all of them or those before.
    ///
    /// - Returns: whether there was anything to keep: an answer that may be another in a moment is not.
    @discardableResult
    func write(_ answers: Answers, _ circumstances: KernelIdentity) throws(Errno) -> Bool {
        var text = circumstances.text + "\n"
        for capability in Self.kept {
            switch answers[capability] {
            case .native: text += "\(capability.rawValue) native\n"
            case .missing: text += "\(capability.rawValue) missing\n"
            case .fallback, .unloaded, .unknown, nil: return false
            }
        }
        try replace(with: Array((text + Self.end + "\n").utf8))
        return true
    }

    /// The text of a file of root's alone, in a folder in which only root makes names.
    private func trusted() -> String? {
        do throws(Errno) {
            guard let folder = try File.status(of: path.removingLastComponent()), folder.kind == .directory,
                folder.owner == 0, folder.permissions & 0o022 == 0,
                try File.status(of: path)?.kind == .file
            else { return nil }
            let file = try File.open(path, .read)
            let status = try File.status(file)
            guard status.kind == .file, status.owner == 0, status.permissions & 0o077 == 0 else { return nil }
            let bytes = try File.read(file, count: min(Int(clamping: status.length), Self.limit), at: 0)
            return String(validating: bytes, as: UTF8.self)
        } catch {
            // Most often there is none yet; whatever else it is, trying takes its place.
            return nil
        }
    }

    private func replace(with bytes: [UInt8]) throws(Errno) {
        let folder = path.removingLastComponent()
        do throws(Errno) { try File.makeDirectory(folder, permissions: 0o755) } catch .fileExists {}
        let temporary = folder.appending(".capabilities.\(OwnProcess.id)")
        // One of a process of this number that has died.
        do throws(Errno) { try File.remove(temporary) } catch .noSuchFileOrDirectory {}
        // It need not outlive a power cut, after which another boot has begun.
        let file = try File.open(temporary, .createNew(permissions: 0o600))
        do throws(Errno) {
            try File.write(file, bytes, at: 0)
            try File.rename(temporary, to: path)
        } catch {
            try File.remove(temporary)
            throw error
        }
    }
}

/// What the answers depend on, as a text to compare.
struct KernelIdentity: Hashable, Sendable {
    let text: String

    init(text: String) { self.text = text }

    /// Those of this moment.
    ///
    /// - Throws: where /proc does not tell.
    static func now(_ release: String) throws(Errno) -> KernelIdentity {
        let program = try File.status(try File.open("/proc/self/exe", .read))
        let lines = [
            "sdagent capabilities 1",
            "boot \(try Sysctl.read("kernel/random/boot_id"))",
            "kernel \(release) \(try Sysctl.read("kernel/version"))",
            "program \(program.device) \(program.inode) \(program.length) \(program.modified)",
            "rights \(try File.target(of: "/proc/self/ns/user")?.string ?? "all")",
            "modules \(try loadedModules().joined(separator: " "))",
            "files \(try modules(of: release))",
        ]
        return KernelIdentity(text: lines.joined(separator: "\n"))
    }

    /// What is loaded, sorted: the first word of each line (proc(5)). A kernel without modules has no such file.
    private static func loadedModules() throws(Errno) -> [String] {
        do throws(Errno) {
            let text = try File.readToEnd(try File.open("/proc/modules", .read), limit: 1 << 20)
            return String(decoding: text, as: UTF8.self).split(separator: "\n")
                .compactMap { $0.split(separator: " ").first.map(String.init) }.sorted()
        } catch .noSuchFileOrDirectory {
            return []
        }
    }

    /// Changes with what modprobe could load.
    private static func modules(of release: String) throws(Errno) -> String {
        let list = FilePath("/lib/modules/\(release)/modules.dep")
        do throws(Errno) {
            let status = try File.status(try File.open(list, .read))
            return "\(status.length) \(status.modified)"
        } catch .noSuchFileOrDirectory {
            return "none"
        }
    }
}
