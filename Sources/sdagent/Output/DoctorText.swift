import Manifest

/// The doctor's findings as a person reads them: a line each, the command that mends it below.
struct DoctorText: Sendable {
    /// Whether what is fine is named, and not only counted.
    var all = false

    func render(_ document: DoctorDocument) -> String {
        var lines: [String] = []
        for section in Finding.Section.allCases {
            let findings = document.findings.filter { $0.section == section }
            guard !findings.isEmpty else { continue }
            if !lines.isEmpty { lines.append("") }
            lines.append(Self.title(section, document.kernel))
            lines += self.lines(findings)
        }
        lines += ["", Self.summary(document)]
        return lines.joined(separator: "\n") + "\n"
    }

    private func lines(_ findings: [Finding]) -> [String] {
        let shown = Finding.Standing.allCases.reversed().flatMap { standing in
            findings.filter { $0.standing == standing && (all || standing != .fine) }
        }
        var lines: [String] = []
        for finding in shown {
            let consequence = finding.consequence.isEmpty ? "" : ": \(finding.consequence)"
            lines.append("  \(Self.sign(finding.standing)) \(Printable.text(finding.what + consequence))")
            if let remedy = finding.remedy { lines.append("      \(Printable.text(remedy))") }
        }
        let rest = findings.count - shown.count
        switch (rest, shown.isEmpty) {
        case (0, _): break
        case (1, true): lines.append("  1 thing looked at: fine")
        case (_, true): lines.append("  \(rest) things looked at: all fine")
        case (_, false): lines.append("  … and \(rest) more that \(rest == 1 ? "is" : "are") fine")
        }
        return lines
    }

    private static func title(_ section: Finding.Section, _ kernel: String) -> String {
        switch section {
        case .kernel: "This kernel (Linux \(Printable.text(kernel)))"
        case .node: "This node"
        case .storage: "Storage"
        case .manifest: "Manifest"
        }
    }

    private static func sign(_ standing: Finding.Standing) -> String {
        switch standing {
        case .fine: "+"
        case .note: "i"
        case .fallback: "~"
        case .missing: "-"
        case .unknown: "?"
        case .mend: "!"
        }
    }

    /// The last line. Its beginning is stable: "Nothing to mend", "N to mend" or "Not all could be looked at".
    static func summary(_ document: DoctorDocument) -> String {
        func count(_ standing: Finding.Standing) -> Int { document.summary[standing.rawValue] ?? 0 }
        var parts: [String] = []
        if count(.unknown) > 0 { parts.append("\(count(.unknown)) not looked at") }
        if count(.missing) > 0 { parts.append("\(count(.missing)) missing and not asked for") }
        if count(.fallback) > 0 { parts.append("\(count(.fallback)) with a fallback") }
        if count(.note) > 0 { parts.append("\(count(.note)) to know") }
        let head =
            if count(.mend) > 0 {
                "\(count(.mend)) to mend"
            } else {
                count(.unknown) > 0 ? "Not all could be looked at" : "Nothing to mend"
            }
        return head + (parts.isEmpty ? "" : "; " + parts.joined(separator: ", ")) + "."
    }
}
