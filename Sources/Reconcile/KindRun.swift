/// One kind, looked at and compared: its changes, and the way to perform a choice of them.
///
/// It closes over the kind's own types, so that the planner above needs none of them.
struct KindRun: Sendable {
    let kind: String
    /// In the order of names.
    let changes: [PlannedChange]
    /// Performs the changes of the given names, in that order; one outcome for each.
    let perform: @Sendable (_ names: [String], _ desired: Desired) async -> [StepOutcome]

    static func look<Kind: ResourceKind>(_ kind: Kind, _ desired: Desired) async throws -> KindRun {
        let observations = try await kind.observe(desired)
        let specs = desired.specs(of: Kind.self)
        let names = Set(specs.keys).union(observations.keys).sorted(by: naturally)
        let steps = names.map { name in
            Step(
                name: name, change: kind.diff(name: name, spec: specs[name], observation: observations[name]),
                spec: specs[name], observation: observations[name])
        }
        return KindRun(
            kind: Kind.name, changes: steps.map { PlannedChange(Kind.id($0.name), $0.change) },
            perform: { names, desired in
                let byName = Dictionary(uniqueKeysWithValues: steps.map { ($0.name, $0) })
                let chosen = names.compactMap { byName[$0] }
                let outcomes = await kind.perform(chosen, desired: desired)
                precondition(outcomes.count == chosen.count, "kind \(Kind.name) answers each step once")
                return outcomes
            })
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
