/// Another resource of ours that has what this one is to have for itself: an interface's name, a directory.
public struct Obstacle: Hashable, Sendable {
    /// Who has it now.
    public let holder: ResourceID
    /// What it has, and what to do where it keeps it.
    public let reason: String

    public init(_ holder: ResourceID, _ reason: String) {
        self.holder = holder
        self.reason = reason
    }
}

/// What one plan takes from resources of ours and gives to others.
struct Handovers {
    /// Who waits for whom to let go.
    private(set) var holders: [ResourceID: ResourceID] = [:]
    /// Those whose holder lets go of nothing in this plan, with what is in the way.
    private(set) var refusals: [ResourceID: Change] = [:]

    /// - Parameter runs: all kinds that could be looked at.
    init(_ runs: [KindRun]) {
        let obstacles = runs.reduce(into: [:]) { all, run in all.merge(run.obstacles) { first, _ in first } }
        guard !obstacles.isEmpty else { return }
        var letsGo: Set<ResourceID> = []
        for planned in runs.flatMap(\.changes) where planned.change.letsGo { letsGo.insert(planned.id) }
        let waiting = Dictionary(grouping: obstacles, by: \.value.holder).mapValues { $0.map(\.key) }
        // Who waits in vain is not replaced either, and so keeps what others may wait for.
        var stuck = obstacles.filter { !letsGo.contains($0.value.holder) }.map(\.key)
        while let id = stuck.popLast() {
            guard refusals[id] == nil, let obstacle = obstacles[id] else { continue }
            refusals[id] = .conflict(reason: obstacle.reason)
            stuck += waiting[id] ?? []
        }
        holders = obstacles.filter { refusals[$0.key] == nil }.mapValues(\.holder)
    }
}

extension Change {
    /// Whether what the resource has now is free afterwards, or before it is made anew.
    fileprivate var letsGo: Bool {
        switch self {
        case .delete, .replace: true
        case .none, .create, .update, .orphan, .degraded, .waiting, .conflict, .unsupported: false
        }
    }
}
