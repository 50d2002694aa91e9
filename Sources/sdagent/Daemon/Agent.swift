import FoundationEssentials
import Logging
import Manifest
import Reconcile

/// The daemon's one actor: it owns the desired state, makes the node so, and knows how it stands.
///
/// One plan or apply runs at a time; the rest queue in the order in which they came.
actor Agent {
    private let kinds: Kinds
    private let paths: ManifestPaths
    private let state: StateDirectory
    private let network: NetworkClaim?
    private let journal: Journal
    private var turn = Turn()

    private var manifest: LoadedManifest?
    private var since: Date?
    private var fault: ManifestMistakes?
    /// How many resources it names.
    private var resources = 0

    private var statuses: [ResourceStatus] = []
    private var failures: [ObservationFailure] = []
    private var rules: RulesDocument?
    private var looked: Date?
    /// The node was as the manifest says when it was last looked at, and the manifest is still the same.
    private var wasWell = false
    /// Counts the manifests taken over.
    private var generation = 0
    private var tally = Tally()
    private let started = Date.now

    /// - Parameter network: the claim of the network namespace; nil for kinds that have nothing to do with it.
    init(
        kinds: Kinds, paths: ManifestPaths, state: StateDirectory, network: NetworkClaim? = nil, logger: Logger
    ) {
        self.kinds = kinds
        self.paths = paths
        self.state = state
        self.network = network
        journal = Journal(logger)
    }

    /// How long a reconciliation waits for a command that changes the node without the daemon.
    private static let patience = Duration.seconds(10)

    // MARK: The desired state

    /// Reads the files again. A broken manifest leaves the last good one in force, and is reported.
    ///
    /// - Returns: whether the files were taken over.
    @discardableResult
    func reload() async -> Bool {
        // What cannot be read, or has no turn, is told of on the whole way.
        if let sources = try? paths.read(), (try? await inTurn { try await amend(sources) }) != nil { return true }
        do throws(ManifestMistakes) {
            if take(try paths.outlined(kinds).sharing(with: manifest, kinds)) { keepHistory() }
            return true
        } catch {
            // The same mistakes again are no news.
            if fault?.description != error.description { journal.broken(error, isLastGoodKept: manifest != nil) }
            fault = error
            return false
        }
    }

    /// For a start with a broken manifest: the newest one that was ever in force, if it still means something.
    func recover() -> Bool {
        guard let last = ManifestHistory(state).newest() else { return false }
        guard let loaded = try? LoadedManifest.load(last.sources, kinds) else { return false }
        manifest = loaded
        since = .now
        journal.recovered()
        return true
    }

    /// - Returns: whether it is another than before.
    private func take(_ loaded: LoadedManifest) -> Bool {
        if let manifest, fault == nil, ManifestRequest(manifest.sources) == ManifestRequest(loaded.sources) {
            return false
        }
        install(loaded)
        wasWell = false
        resources = loaded.counts(kinds).map(\.count).reduce(0, +)
        journal.taken(loaded, resources: resources)
        return true
    }

    private func install(_ loaded: LoadedManifest) {
        manifest = loaded
        since = .now
        fault = nil
        generation += 1
    }

    private func keepHistory() {
        guard let manifest else { return }
        do {
            try ManifestHistory(state).add(ManifestRequest(manifest.sources))
        } catch {
            // The node is more important than its history.
            journal.unkept(error)
        }
    }

    // MARK: Requests

    /// What an apply of this manifest would do.
    func plan(_ request: ManifestRequest) async throws -> PlanDocument {
        let loaded = try LoadedManifest.load(request.sources, kinds)
        return try await inTurn {
            PlanDocument(await Reconciler(kinds: kinds.all).plan(loaded.desired))
        }
    }

    /// Makes this manifest the desired state, and the node so.
    func apply(_ request: ManifestRequest) async throws -> ApplyDocument {
        let amended = try await inTurn { () -> ApplyDocument? in
            guard let report = try await amend(request.sources), let manifest else { return nil }
            let note = note(on: request)
            if report.isDone { return ApplyDocument(report, statuses: statuses, note: note) }
            return ApplyDocument(try await converge { _ in manifest.desired }, note: note)
        }
        if let amended { return amended }
        let loaded = try LoadedManifest.outlined(request.sources, kinds).sharing(with: manifest, kinds)
        return try await inTurn {
            var isNew = false
            // The node first: what is kept of it is written and synced while nobody waits for his rules.
            defer { if isNew { keepHistory() } }
            let report = try await converge { [loaded] agent in
                let isWell = agent.wasWell
                isNew = agent.take(loaded)
                // What it changes the kernel tells of, and then all is looked at.
                if isNew, isWell { agent.kinds.hasten() }
                return loaded.desired
            }
            return ApplyDocument(report, note: note(on: request))
        }
    }

    /// The short way for a manifest that asks little otherwise than the one in force: its rules wait for no look.
    ///
    /// - Returns: what was done; nil where it has to go the whole way.
    private func amend(_ sources: [Source]) async throws -> AmendmentReport? {
        let previous = manifest
        guard wasWell, fault == nil, let (amended, revision) = previous?.amended(sources, kinds) else { return nil }
        let reconciler = Reconciler(kinds: kinds.all) { [journal] in journal.performed($0, $1, $2, isDrift: false) }
        let lock = try await nodeLock()
        try network?.forgetAskers()
        guard let prepared = reconciler.prepare(revision) else { return nil }
        install(amended)
        let report = await prepared.perform()
        lock.release()
        // To give back what is no longer in force takes its time, too.
        withExtendedLifetime(previous) {}
        wasWell = report.isDone
        journal.taken(amended, resources: resources)
        tally.count(report.performed)
        rules = RulesDocument.look(kinds, hasDaemon: true)
        keepHistory()
        return report
    }

    /// Reads the whole of a manifest again that was read by what differs: what is in force does not depend on how it
    /// came about.
    func settle() {
        guard let manifest, manifest.isAmended else { return }
        do throws(ManifestMistakes) {
            self.manifest = try LoadedManifest.outlined(manifest.sources, kinds).sharing(with: manifest, kinds)
        } catch {
            journal.broken(error, isLastGoodKept: true)
            fault = error
        }
    }

    /// Looks and repairs, with the desired state as it is.
    ///
    /// - Returns: nil where there is no desired state yet.
    func reconcile() async throws -> ApplyDocument? {
        try await inTurn {
            guard let manifest else { return nil }
            return ApplyDocument(try await converge { _ in manifest.desired })
        }
    }

    /// What an operator should know who applies other files than those that the daemon follows.
    private func note(on request: ManifestRequest) -> String? {
        guard let followed = try? paths.read(), Self.places(ManifestRequest(followed)) != Self.places(request) else {
            return nil
        }
        let files = paths.paths.joined(separator: ", ")
        return "the daemon follows \(files): this manifest is in force until that changes or the daemon starts again"
    }

    private static func places(_ request: ManifestRequest) -> Set<String> {
        Set(request.files.map { $0.directory + "/" + ($0.file.split(separator: "/").last ?? "") })
    }

    // MARK: Answers

    var status: StatusDocument {
        let style = Date.ISO8601FormatStyle()
        let daemon = DaemonDocument(
            version: SDAgent.version, pid: ProcessInfo.processInfo.processIdentifier, started: style.format(started),
            looked: looked.map(style.format),
            manifest: ManifestDocument(
                sources: manifest?.sources.map(\.file) ?? paths.paths, since: since.map(style.format),
                fault: fault?.description))
        return StatusDocument(daemon: daemon, statuses: statuses, rules: rules, failures: failures)
    }

    var metrics: String {
        tally.text(statuses: statuses, failures: failures.count, isManifestBroken: fault != nil, looked: looked)
    }

    /// What has been refused of each NIC, read now.
    func denied() throws -> DeniedDocument {
        guard let manifest else { return DeniedDocument(nics: []) }
        return try DeniedDocument.look(kinds, manifest.desired)
    }

    // MARK: Work

    private func inTurn<Value: Sendable>(_ work: () async throws -> Value) async throws -> Value {
        if !turn.takeIfFree() {
            guard !turn.isCrowded else { throw CrowdedError() }
            await withCheckedContinuation { turn.queue($0) }
        }
        defer { turn.pass() }
        return try await work()
    }

    private func nodeLock() async throws -> NodeLock {
        try await NodeLock.take(in: state, ofNetwork: network != nil, patience: Self.patience) { [journal] in
            journal.waiting(for: $0)
        }
    }

    /// Makes the node so once nobody else is at work on it; only then is `desired` asked for.
    private func converge(_ desired: (isolated Agent) -> Desired) async throws -> ApplyReport {
        let lock = try await nodeLock()
        try network?.forgetAskers()
        let desired = desired(self)
        let begun = generation
        let reconciler = Reconciler(kinds: kinds.all) { [journal, wasWell] in
            journal.performed($0, $1, $2, isDrift: wasWell)
        }
        let report = await reconciler.apply(desired)
        lock.release()
        wasWell = report.exitCode == 0 && generation == begun
        looked = .now
        failures = report.after.failures
        statuses = VMKind.standing(report.statuses, in: desired, isWhole: failures.isEmpty)
        rules = RulesDocument.look(kinds, hasDaemon: true)
        tally.count(report)
        journal.ended(report)
        return report
    }
}
