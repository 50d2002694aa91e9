import Logging
import Manifest
import Reconcile
import Synchronization

/// What the daemon tells its log: one notice for each change made, each trouble once until it changes.
final class Journal: Sendable {
    private let logger: Logger
    /// What was last said of a resource in trouble.
    private let troubles = Mutex<[ResourceID: String]>([:])

    init(_ logger: Logger) { self.logger = logger }

    /// - Parameter isDrift: the node was as it should be before, and the manifest has not changed since.
    func performed(_ id: ResourceID, _ change: Change, _ outcome: StepOutcome, isDrift: Bool) {
        guard outcome == .done else { return }
        let fields = change.fields.prefix(8).map { field in
            // Without an old value the new one says it all.
            guard let from = field.from else { return field.to.map { "\(field.field) \($0)" } ?? field.field }
            return "\(field.field) \(from) → \(field.to ?? "none")"
        }
        let isNew = if case .create = change { true } else { false }
        let detail = isNew || fields.isEmpty ? "" : " (\(fields.joined(separator: ", ")))"
        let reason = change.reason.map { ": \($0)" } ?? ""
        // All four pending words end in "e".
        logger.notice("\(isDrift ? "drift repaired: " : "")\(change.word)d \(id)\(reason)\(detail)")
    }

    /// After a look: troubles that are new or have changed, and those that are over.
    func ended(_ report: ApplyReport) {
        var current: [ResourceID: String] = [:]
        for status in report.statuses where status.state.isTrouble {
            current[status.id] = "\(status.state.rawValue): \(status.detail)"
        }
        for failure in report.after.failures {
            current[ResourceID(failure.kind, "*")] = "cannot be looked at: \(failure.reason)"
        }
        let known = troubles.withLock { troubles in
            let known = troubles
            troubles = current
            return known
        }
        for (id, words) in current.sorted(by: { $0.key < $1.key }) where known[id] != words {
            logger.error("\(id) \(words)")
        }
        for id in known.keys.sorted() where current[id] == nil { logger.notice("\(id) is well again") }
    }

    func taken(_ manifest: LoadedManifest, resources: Int) {
        let files = manifest.sources.map(\.file).joined(separator: ", ")
        logger.notice("the desired state is \(files): \(resources) resource\(resources == 1 ? "" : "s")")
    }

    func broken(_ mistakes: ManifestMistakes, isLastGoodKept: Bool) {
        logger.error("the manifest has mistakes\(isLastGoodKept ? "; the last good one is kept" : "")")
        for line in mistakes.description.split(separator: "\n") { logger.error("  \(line)") }
    }

    func recovered() {
        logger.warning("the last manifest that was in force is taken from the state folder")
    }

    func unkept(_ error: any Error) {
        logger.warning("the manifest is in force but could not be kept for history: \(error)")
    }

    func waiting(for holder: String) {
        logger.notice("waiting for \(holder), which is changing this node")
    }
}
