/// One line of a plan.
public struct PlannedChange: Hashable, Sendable {
    public let id: ResourceID
    public let change: Change
    /// What it does to those who use the resource now, a line each.
    public let disruption: [String]
    /// What is to be known of it where it is as asked.
    public let remark: String?

    public init(_ id: ResourceID, _ change: Change, disruption: [String] = [], remark: String? = nil) {
        self.id = id
        self.change = change
        self.disruption = disruption
        self.remark = remark
    }
}

/// A kind that could not be looked at, and why.
public struct ObservationFailure: Hashable, Sendable {
    public let kind: String
    public let reason: String

    public init(kind: String, reason: String) {
        self.kind = kind
        self.reason = reason
    }
}

/// The difference between the manifest and the node, in the order in which it would be performed.
public struct Plan: Hashable, Sendable {
    /// Every resource that is named or ours, changes and `none` alike: deletions (the last kind first), then the rest.
    public let changes: [PlannedChange]
    /// Kinds that could not be looked at: nothing is known of their resources, and nothing of theirs is touched.
    public let failures: [ObservationFailure]

    public init(changes: [PlannedChange], failures: [ObservationFailure] = []) {
        self.changes = changes
        self.failures = failures
    }

    /// The changes that an apply would perform.
    public var pending: [PlannedChange] { changes.filter(\.change.isPending) }

    /// The wishes that cannot be met as things stand.
    public var refusals: [PlannedChange] { changes.filter(\.change.isRefusal) }

    /// The exit code of `sdagent plan`: 1 if a wish cannot be met or a look failed, 2 if changes are pending, else 0.
    public var exitCode: Int32 {
        if !failures.isEmpty || !refusals.isEmpty { return 1 }
        return pending.isEmpty ? 0 : 2
    }
}
