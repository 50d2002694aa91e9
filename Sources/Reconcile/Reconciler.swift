/// Makes the node what the manifest says: observe, diff, order, perform, observe again.
///
/// It does no I/O of its own: the kinds do. One reconciliation at a time is the caller's duty.
public struct Reconciler: Sendable {
    /// In the order in which they are made: what others stand on comes first.
    public let kinds: [any ResourceKind]
    /// Told of each performed change as it happens, for a log or a progress line.
    public let progress: @Sendable (ResourceID, Change, StepOutcome) -> Void

    /// How often a plan is made anew after somebody else changed the node in between.
    private static let staleLimit = 3

    public init(
        kinds: [any ResourceKind],
        progress: @escaping @Sendable (ResourceID, Change, StepOutcome) -> Void = { _, _, _ in }
    ) {
        self.kinds = kinds
        self.progress = progress
    }

    /// Looks and compares; touches nothing.
    public func plan(_ desired: Desired) async -> Plan {
        await look(desired, at: Set(kinds.map(\.name))).plan
    }

    /// Performs what differs, once, and looks again at the kinds it touched.
    public func apply(_ desired: Desired) async -> ApplyReport {
        let sight = await look(desired, at: Set(kinds.map(\.name)))
        guard !sight.plan.pending.isEmpty else { return ApplyReport(plan: sight.plan, performed: [:], after: sight.plan) }
        var performed: [ResourceID: StepResult] = [:]
        var current = sight
        for attempt in 1...Self.staleLimit {
            let results = await perform(current, desired)
            performed.merge(results) { _, new in new }
            guard attempt < Self.staleLimit, results.values.contains(where: \.isStale) else { break }
            current = await look(desired, at: Set(kinds.map(\.name)))
        }
        let touched = Set(performed.filter { $0.value != .skipped }.keys.map(\.kind))
        let again = await look(desired, at: touched)
        let untouched = current.plan.changes.filter { !touched.contains($0.id.kind) }
        let after = Plan(
            changes: again.plan.changes + untouched,
            failures: again.plan.failures + current.plan.failures.filter { !touched.contains($0.kind) })
        return ApplyReport(plan: sight.plan, performed: performed, after: after)
    }
}

/// The node as it was seen: a run for each kind that could be looked at.
private struct Sight {
    let runs: [KindRun]
    let plan: Plan
}

extension ResourceKind {
    fileprivate var name: String { Self.name }
}

extension Reconciler {
    private func look(_ desired: Desired, at names: Set<String>) async -> Sight {
        var runs: [KindRun] = []
        var failures: [ObservationFailure] = []
        for kind in kinds where names.contains(kind.name) {
            do {
                runs.append(try await KindRun.look(kind, desired))
            } catch {
                failures.append(ObservationFailure(kind: kind.name, reason: "\(error)"))
            }
        }
        let deletions = runs.reversed().flatMap { $0.changes.reversed().filter { $0.change == .delete } }
        let rest = runs.flatMap { $0.changes.filter { $0.change != .delete } }
        return Sight(runs: runs, plan: Plan(changes: deletions + rest, failures: failures))
    }

    private func perform(_ sight: Sight, _ desired: Desired) async -> [ResourceID: StepResult] {
        var results: [ResourceID: StepResult] = [:]
        // What stands on something that is missing is not attempted.
        var broken = Set(sight.plan.refusals.map(\.id))
        for failure in sight.plan.failures {
            let kind = kinds.first { $0.name == failure.kind }
            if let kind { broken.formUnion(Self.ids(of: kind, desired)) }
        }
        for run in sight.runs.reversed() {
            await perform(run, run.changes.reversed().filter { $0.change == .delete }, desired, &results, &broken)
        }
        for run in sight.runs {
            let chosen = run.changes.filter { $0.change.isPending && $0.change != .delete }
            await perform(run, chosen, desired, &results, &broken)
        }
        return results
    }

    private func perform(
        _ run: KindRun, _ changes: [PlannedChange], _ desired: Desired, _ results: inout [ResourceID: StepResult],
        _ broken: inout Set<ResourceID>
    ) async {
        var chosen: [PlannedChange] = []
        for change in changes {
            if desired.references(of: change.id).contains(where: { broken.contains($0.target) }) {
                results[change.id] = .skipped
                broken.insert(change.id)
            } else {
                chosen.append(change)
            }
        }
        guard !chosen.isEmpty else { return }
        let outcomes = await run.perform(chosen.map(\.id.name), desired)
        for (change, outcome) in zip(chosen, outcomes) {
            results[change.id] = .performed(outcome)
            if outcome != .done { broken.insert(change.id) }
            progress(change.id, change.change, outcome)
        }
    }

    private static func ids<Kind: ResourceKind>(of kind: Kind, _ desired: Desired) -> [ResourceID] {
        desired.specs(of: Kind.self).keys.map(Kind.id)
    }
}
