import Reconcile

/// An apply as a person reads it: what was done on standard output, what went wrong on standard error.
struct ApplyText: Sendable {
    /// As in `PlanText`.
    var limit: Int? = 20

    /// What was done, change by change, and the sum in one line.
    func render(_ apply: ApplyDocument) -> String {
        let done = apply.changes.filter { $0.result == "done" }.compactMap(\.planned)
        var lines = PlanText(limit: limit, tense: .past).lines(done)
        if !lines.isEmpty { lines.append("") }
        lines.append(Self.summary(apply))
        return lines.joined(separator: "\n") + "\n"
    }

    /// What is not as the manifest says, one line each and the remedy in it, and the note; empty where all is well.
    func renderTroubles(_ apply: ApplyDocument) -> String {
        var lines = apply.failures.map { "sdagent: \($0.kind): cannot be looked at: \($0.reason)" }
        let count = limit.map { apply.troubles.count > $0 + 2 ? $0 : apply.troubles.count } ?? apply.troubles.count
        lines += apply.troubles.prefix(count).map { "sdagent: \($0.id): \($0.state): \($0.detail)" }
        if count < apply.troubles.count {
            lines.append("sdagent: … and \(apply.troubles.count - count) more; `sdagent status` names them all")
        }
        if let note = apply.note { lines.append("sdagent: note: \(note)") }
        return lines.map { $0 + "\n" }.joined()
    }

    /// The last line. Its beginning is stable: "No changes:", "Applied:" or "Not applied:".
    static func summary(_ apply: ApplyDocument) -> String {
        let done = counts(apply.changes.filter { $0.result == "done" }.map(\.change))
        let parts = ["create", "update", "replace", "delete"].compactMap { word in done[word].map { "\($0) \(word)d" } }
        let troubles = counts(apply.troubles.map(\.state))
        var notes = ["failed", "skipped", "conflict", "unsupported", "pending"].compactMap { state in
            troubles[state].map { "\($0) \(state)" }
        }
        if !apply.failures.isEmpty { notes.append("\(apply.failures.count) kinds could not be looked at") }
        let kept = aside(apply)
        switch (parts.isEmpty, notes.isEmpty) {
        case (true, true): return "No changes: the node is as the manifest says.\(kept)"
        case (true, false): return "Not applied: \(notes.joined(separator: ", ")).\(kept)"
        case (false, true): return "Applied: \(parts.joined(separator: ", ")).\(kept)"
        case (false, false):
            return "Applied: \(parts.joined(separator: ", ")); \(notes.joined(separator: ", ")).\(kept)"
        }
    }

    /// What is no trouble and yet no resource at work.
    private static func aside(_ apply: ApplyDocument) -> String {
        let words = counts(apply.changes.map(\.change))
        var text = ""
        if let waiting = words["waiting"] { text += " \(waiting) waiting for `sdagent run`." }
        if let degraded = words["degraded"] { text += " \(degraded) degraded." }
        if let orphans = words["orphan"] { text += " \(orphans) kept as orphan\(orphans == 1 ? "" : "s")." }
        return text
    }

    private static func counts(_ words: [String]) -> [String: Int] {
        Dictionary(words.map { ($0, 1) }, uniquingKeysWith: +)
    }
}
