/// One thing that the doctor has looked at.
struct Finding: Codable, Hashable, Sendable {
    /// Where it belongs on the page.
    enum Section: String, Codable, CaseIterable, Sendable { case kernel, node, storage, manifest }

    /// How much it matters.
    enum Standing: String, Codable, CaseIterable, Sendable {
        /// As it should be.
        case fine
        /// Worth knowing; nothing here suffers from it now.
        case note
        /// The kernel lacks it, and something else takes its place.
        case fallback
        /// The kernel lacks it, and nothing that is asked for needs it.
        case missing
        /// It could not be looked at.
        case unknown
        /// Something that is asked for does not work, or will not: mend it.
        case mend
    }

    let section: Section
    let standing: Standing
    /// What was looked at, and what was seen.
    let what: String
    /// What follows from it; empty where nothing does.
    let consequence: String
    /// A command to type; nil where there is none.
    let remedy: String?

    init(
        _ section: Section, _ standing: Standing, _ what: String, _ consequence: String = "", remedy: String? = nil
    ) {
        self.section = section
        self.standing = standing
        self.what = what
        self.consequence = consequence
        self.remedy = remedy
    }
}

/// What `doctor --output json` prints. Its form is stable: fields are only added.
struct DoctorDocument: Codable, Hashable, Sendable {
    /// The kernel's release.
    let kernel: String
    let findings: [Finding]
    /// How many findings are of each standing.
    let summary: [String: Int]
    /// What `sdagent doctor` exits with: 0 nothing to mend, 1 something to mend, or something could not be looked at.
    let exitCode: Int32

    init(kernel: String, findings: [Finding]) {
        self.kernel = kernel
        self.findings = findings
        summary = Dictionary(findings.map { ($0.standing.rawValue, 1) }, uniquingKeysWith: +)
        exitCode = findings.contains { $0.standing == .mend || $0.standing == .unknown } ? 1 : 0
    }
}
