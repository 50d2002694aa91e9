internal import Manifest

/// What becomes of flows that were allowed when they began, and are no longer.
public enum LiveFlows: String, Hashable, Sendable, CaseIterable {
    /// They end: conntrack forgets them, and the next packet meets the rules as they are.
    case reevaluate
    /// They go on until they end by themselves.
    case keep

    static func read(_ fields: inout Fields) -> LiveFlows {
        fields.choice("liveFlows", LiveFlows.self) ?? .reevaluate
    }
}
