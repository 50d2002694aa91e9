public import Netlink
public import Reconcile
public import Rules

/// A change of policy: nobody's rules wait for another's mistake, and the new ones count for flows that are there.
///
/// The new rules are committed together with the names of the ports whose rules allow less than before. Then conntrack
/// forgets what these forbid, and the names go. Whatever ends the agent in between: they are left, differ from what is
/// wanted, and the next look goes on.
extension GuardKind {
    public func perform(_ steps: [Step<NFTable, TableObservation>], desired: Desired) async -> [StepOutcome] {
        steps.map { step in
            let draft = Draft(guardKind: self, spec: step.spec, sight: step.observation?.sight, desired: desired)
            do throws(NFError) {
                return try commit(draft)
            } catch {
                return StepOutcome(error)
            }
        }
    }

    private func commit(_ draft: Draft) throws(NFError) -> StepOutcome {
        let policy = Policy(draft.desired)
        do throws(NFError) {
            return try commit(draft, policy)
        } catch {
            guard error.isOfRules, let culprits = try Culprits.found(in: draft, policy) else { throw error }
            return try commit(draft, policy.closing(culprits))
        }
    }

    private func commit(_ draft: Draft, _ policy: Policy) throws(NFError) -> StepOutcome {
        let nics = draft.desired.specs(of: NICKind.self).values
        let wanted = try draft.table(policy)
        let judged = wanted.map { PolicyNarrowing.among(nics, from: draft.sight?.table, to: $0) } ?? []
        guard var noted = wanted, !judged.isEmpty else {
            try owned.change(from: draft.sight, to: wanted)
            return .done
        }
        var unjudged = NFSet(PolicyNarrowing.unjudged, key: [.interfaceName])
        for nic in judged { unjudged.insert(NFKey(.interface(nic.interface))) }
        noted.sets[unjudged.name] = unjudged
        try owned.change(from: draft.sight, to: noted)
        do throws(NetlinkError) {
            try FlowJudge.enforce(policy, among: judged, draft.desired, in: owned.location)
        } catch {
            return .failed(
                "the rules are in force, but flows that they forbid may go on, of which conntrack could not be told: "
                    + "\(error); it is tried again at every look")
        }
        try owned.change(from: owned.look(), to: wanted)
        return .done
    }
}

/// A change that is about to be made: what it starts from, and what it depends on.
struct Draft {
    let guardKind: GuardKind
    let spec: NFTable?
    let sight: NFOwnedTable.Sight?
    let desired: Desired

    /// The table as it is to be under a policy, on the node as it is now: what was to go first has gone, or has not.
    func table(_ policy: Policy) throws(NFError) -> NFTable? {
        do throws(NetlinkError) {
            return try guardKind.adjusted(spec, over: sight?.table, desired, at: .committing, policy)
        } catch {
            throw .netlink(error)
        }
    }

    /// Why the kernel would refuse that table; nil where it would not.
    func refusal(under policy: Policy) throws(NFError) -> NFError? {
        try guardKind.owned.refusal(of: table(policy), from: sight)
    }
}
