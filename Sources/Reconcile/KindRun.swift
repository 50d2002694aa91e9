/// One kind, looked at and compared: its changes, and the way to perform a choice of them.
///
/// It closes over the kind's own types, so that the planner above needs none of them.
struct KindRun: Sendable {
    let kind: String
    /// In the order of names.
    var changes: [PlannedChange]
    /// What is in the way of some of them.
    let obstacles: [ResourceID: Obstacle]
    /// Performs the given parts of pending changes, in that order; one outcome for each.
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
        let names = desired.names(of: Kind.self)
        var changes: [PlannedChange] = []
        changes.reserveCapacity(names.count)
        // Of thousands that are as they should be only that is kept: nothing of them is performed.
        var steps: [Step<Kind.Spec, Kind.Observation>] = []
        var obstacles: [ResourceID: Obstacle] = [:]
        var unnamed = observations.count
        func compare(_ name: String, _ spec: Kind.Spec?, _ observation: Kind.Observation?) {
            let change = kind.diff(name: name, spec: spec, observation: observation)
            changes.append(
                PlannedChange(
                    Kind.id(name), change,
                    disruption: change.isPending
                        ? kind.disruption(change, spec: spec, observation: observation) : [],
                    remark: spec.flatMap { kind.remark($0) }))
            guard change.isPending else { return }
            if spec != nil { obstacles[Kind.id(name)] = observation.flatMap { kind.obstacle($0) } }
            steps.append(Step(name: name, change: change, spec: spec, observation: observation))
        }
        for name in names {
            let observation = observations[name]
            if observation != nil { unnamed -= 1 }
            compare(name, specs[name], observation)
        }
        if unnamed > 0 {
            for (name, observation) in observations where specs[name] == nil { compare(name, nil, observation) }
            changes.sort { naturally($0.id.name, $1.id.name) }
        }
        return KindRun(
            kind: Kind.name, changes: changes, obstacles: obstacles,
            perform: { [steps] parts, desired in
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
