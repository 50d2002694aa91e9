import Reconcile

extension VMKind {
    /// The statuses with those of VMs put right: there is nothing of a VM itself on the node, so it stands as the worst
    /// of its NICs and volumes does.
    static func standing(_ statuses: [ResourceStatus], in desired: Desired) -> [ResourceStatus] {
        let known = Dictionary(statuses.map { ($0.id, $0) }) { first, _ in first }
        return statuses.map { status in
            guard status.id.kind == name else { return status }
            let parts = desired.references(of: status.id).map(\.target)
            // Of a kind that could not be looked at nothing is known, so nothing good either.
            if let lost = parts.first(where: { known[$0] == nil }) {
                return ResourceStatus(id: status.id, state: .failed, detail: "\(lost) could not be looked at")
            }
            let worst = parts.compactMap { known[$0] }.filter { rank($0.state) > 0 }
                .max { rank($0.state) < rank($1.state) }
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
