/// One kind, looked at and compared: its changes, and the way to perform a choice of them.
///
/// It closes over the kind's own types, so that the planner above needs none of them.
struct KindRun: Sendable {
    let kind: String
    /// In the order of names.
    var changes: [PlannedChange]
    /// What is in the way of some of them.
    let obstacles: [ResourceID: Obstacle]
    /// Performs the given parts, in that order; one outcome for each.
    let perform: @Sendable (_ parts: [Part], _ desired: Desired) async -> [StepOutcome]

    /// How much of a change is performed.
    struct Part: Sendable {
        enum Extent: Sendable {
            case whole
            /// Of a replacement: what is there goes.
            case removal
            /// Of a replacement: what has gone before is made anew.
            case creation
        }
        let name: String
        var extent = Extent.whole
    }

    static func look<Kind: ResourceKind>(_ kind: Kind, _ desired: Desired) async throws -> KindRun {
        let observations = try await kind.observe(desired)
        let specs = desired.specs(of: Kind.self)
        var names = desired.names(of: Kind.self)
        let others = observations.keys.filter { specs[$0] == nil }
        if !others.isEmpty { names = (names + others).sorted(by: naturally) }
        let steps = names.map { name in
            Step(
                name: name, change: kind.diff(name: name, spec: specs[name], observation: observations[name]),
                spec: specs[name], observation: observations[name])
        }
        var obstacles: [ResourceID: Obstacle] = [:]
        for step in steps where step.change.isPending && step.spec != nil {
            obstacles[Kind.id(step.name)] = step.observation.flatMap { kind.obstacle($0) }
        }
        return KindRun(
            kind: Kind.name, changes: steps.map { kind.planned($0) }, obstacles: obstacles,
            perform: { parts, desired in
                let byName = Dictionary(uniqueKeysWithValues: steps.map { ($0.name, $0) })
                let chosen = parts.compactMap { part in byName[part.name]?.part(part.extent) }
                let outcomes = await kind.perform(chosen, desired: desired)
                precondition(outcomes.count == chosen.count, "kind \(Kind.name) answers each step once")
                return outcomes
            })
    }
}

extension Step {
    fileprivate func part(_ extent: KindRun.Part.Extent) -> Step {
        switch extent {
        case .whole: self
        case .removal: Step(name: name, change: .delete, spec: nil, observation: observation)
        case .creation: Step(name: name, change: .create(change.fields), spec: spec, observation: observation)
        }
    }
}

extension ResourceKind {
    fileprivate func planned(_ step: Step<Spec, Observation>) -> PlannedChange {
        PlannedChange(
            Self.id(step.name), step.change,
            disruption: step.change.isPending
                ? disruption(step.change, spec: step.spec, observation: step.observation) : [],
            remark: step.spec.flatMap { remark($0) })
    }
}
