import Manifest

/// A plan as a person reads it. The form is stable: scripts may match it, golden files keep it.
public struct PlanText: Sendable {
    /// How many changes of one kind and word are shown one by one before the rest is only counted; nil shows all.
    public var limit: Int?

    /// Whether the changes lie ahead ("create") or are done ("created").
    public var tense: Tense

    public enum Tense: Sendable { case future, past }

    public init(limit: Int? = 20, tense: Tense = .future) {
        self.limit = limit
        self.tense = tense
    }

    /// The whole text, with a line end after its last line.
    public func render(_ plan: Plan) -> String {
        var lines = lines(plan.changes)
        for failure in plan.failures { lines.append("  ! \(failure.kind): cannot be looked at: \(failure.reason)") }
        if !lines.isEmpty { lines.append("") }
        lines.append(Self.summary(plan))
        return lines.joined(separator: "\n") + "\n"
    }

    /// The changes one by one, without line ends.
    public func lines(_ changes: [PlannedChange]) -> [String] {
        var lines: [String] = []
        let shown = changes.filter { $0.change != .none }
        var index = shown.startIndex
        while index < shown.endIndex {
            let first = shown[index]
            let end = shown[index...].firstIndex { !Self.alike($0, first) } ?? shown.endIndex
            append(Array(shown[index..<end]), to: &lines)
            index = end
        }
        return lines
    }

    private static func alike(_ left: PlannedChange, _ right: PlannedChange) -> Bool {
        left.id.kind == right.id.kind && left.change.word == right.change.word
    }

    private func append(_ run: [PlannedChange], to lines: inout [String]) {
        // Cutting a run by one or two lines would tell less in the same space.
        let count = limit.map { run.count > $0 + 2 ? $0 : run.count } ?? run.count
        let width = run.prefix(count).map(\.id.description.count).max() ?? 0
        for planned in run.prefix(count) {
            let id = planned.id.description
            let padding = String(repeating: " ", count: width - id.count + 2)
            let reason = planned.change.reason.map { ": " + Printable.text($0) } ?? ""
            lines.append("  \(Self.sign(planned.change)) \(id)\(padding)\(word(planned.change))\(reason)")
            lines += Self.fields(planned.change.fields)
            lines += planned.disruption.map { "        ! " + Printable.text($0) }
        }
        if count < run.count {
            let link = tense == .future ? "to " : ""
            let rest = "… and \(run.count - count) more \(run[0].id.kind)"
            lines.append("  \(Self.sign(run[0].change)) \(rest) \(link)\(word(run[0].change))")
            // Who loses something is never left out.
            for planned in run.dropFirst(count) {
                lines += planned.disruption.map { "        ! \(planned.id): " + Printable.text($0) }
            }
        }
    }

    /// "create", or "created" where it is done.
    private func word(_ change: Change) -> String {
        guard tense == .past, change.isPending else { return change.word }
        // All four end in "e".
        return change.word + "d"
    }

    private static func fields(_ fields: [FieldChange]) -> [String] {
        let width = fields.map(\.field.count).max() ?? 0
        return fields.map { field in
            let name = field.field + String(repeating: " ", count: width - field.field.count)
            // A value is the manifest's or the node's: a line end in it must not begin a line of the plan.
            switch (field.from.map { Printable.text($0) }, field.to.map { Printable.text($0) }) {
            case (let from?, let to?): return "        \(name)  \(from) → \(to)"
            case (nil, let to?): return "        \(name)  \(to)"
            case (let from?, nil): return "        \(name)  \(from) → none"
            case (nil, nil): return "        \(name)"
            }
        }
    }

    private static func sign(_ change: Change) -> String {
        switch change {
        case .none: " "
        case .create: "+"
        case .update: "~"
        case .replace: "±"
        case .delete: "-"
        case .orphan: "?"
        case .waiting: "…"
        case .degraded, .conflict, .unsupported: "!"
        }
    }

    /// The last line: what an apply would do, in numbers.
    public static func summary(_ plan: Plan) -> String {
        let words = ["create", "update", "replace", "delete"]
        var counts: [String: Int] = [:]
        for planned in plan.changes { counts[planned.change.word, default: 0] += 1 }
        var parts = words.compactMap { word in counts[word].map { "\($0) to \(word)" } }
        if parts.isEmpty { parts = ["no changes"] }
        var notes: [String] = []
        if let waiting = counts["waiting"] { notes.append("\(waiting) waiting for `sdagent run`") }
        if let orphans = counts["orphan"] { notes.append("\(orphans) kept as orphan\(orphans == 1 ? "" : "s")") }
        if let degraded = counts["degraded"] { notes.append("\(degraded) degraded") }
        let refused = (counts["conflict"] ?? 0) + (counts["unsupported"] ?? 0) + plan.failures.count
        if refused > 0 { notes.append("\(refused) that cannot be done") }
        let text = parts.joined(separator: ", ") + (notes.isEmpty ? "" : "; " + notes.joined(separator: ", "))
        return "Plan: \(text)."
    }
}
