/// What became of one pending change.
public enum StepResult: Hashable, Sendable {
    case performed(StepOutcome)
    /// Not attempted: what it stands on is missing.
    case skipped(because: ResourceID)

    var isSkipped: Bool {
        if case .skipped = self { true } else { false }
    }

    /// Whether another attempt at the same change in the same apply would be the same again.
    var isFinal: Bool {
        switch self {
        case .performed(.done), .performed(.failed): true
        // What it stands on may be there by then.
        case .performed(.stale), .skipped: false
        }
    }
}

/// What one apply found, did and left.
public struct ApplyReport: Hashable, Sendable {
    /// The difference as it was found.
    public let plan: Plan
    /// What was attempted, and what came of it.
    public let performed: [ResourceID: StepResult]
    /// The difference as it is now, by looking again at what was touched.
    public let after: Plan

    public init(plan: Plan, performed: [ResourceID: StepResult], after: Plan) {
        self.plan = plan
        self.performed = performed
        self.after = after
        statuses = after.changes.map { ResourceStatus($0, result: performed.isEmpty ? nil : performed[$0.id]) }
    }

    /// The exit code of `sdagent apply`: 0 where the node is as the manifest says, else 1.
    public var exitCode: Int32 { statuses.contains { $0.state.isUnmet } || !after.failures.isEmpty ? 1 : 0 }

    /// Every resource as it stands after the apply, in the order of kinds and names.
    public let statuses: [ResourceStatus]
}
