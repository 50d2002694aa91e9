import FoundationEssentials
import Reconcile

/// What the daemon has done since it started, and its text for Prometheus (exposition format 0.0.4).
struct Tally: Sendable {
    private var looks = 0
    private var changes: [String: Int] = ["done": 0, "failed": 0, "skipped": 0]

    mutating func count(_ report: ApplyReport) {
        looks += 1
        count(report.performed)
    }

    /// What was done without a look at the whole node.
    mutating func count(_ performed: [ResourceID: StepResult]) {
        for result in performed.values {
            switch result {
            case .performed(.done): changes["done", default: 0] += 1
            case .performed(.failed), .performed(.stale): changes["failed", default: 0] += 1
            case .skipped: changes["skipped", default: 0] += 1
            }
        }
    }

    func text(statuses: [ResourceStatus], failures: Int, isManifestBroken: Bool, looked: Date?) -> String {
        let pairs = statuses.map { (Pair(kind: $0.id.kind, state: $0.state.rawValue), 1) }
        let counts = Dictionary(pairs, uniquingKeysWith: +)
        var lines = ["# HELP sdagent_resources Resources by kind and state.", "# TYPE sdagent_resources gauge"]
        for (pair, count) in counts.sorted(by: { ($0.key.kind, $0.key.state) < ($1.key.kind, $1.key.state) }) {
            lines.append("sdagent_resources{kind=\"\(pair.kind)\",state=\"\(pair.state)\"} \(count)")
        }
        lines += ["# HELP sdagent_changes_total Changes attempted, by result.", "# TYPE sdagent_changes_total counter"]
        lines += changes.sorted { $0.key < $1.key }.map { "sdagent_changes_total{result=\"\($0.key)\"} \($0.value)" }
        lines += Self.metric("sdagent_reconciliations_total", "counter", "Looks at the whole node.", "\(looks)")
        lines += Self.metric("sdagent_unobservable_kinds", "gauge", "Kinds that could not be looked at.", "\(failures)")
        let broken = isManifestBroken ? "1" : "0"
        lines += Self.metric("sdagent_manifest_broken", "gauge", "1 where a newer manifest was not taken over.", broken)
        if let looked {
            let seconds = Int(looked.timeIntervalSince1970)
            lines += Self.metric("sdagent_looked_timestamp_seconds", "gauge", "When the last look ended.", "\(seconds)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private struct Pair: Hashable {
        let kind: String
        let state: String
    }

    private static func metric(_ name: String, _ type: String, _ help: String, _ value: String) -> [String] {
        ["# HELP \(name) \(help)", "# TYPE \(name) \(type)", "\(name) \(value)"]
    }
}
