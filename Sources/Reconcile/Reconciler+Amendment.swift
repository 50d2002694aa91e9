/// The short way, for a manifest that asks little otherwise than the one before, on a node that is as that one says.
extension Reconciler {
    /// What an amended manifest takes, as far as it can be said without a look at the whole node.
    ///
    /// It is for a node that was as `revision` had it when it was last looked at. Another look has to follow: it finds
    /// what nobody has told of.
    ///
    /// - Returns: nil where it takes a look to say, also where a kind cannot be asked: the look will tell why.
    public func prepare(_ revision: Revision) -> PreparedAmendment? {
        var runs: [PreparedAmendment.Run] = []
        for kind in kinds {
            guard let found = try? Self.run(kind, revision) else { return nil }
            runs += found
        }
        return PreparedAmendment(runs: runs, desired: revision.desired, progress: progress)
    }

    /// - Returns: nil where the kind has to look; none where there is nothing to do.
    private static func run<Kind: ResourceKind>(
        _ kind: Kind, _ revision: Revision
    ) throws -> [PreparedAmendment.Run]? {
        let changes = revision.changes(of: Kind.self)
        guard !changes.isEmpty else { return [] }
        guard let steps = try kind.steps(for: changes) else { return nil }
        guard !steps.isEmpty else { return [] }
        return [
            PreparedAmendment.Run { desired in
                let outcomes = await kind.perform(steps, desired: desired)
                // Whom it disturbs is told afterwards: to say so may take a look at everybody.
                let planned = steps.map {
                    PlannedChange(
                        Kind.id($0.name), $0.change,
                        disruption: kind.disruption($0.change, spec: $0.spec, observation: $0.observation))
                }
                return Array(zip(planned, outcomes))
            }
        ]
    }
}

/// The steps of an amendment, kind by kind.
public struct PreparedAmendment: Sendable {
    fileprivate struct Run: Sendable {
        let perform: @Sendable (Desired) async -> [(PlannedChange, StepOutcome)]
    }

    fileprivate let runs: [Run]
    fileprivate let desired: Desired
    fileprivate let progress: @Sendable (ResourceID, Change, StepOutcome) -> Void

    /// Performs them. What comes later stands on what comes first: with a step that fails it ends.
    public func perform() async -> AmendmentReport {
        var report = AmendmentReport()
        for run in runs where report.isDone {
            for (change, outcome) in await run.perform(desired) {
                report.add(change, outcome)
                progress(change.id, change.change, outcome)
            }
        }
        return report
    }
}

/// What an amendment has done.
public struct AmendmentReport: Sendable {
    /// What was attempted, in its order.
    public private(set) var changes: [PlannedChange] = []
    public private(set) var performed: [ResourceID: StepResult] = [:]

    fileprivate mutating func add(_ change: PlannedChange, _ outcome: StepOutcome) {
        changes.append(change)
        performed[change.id] = .performed(outcome)
    }

    /// Whether all of it is done, so that the node is as the manifest says.
    public var isDone: Bool { performed.values.allSatisfy { $0 == .performed(.done) } }
}
