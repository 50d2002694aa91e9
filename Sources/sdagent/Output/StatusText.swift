import Reconcile

/// A status as a person reads it: one line for each resource, and the sum.
struct StatusText: Sendable {
    func render(_ status: StatusDocument) -> String {
        var lines: [String] = []
        if !status.resources.isEmpty { lines += table(status.resources) + [""] }
        for failure in status.failures { lines.append("! \(failure.kind): cannot be looked at: \(failure.reason)") }
        if let fault = status.daemon?.manifest.fault {
            lines.append("! A newer manifest was not taken over; the last good one is kept:")
            lines += fault.split(separator: "\n").map { "  \($0)" } + [""]
        }
        if let rules = status.rules { lines.append("Rules: \(Self.words(rules)).") }
        lines.append(Self.summary(status))
        return lines.joined(separator: "\n") + "\n"
    }

    /// The detail begins with the word itself where that tells who: "owned by the daemon".
    private static func words(_ rules: RulesDocument) -> String {
        rules.detail.hasPrefix(rules.protection) ? rules.detail : "\(rules.protection): \(rules.detail)"
    }

    private func table(_ resources: [ResourceDocument]) -> [String] {
        let head = (id: "RESOURCE", state: "STATE", detail: "DETAIL")
        let rows = [head] + resources.map { (id: $0.id, state: $0.state, detail: Self.oneLine($0.detail)) }
        let idWidth = rows.map(\.id.count).max() ?? 0
        let stateWidth = rows.map(\.state.count).max() ?? 0
        return rows.map { row in
            let line = Self.pad(row.id, idWidth) + "  " + Self.pad(row.state, stateWidth) + "  " + row.detail
            return Self.trimmed(line)
        }
    }

    /// The last line: how many are in which state, and who says so.
    static func summary(_ status: StatusDocument) -> String {
        let states: [ResourceState] = [
            .converged, .pending, .waiting, .orphan, .degraded, .conflict, .unsupported, .failed, .skipped,
        ]
        let parts = states.compactMap { state in status.summary[state.rawValue].map { "\($0) \(state.rawValue)" } }
        let count = status.resources.count
        let resources = "\(count) resource\(count == 1 ? "" : "s")" + (parts.isEmpty ? "" : ": ")
        let source =
            if let daemon = status.daemon {
                "Daemon \(daemon.version), pid \(daemon.pid), "
                    + (daemon.looked.map { "looked at \($0)" } ?? "still looking")
            } else {
                "No daemon is running; this is what the command has seen"
            }
        return resources + parts.joined(separator: ", ") + ". " + source + "."
    }

    private static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
