public import Netlink
public import Reconcile
public import Rules

/// A change of policy counts for flows that are there already.
///
/// The new rules are committed together with the names of the ports whose rules allow less than before. Then conntrack
/// forgets what these forbid, and the names go. Whatever ends the agent in between: they are left, differ from what is
/// wanted, and the next look goes on.
extension GuardKind {
    public func perform(_ steps: [Step<NFTable, TableObservation>], desired: Desired) async -> [StepOutcome] {
        steps.map { step in
            let sight = step.observation?.sight
            do throws(NetlinkError) {
                // The node has changed since the look: what was to go first has gone, or has not.
                let wanted = try adjusted(step.spec, over: sight?.table, desired, at: .committing)
                return commit(wanted, over: sight, desired)
            } catch {
                return .failed("\(error)")
            }
        }
    }

    private func commit(_ wanted: NFTable?, over sight: NFOwnedTable.Sight?, _ desired: Desired) -> StepOutcome {
        do throws(NFError) {
            let nics = desired.specs(of: NICKind.self).values
            let judged = wanted.map { PolicyNarrowing.among(nics, from: sight?.table, to: $0) } ?? []
            guard var noted = wanted, !judged.isEmpty else {
                try owned.change(from: sight, to: wanted)
                return .done
            }
            var unjudged = NFSet(PolicyNarrowing.unjudged, key: [.interfaceName])
            for nic in judged { unjudged.insert(NFKey(.interface(nic.interface))) }
            noted.sets[unjudged.name] = unjudged
            try owned.change(from: sight, to: noted)
            do throws(NetlinkError) {
                try enforce(among: judged, desired)
            } catch {
                return .failed(
                    "the rules are in force, but flows that they forbid may go on, which conntrack could not be told: "
                        + "\(error); it is tried again at every look")
            }
            try owned.change(from: owned.look(), to: wanted)
            return .done
        } catch {
            return StepOutcome(error)
        }
    }

    private func enforce(among judged: [NICSpec], _ desired: Desired) throws(NetlinkError) {
        let policy = Policy(desired)
        let kept = Set(policy.groups.values.filter { $0.liveFlows == .keep }.map(\.name))
        let names = judged.filter { kept.isDisjoint(with: $0.groups) }.map(\.resourceName)
        guard !names.isEmpty else { return }
        let switches = desired.specs(of: SwitchKind.self).values
        let places = switches.compactMap { spec in
            spec.zone.map { ($0, FlowJudge.Place(name: spec.name, joined: spec.joined)) }
        }
        let judge = FlowJudge(
            model: PolicyModel(
                desired.specs(of: NICKind.self).values, groups: policy.groups, sets: policy.sets, judged: Set(names)),
            places: Dictionary(places) { first, _ in first }, state: policy.state)
        var socket = try owned.location.socket(.netfilter)
        try judge.enforce(on: &socket)
    }
}
