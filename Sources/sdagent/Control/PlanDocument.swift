import Reconcile

/// A plan as JSON: what `plan --output json` prints and `POST /v1/plan` answers. Its form is stable: fields are only
/// added.
struct PlanDocument: Codable, Hashable, Sendable {
    /// What differs, in the order in which it would be performed.
    let changes: [ChangeDocument]
    /// Resources that are as the manifest says.
    let unchanged: Int
    /// Kinds that could not be looked at.
    let failures: [FailureDocument]
    /// What `sdagent plan` exits with: 0 nothing to do, 2 changes pending, 1 something cannot be done.
    let exitCode: Int32

    init(_ plan: Plan) {
        changes = plan.changes.filter { $0.change != .none }.map { ChangeDocument($0) }
        unchanged = plan.changes.count - changes.count
        failures = plan.failures.map(FailureDocument.init)
        exitCode = plan.exitCode
    }

    /// The plan again, without what is unchanged.
    var plan: Plan {
        Plan(
            changes: changes.compactMap(\.planned),
            failures: failures.map { ObservationFailure(kind: $0.kind, reason: $0.reason) })
    }
}

/// One change of a plan or an apply.
struct ChangeDocument: Codable, Hashable, Sendable {
    /// `kind/name`.
    let id: String
    let kind: String
    let name: String
    /// One of create, update, replace, delete, orphan, waiting, conflict, unsupported.
    let change: String
    /// Why, where the change carries a reason.
    let reason: String?
    let fields: [FieldChange]
    /// What it does to those who use the resource now, a line each; absent where nobody notices.
    let disruption: [String]?
    /// In the answer to an apply: one of done, failed, skipped; absent where nothing was to be attempted.
    let result: String?
    /// Why it failed or was skipped, and what to do.
    let detail: String?

    init(_ planned: PlannedChange, result: StepResult? = nil) {
        id = planned.id.description
        kind = planned.id.kind
        name = planned.id.name
        change = planned.change.word
        reason = planned.change.reason
        fields = planned.change.fields
        disruption = planned.disruption.isEmpty ? nil : planned.disruption
        switch result {
        case nil: (self.result, detail) = (nil, nil)
        case .performed(.done): (self.result, detail) = ("done", nil)
        case .performed(.failed(let why)), .performed(.stale(let why)): (self.result, detail) = ("failed", why)
        case .skipped(let needed):
            (self.result, detail) = ("skipped", "it stands on \(needed), which is not as asked")
        }
    }

    /// The change again; nil where a newer daemon speaks of a change that this program does not know.
    var planned: PlannedChange? {
        let id = ResourceID(kind, name)
        let why = reason ?? ""
        let known: Change
        switch change {
        case "create": known = .create(fields)
        case "update": known = .update(fields)
        case "replace": known = .replace(reason: why, fields)
        case "delete": known = .delete
        case "orphan": known = .orphan(reason: why)
        case "degraded": known = .degraded(reason: why)
        case "waiting": known = .waiting(reason: why)
        case "conflict": known = .conflict(reason: why)
        case "unsupported": known = .unsupported(reason: why)
        default: return nil
        }
        return PlannedChange(id, known, disruption: disruption ?? [])
    }
}

/// A kind that could not be looked at.
struct FailureDocument: Codable, Hashable, Sendable {
    let kind: String
    let reason: String

    init(_ failure: ObservationFailure) {
        kind = failure.kind
        reason = failure.reason
    }
}
