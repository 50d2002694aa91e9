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
        var outcomes: [StepOutcome] = []
        for step in steps { outcomes.append(await perform(step, desired)) }
        return outcomes
    }

    private func perform(_ step: Step<NFTable, TableObservation>, _ desired: Desired) async -> StepOutcome {
        let sight = step.observation?.sight
        let isSettled = step.observation?.isSettled ?? false
        let draft = Draft(owned: owned, sight: sight, desired: desired) { (policy) throws(NFError) in
            if isSettled, policy.isWhole { return step.spec }
            do throws(NetlinkError) {
                // The node has changed since the look: what was to go first has gone, or has not.
                return try adjusted(step.spec, over: sight?.table, desired, at: .committing, policy)
            } catch {
                throw .netlink(error)
            }
        }
        let judging: Judging?
        do throws(NFError) {
            judging = try draft.contained { (policy) throws(NFError) in try commit(draft, policy) }
        } catch {
            return StepOutcome(error)
        }
        guard let judging else { return .done }
        do throws(NFError) {
            try await judging.ending?.run { (answers) throws(NFError) in
                var table = judging.noted
                for set in LateAnswers.sets(answers) { table.sets[set.name] = set }
                try owned.change(from: owned.look(), to: table)
            }
        } catch {
            let outcome = StepOutcome(error)
            guard case .failed(let reason) = outcome else { return outcome }
            return .failed(
                "the rules are in force, but flows that they forbid may go on, of which conntrack could not be told: "
                    + "\(reason); it is tried again at every look")
        }
        do throws(NFError) {
            try owned.change(from: owned.look(), to: judging.wanted)
            return .done
        } catch {
            return StepOutcome(error)
        }
    }

    /// Flows that were allowed so far, and may be no longer.
    public func disruption(_ change: Change, spec: NFTable?, observation: TableObservation?) -> [String] {
        guard let seen = observation?.sight.table, let wanted = spec else { return [] }
        let (count, first) = PolicyNarrowing.ports(from: seen, to: wanted, first: 5)
        guard count > 0 else { return [] }
        let rest = count > first.count ? " and \(count - first.count) more" : ""
        let names = first.joined(separator: ", ") + rest
        return ["flows of \(names) that the rules no longer allow end, unless a group keeps them"]
    }

    /// What is left to do once the rules are in force.
    private struct Judging {
        let ending: FlowEnding?
        /// The table as it is meanwhile.
        let noted: NFTable
        /// The table without the names of the ports that are still to be judged.
        let wanted: NFTable
    }

    /// Those of some NICs whose ports are there: before a port is, nobody has sent anything by it.
    private func there(_ nics: [NICSpec]) throws(NFError) -> Set<String> {
        if nics.isEmpty { return [] }
        do throws(NetlinkError) {
            let names = Set(try links.shared().map(\.name))
            return Set(nics.filter { names.contains($0.interface) }.map(\.resourceName))
        } catch {
            throw .netlink(error)
        }
    }

    /// - Returns: nil where nobody's rules allow less than before.
    private func commit(_ draft: Draft, _ policy: Policy) throws(NFError) -> Judging? {
        let seen = draft.sight?.table
        let wanted = try draft.table(policy)
        guard let wanted, let concerned = PolicyNarrowing.concerned(from: seen, to: wanted) else {
            try owned.change(from: draft.sight, to: wanted)
            return nil
        }
        var noted = wanted
        for set in concerned.notes { noted.sets[set.name] = set }
        try owned.change(from: draft.sight, to: noted)
        let nics = draft.desired.specs(of: NICKind.self)
        let new = try there(concerned.newcomers(among: nics.values, in: seen))
        return Judging(
            ending: FlowEnding(policy, concerned, new: new, draft.desired, in: tracking), noted: noted, wanted: wanted)
    }
}
