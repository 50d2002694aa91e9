import Reconcile

extension VMKind {
    /// The statuses with those of VMs put right: there is nothing of a VM itself on the node, so it stands as the worst
    /// of its NICs and volumes does.
    ///
    /// - Parameter isWhole: every kind could be looked at, so that each resource that is asked for has a status.
    static func standing(
        _ statuses: [ResourceStatus], in desired: Desired, isWhole: Bool = false
    ) -> [ResourceStatus] {
        if isWhole, statuses.allSatisfy({ rank($0.state) == 0 }) { return statuses }
        // Of thousands few or none are other than they should be.
        var known: Set<ResourceID> = []
        known.reserveCapacity(statuses.count)
        var poor: [ResourceID: ResourceStatus] = [:]
        for status in statuses where status.id.kind != name {
            guard known.insert(status.id).inserted, rank(status.state) > 0 else { continue }
            poor[status.id] = status
        }
        return statuses.map { status in
            guard status.id.kind == name else { return status }
            let parts = desired.references(of: status.id).lazy.map(\.target)
            // Of a kind that could not be looked at nothing is known, so nothing good either.
            if let lost = parts.first(where: { !known.contains($0) }) {
                return ResourceStatus(id: status.id, state: .failed, detail: "\(lost) could not be looked at")
            }
            let worst = poor.isEmpty ? nil : parts.compactMap { poor[$0] }.max { rank($0.state) < rank($1.state) }
            guard let worst else { return status }
            return ResourceStatus(id: status.id, state: worst.state, detail: "\(worst.id) \(words(worst.state))")
        }
    }

    /// How much a state matters to what stands on it.
    private static func rank(_ state: ResourceState) -> Int {
        switch state {
        case .converged, .orphan: 0
        case .waiting: 1
        case .pending: 2
        case .skipped: 3
        case .degraded: 4
        case .unsupported: 5
        case .conflict: 6
        case .failed: 7
        }
    }

    private static func words(_ state: ResourceState) -> String {
        switch state {
        case .converged, .pending, .waiting, .degraded, .unsupported, .skipped: "is \(state.rawValue)"
        case .orphan: "is an orphan"
        case .conflict: "is in conflict"
        case .failed: "has failed"
        }
    }
}
