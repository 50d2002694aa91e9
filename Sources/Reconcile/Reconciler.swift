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
    /// addresses) or where somebody else was faster; what was refused, or done just so, is not tried twice.
    public func apply(_ desired: Desired) async -> ApplyReport {
        let found = await look(desired)
        var performed: [ResourceID: StepResult] = [:]
        var attempted: [ResourceID: Change] = [:]
        var current = found
        var touched: Set<String> = []
        for _ in 1...Self.passLimit {
            let moved = Set(kinds.filter { $0.isAdjusted(to: touched) }.map(\.name))
            let due = current.plan.pending.filter { planned in
                guard let result = performed[planned.id], result.isFinal else { return true }
                // Done, and now something else is to be done, or others have moved the ground.
                let isOther = attempted[planned.id] != planned.change || moved.contains(planned.id.kind)
                return result == .performed(.done) && isOther
            }
            guard !due.isEmpty else { break }
            let deeds = await perform(current, Set(due.map(\.id)), desired)
            performed.merge(deeds.results) { _, new in new }
            for planned in due { attempted[planned.id] = planned.change }
            touched = deeds.touched
            let first = kinds.firstIndex { touched.contains($0.name) || $0.isAdjusted(to: touched) }
            guard let first else { break }
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
    let looks: [Look]
    /// The kinds that could be looked at; what somebody else of ours keeps from one is a conflict.
    let runs: [KindRun]
    /// What goes from one resource to another.
    let handovers: Handovers
    /// All changes in the order in which they are performed.
    let plan: Plan

    init(_ looks: [Look]) {
        self.looks = looks
        let seen: [KindRun] = looks.compactMap { if case .seen(let run) = $0 { run } else { nil } }
        let handovers = Handovers(seen)
        self.handovers = handovers
        let runs = seen.map { run in
            var run = run
            guard !run.obstacles.isEmpty else { return run }
            run.changes = run.changes.map { change in
                handovers.refusals[change.id].map { PlannedChange(change.id, $0) } ?? change
            }
            return run
        }
        self.runs = runs
        var changes: [PlannedChange] = []
        changes.reserveCapacity(runs.reduce(0) { $0 + $1.changes.count })
        for run in runs.reversed() {
            for change in run.changes.reversed() where change.change == .delete { changes.append(change) }
        }
        for run in runs {
            for change in run.changes where change.change != .delete { changes.append(change) }
        }
        plan = Plan(
            changes: changes,
            failures: looks.compactMap { if case .failed(let failure) = $0 { failure } else { nil } })
    }

    /// The replacements whose first half goes with the deletions: a kind that is made earlier waits for what they have.
    var halved: Set<ResourceID> {
        let order = Dictionary(uniqueKeysWithValues: runs.enumerated().map { ($1.kind, $0) })
        let awaited = handovers.holders.filter { waiter, holder in
            order[waiter.kind, default: 0] < order[holder.kind, default: 0]
        }
        let replaced = runs.flatMap(\.changes).filter { if case .replace = $0.change { true } else { false } }
        return Set(replaced.map(\.id)).intersection(awaited.values)
    }
}

/// What one pass has done.
private struct Deeds {
    var results: [ResourceID: StepResult] = [:]
    /// What is not as asked, so that what needs it is not attempted.
    var broken: Set<ResourceID> = []
    /// The kinds that were at work.
    var touched: Set<String> = []
}

extension ResourceKind {
    fileprivate var name: String { Self.name }

    fileprivate func isAdjusted(to kinds: Set<String>) -> Bool { !Self.adjustsTo.isDisjoint(with: kinds) }
}

extension Reconciler {
    /// Looks at all kinds; or at those `again`, which are the last ones, and takes the others as `over` saw them.
    private func look(
        _ desired: Desired, again: ArraySlice<any ResourceKind>? = nil, over old: Sight? = nil
    ) async -> Sight {
        var looks = old.map { Array($0.looks.prefix(again?.startIndex ?? 0)) } ?? []
        for kind in again ?? kinds[...] {
            do {
                looks.append(.seen(try await KindRun.look(kind, desired)))
            } catch {
                looks.append(.failed(ObservationFailure(kind: kind.name, reason: "\(error)")))
            }
        }
        return Sight(looks)
    }

    private func perform(_ sight: Sight, _ due: Set<ResourceID>, _ desired: Desired) async -> Deeds {
        var deeds = Deeds()
        let plan = sight.plan
        // What stands on something that is missing is not attempted.
        deeds.broken = Set(plan.refusals.map(\.id))
        deeds.broken.formUnion(plan.pending.map(\.id).filter { !due.contains($0) })
        for failure in plan.failures {
            let kind = kinds.first { $0.name == failure.kind }
            if let kind { deeds.broken.formUnion(Self.ids(of: kind, desired)) }
        }
        let halved = sight.halved
        for run in sight.runs.reversed() {
            let going = run.changes.reversed().filter { $0.change == .delete || halved.contains($0.id) }
            await perform(run, going.filter { due.contains($0.id) }, .removal, of: halved, sight, desired, &deeds)
        }
        for run in sight.runs {
            let coming = run.changes.filter { $0.change != .delete }
            await perform(run, coming.filter { due.contains($0.id) }, .creation, of: halved, sight, desired, &deeds)
        }
        return deeds
    }

    /// Performs changes of one kind: of those that are `halved` the one half, the others whole.
    private func perform(
        _ run: KindRun, _ changes: [PlannedChange], _ half: KindRun.Part.Extent, of halved: Set<ResourceID>,
        _ sight: Sight, _ desired: Desired, _ deeds: inout Deeds
    ) async {
        let chosen = Self.possible(changes, sight, desired, &deeds)
        guard !chosen.isEmpty else { return }
        let parts = chosen.map { KindRun.Part(name: $0.id.name, extent: halved.contains($0.id) ? half : .whole) }
        deeds.touched.insert(run.kind)
        let outcomes = await run.perform(parts, desired)
        for ((change, part), outcome) in zip(zip(chosen, parts), outcomes) {
            deeds.results[change.id] = .performed(outcome)
            if outcome != .done { deeds.broken.insert(change.id) }
            // Done is what is done in both halves.
            if part.extent != .removal || outcome != .done { progress(change.id, change.change, outcome) }
        }
    }

    /// The changes that can be attempted; the others are noted as skipped.
    private static func possible(
        _ changes: [PlannedChange], _ sight: Sight, _ desired: Desired, _ deeds: inout Deeds
    ) -> [PlannedChange] {
        var left = changes
        while true {
            // Within a kind, too, one may wait for another: who is skipped may stop one that was already passed.
            let count = left.count
            left.removeAll { change in
                // Its first half has failed, and has its result.
                if deeds.results[change.id] != nil, deeds.broken.contains(change.id) { return true }
                let needed = desired.references(of: change.id).first { $0.isVital && deeds.broken.contains($0.target) }
                let holder = sight.handovers.holders[change.id].flatMap { deeds.broken.contains($0) ? $0 : nil }
                guard let missing = needed?.target ?? holder else { return false }
                deeds.results[change.id] = .skipped(because: missing)
                deeds.broken.insert(change.id)
                return true
            }
            if left.count == count { return left }
        }
    }

    private static func ids<Kind: ResourceKind>(of kind: Kind, _ desired: Desired) -> [ResourceID] {
        desired.specs(of: Kind.self).keys.map(Kind.id)
    }
}
