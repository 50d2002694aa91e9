/// How one resource stands.
public enum ResourceState: String, Sendable, Codable {
    /// The node shows what the manifest says.
    case converged
    /// A change is known and has not been performed.
    case pending
    /// Only the running daemon can have it.
    case waiting
    /// Ours, no longer named, and kept because it holds data.
    case orphan
    /// As asked, and not working as it should.
    case degraded
    /// Something foreign stands in its place.
    case conflict
    /// This kernel or node cannot have it.
    case unsupported
    /// Attempted, and refused or not as asked afterwards.
    case failed
    /// Not attempted: something that it stands on is missing.
    case skipped

    /// Whether somebody should look at it.
    public var isTrouble: Bool {
        switch self {
        case .converged, .waiting, .orphan: false
        case .pending, .degraded, .conflict, .unsupported, .failed, .skipped: true
        }
    }

    /// Whether the node is not as the manifest says.
    public var isUnmet: Bool { isTrouble && self != .degraded }
}

/// One line of `sdagent status`.
public struct ResourceStatus: Hashable, Sendable, Codable {
    public let id: ResourceID
    public let state: ResourceState
    /// Why it is not converged, and what to do; where it is, by which way, if there are several, or empty.
    public let detail: String

    public init(id: ResourceID, state: ResourceState, detail: String = "") {
        self.id = id
        self.state = state
        self.detail = detail
    }

    /// The status of a resource that differs by `planned`, after an attempt with `result` (nil: none was made).
    public init(_ planned: PlannedChange, result: StepResult? = nil) {
        id = planned.id
        switch planned.change {
        case .none:
            (state, detail) = (.converged, planned.remark ?? "")
        case .orphan(let reason):
            (state, detail) = (.orphan, reason)
        case .degraded(let reason):
            (state, detail) = (.degraded, reason)
        case .waiting(let reason):
            (state, detail) = (.waiting, reason)
        case .conflict(let reason):
            (state, detail) = (.conflict, reason)
        case .unsupported(let reason):
            (state, detail) = (.unsupported, reason)
        case .create, .update, .replace, .delete:
            (state, detail) = Self.unfinished(planned.change, result)
        }
    }

    private static func remainder(_ field: FieldChange) -> String {
        switch (field.from, field.to) {
        case (let from?, let to): "\(field.field) is still \(from), \(to ?? "none") was asked"
        case (nil, let to?): "\(field.field) is still missing, \(to) was asked"
        case (nil, nil): "\(field.field) still differs"
        }
    }

    private static func unfinished(_ change: Change, _ result: StepResult?) -> (ResourceState, String) {
        switch result {
        case nil: (.pending, change.word)
        case .skipped(let needed): (.skipped, "not attempted: it stands on \(needed), which is not as asked")
        case .performed(.failed(let reason)): (.failed, reason)
        case .performed(.stale(let reason)): (.failed, "the node kept changing under the apply: \(reason)")
        case .performed(.done):
            (.failed, "did not converge: \(change.fields.first.map(remainder) ?? "\(change.word) is still to be done")")
        }
    }
}
