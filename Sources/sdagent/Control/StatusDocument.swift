import Reconcile

/// How the node stands, as JSON: what `status --output json` prints and `GET /v1/status` answers.
struct StatusDocument: Codable, Hashable, Sendable {
    /// The daemon that answers; absent where the command has looked itself.
    let daemon: DaemonDocument?
    let resources: [ResourceDocument]
    /// What keeps our nftables tables from other programs; absent where there are none, and before the first look.
    let rules: RulesDocument?
    /// Kinds that could not be looked at.
    let failures: [FailureDocument]
    /// How many resources are in each state.
    let summary: [String: Int]
    /// What `sdagent status` exits with: 0 where all is as the manifest says and works, else 1.
    let exitCode: Int32

    init(
        daemon: DaemonDocument?, statuses: [ResourceStatus], rules: RulesDocument? = nil,
        failures: [ObservationFailure]
    ) {
        self.daemon = daemon
        resources = statuses.map(ResourceDocument.init)
        self.rules = rules
        self.failures = failures.map(FailureDocument.init)
        summary = Dictionary(statuses.map { ($0.state.rawValue, 1) }, uniquingKeysWith: +)
        let isTroubled = statuses.contains { $0.state.isTrouble } || !failures.isEmpty
        // A daemon that has not looked yet knows nothing, so it cannot say that all is well.
        let isUnsure = daemon.map { $0.manifest.fault != nil || $0.looked == nil } ?? false
        exitCode = isTroubled || isUnsure ? 1 : 0
    }
}

/// One resource of a status.
struct ResourceDocument: Codable, Hashable, Sendable {
    /// `kind/name`.
    let id: String
    let kind: String
    let name: String
    /// A word of `ResourceState`.
    let state: String
    /// Why it is not converged, and what to do; empty where it is.
    let detail: String

    init(_ status: ResourceStatus) {
        id = status.id.description
        kind = status.id.kind
        name = status.id.name
        state = status.state.rawValue
        detail = status.detail
    }
}

/// The daemon behind an answer.
struct DaemonDocument: Codable, Hashable, Sendable {
    let version: String
    let pid: Int32
    /// Since when it runs: RFC 3339, UTC.
    let started: String
    /// When it last looked at the whole node: RFC 3339, UTC; absent before the first look has ended.
    let looked: String?
    let manifest: ManifestDocument
}

/// The manifest that a daemon keeps applied.
struct ManifestDocument: Codable, Hashable, Sendable {
    /// Where it came from, as the operator named it.
    let sources: [String]
    /// Since when it is the desired state: RFC 3339, UTC; absent before the first good manifest.
    let since: String?
    /// Why a newer one was not taken over: the mistakes in it, as text of several lines.
    let fault: String?
}
