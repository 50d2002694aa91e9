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
        let names = Set(specs.keys).union(observations.keys).sorted(by: naturally)
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

/// `vm2` before `vm10`: runs of digits compare as numbers, so that plans read in the order a person counts.
func naturally(_ left: String, _ right: String) -> Bool {
    var a = Substring(left).utf8[...]
    var b = Substring(right).utf8[...]
    while let x = a.first, let y = b.first {
        if isDigit(x), isDigit(y) {
            let m = a.prefix(while: isDigit).drop { $0 == UInt8(ascii: "0") }
            let n = b.prefix(while: isDigit).drop { $0 == UInt8(ascii: "0") }
            if m.count != n.count { return m.count < n.count }
            if !m.elementsEqual(n) { return m.lexicographicallyPrecedes(n) }
            a = a.drop(while: isDigit)
            b = b.drop(while: isDigit)
        } else {
            if x != y { return x < y }
            a = a.dropFirst()
            b = b.dropFirst()
        }
    }
    // Equal as far as the shorter goes, or equal but for leading zeros: any fixed order will do.
    return a.count != b.count ? a.count < b.count : left < right
}

private func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
