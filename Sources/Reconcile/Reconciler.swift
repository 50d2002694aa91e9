/// Makes the node what the manifest says: observe, diff, order, perform, observe again.
///
/// It does no I/O of its own: the kinds do. One reconciliation at a time is the caller's duty.
public struct Reconciler: Sendable {
    /// In the order in which they are made: what others stand on comes first.
    public let kinds: [any ResourceKind]
    /// Told of each performed change as it happens, for a log or a progress line.
    public let progress: @Sendable (ResourceID, Change, StepOutcome) -> Void

    /// How many times one apply performs and looks again.
    private static let passLimit = 3

    public init(
        kinds: [any ResourceKind],
        progress: @escaping @Sendable (ResourceID, Change, StepOutcome) -> Void = { _, _, _ in }
    ) {
        self.kinds = kinds
        self.progress = progress
    }

    /// Looks and compares; touches nothing.
    public func plan(_ desired: Desired) async -> Plan {
        await look(desired).plan
    }

    /// Performs what differs and looks again, until nothing new differs.
    ///
    /// A second pass follows where the first one moved the ground under another kind (a bridge made anew has lost its
    /// addresses) or where somebody else was faster; what was refused or done is not tried twice.
    public func apply(_ desired: Desired) async -> ApplyReport {
        let found = await look(desired)
        var performed: [ResourceID: StepResult] = [:]
        var current = found
        for _ in 1...Self.passLimit {
            let due = current.plan.pending.filter { performed[$0.id]?.isFinal != true }
            guard !due.isEmpty else { break }
            let results = await perform(current, Set(due.map(\.id)), desired)
            performed.merge(results) { _, new in new }
            let touched = Set(results.filter { !$0.value.isSkipped }.keys.map(\.kind))
            guard let first = kinds.firstIndex(where: { touched.contains($0.name) }) else { break }
            current = await look(desired, again: kinds[first...], over: current)
        }
        return ApplyReport(plan: found.plan, performed: performed, after: current.plan)
    }
}

/// The node as it was seen: for each kind, in their order, a run or why it could not be looked at.
private struct Sight {
    enum Look {
        case seen(KindRun)
        case failed(ObservationFailure)
    }
    var looks: [Look]

    var runs: [KindRun] {
        looks.compactMap { if case .seen(let run) = $0 { run } else { nil } }
    }

    var plan: Plan {
        let deletions = runs.reversed().flatMap { $0.changes.reversed().filter { $0.change == .delete } }
        let rest = runs.flatMap { $0.changes.filter { $0.change != .delete } }
        return Plan(
            changes: deletions + rest,
            failures: looks.compactMap { if case .failed(let failure) = $0 { failure } else { nil } })
    }
}

extension ResourceKind {
    fileprivate var name: String { Self.name }
}

extension Reconciler {
    /// Looks at all kinds; or at those `again`, which are the last ones, and takes the others as `over` saw them.
    private func look(
        _ desired: Desired, again: ArraySlice<any ResourceKind>? = nil, over old: Sight? = nil
    ) async -> Sight {
        var sight = Sight(looks: old.map { Array($0.looks.prefix(again?.startIndex ?? 0)) } ?? [])
        for kind in again ?? kinds[...] {
            do {
                sight.looks.append(.seen(try await KindRun.look(kind, desired)))
            } catch {
                sight.looks.append(.failed(ObservationFailure(kind: kind.name, reason: "\(error)")))
            }
        }
        return sight
    }

    private func perform(
        _ sight: Sight, _ due: Set<ResourceID>, _ desired: Desired
    ) async -> [ResourceID: StepResult] {
        var results: [ResourceID: StepResult] = [:]
        let plan = sight.plan
        // What stands on something that is missing is not attempted.
        var broken = Set(plan.refusals.map(\.id))
        broken.formUnion(plan.pending.map(\.id).filter { !due.contains($0) })
        for failure in plan.failures {
            let kind = kinds.first { $0.name == failure.kind }
            if let kind { broken.formUnion(Self.ids(of: kind, desired)) }
        }
        for run in sight.runs.reversed() {
            let chosen = run.changes.reversed().filter { $0.change == .delete && due.contains($0.id) }
            await perform(run, chosen, desired, &results, &broken)
        }
        for run in sight.runs {
            let chosen = run.changes.filter { $0.change != .delete && due.contains($0.id) }
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
            let missing = desired.references(of: change.id).first { $0.isVital && broken.contains($0.target) }
            if let missing {
                results[change.id] = .skipped(because: missing.target)
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
