import Manifest
import Reconcile

/// How a command reaches the node: through the daemon where one answers on the socket, else by itself.
struct NodeAccess {
    let options: NodeOptions

    init(_ options: NodeOptions) { self.options = options }

    /// How long an apply waits for another one to end.
    static let patience = Duration.seconds(10)

    func plan() async throws -> PlanDocument {
        try await spoken {
            if try options.client.isAnswering() {
                let body = try request()
                return try await Progress("the daemon").during {
                    try options.client.send(.post, "/v1/plan", body: body, patience: .long, as: PlanDocument.self)
                }
            }
            let kinds = Kinds.node(try options.stateDirectory)
            let manifest = try options.manifests.load(kinds)
            try options.requirePrivilege(to: "look at the node")
            try warnOfDeafDaemon()
            return PlanDocument(await Reconciler(kinds: kinds.all).plan(manifest.desired))
        }
    }

    func apply() async throws -> ApplyDocument {
        try await spoken {
            if try options.client.isAnswering() {
                let body = try request()
                let words = "the daemon goes on with it; `sdagent status` shows how it stands"
                return try await Interruption.telling(words) {
                    try await Progress("the daemon").during {
                        try options.client.send(.post, "/v1/apply", body: body, patience: .long, as: ApplyDocument.self)
                    }
                }
            }
            let kinds = Kinds.node(try options.stateDirectory)
            let manifest = try options.manifests.load(kinds)
            try options.requirePrivilege(to: "change the node")
            let lock = try await lockNode()
            let progress = Progress("the apply")
            let reconciler = Reconciler(kinds: kinds.all) { id, _, _ in progress.count(id) }
            let words = "what is done stays; `sdagent plan` shows the rest, and another apply goes on from there"
            let report = await Interruption.telling(words) {
                await progress.during { await reconciler.apply(manifest.desired) }
            }
            lock.release()
            return ApplyDocument(report)
        }
    }

    func status() async throws -> StatusDocument {
        try await spoken {
            if try options.client.isAnswering() {
                return try options.client.send(.get, "/v1/status", patience: .short, as: StatusDocument.self)
            }
            let kinds = Kinds.node(try options.stateDirectory)
            let manifest = try options.manifests.load(kinds)
            try options.requirePrivilege(to: "look at the node")
            try warnOfDeafDaemon()
            let plan = await Reconciler(kinds: kinds.all).plan(manifest.desired)
            let statuses = VMKind.standing(plan.changes.map { ResourceStatus($0) }, in: manifest.desired)
            let hasDaemon = try NetworkClaim.holder(of: .run) != nil
            let rules = RulesDocument.look(kinds, hasDaemon: hasDaemon)
            return StatusDocument(daemon: nil, statuses: statuses, rules: rules, failures: plan.failures)
        }
    }

    func denied() async throws -> DeniedDocument {
        try await spoken {
            if try options.client.isAnswering() {
                return try options.client.send(.get, "/v1/denied", patience: .short, as: DeniedDocument.self)
            }
            let kinds = Kinds.node(try options.stateDirectory)
            let manifest = try options.manifests.load(kinds)
            try options.requirePrivilege(to: "look at the node")
            try warnOfDeafDaemon()
            return try DeniedDocument.look(kinds, manifest.desired)
        }
    }

    private func request() throws -> [UInt8] {
        try JSONText.compact(ManifestRequest(try options.manifests.read()))
    }

    /// What to say of a daemon that has this state and does not answer on this socket; nil where there is none.
    private func deafDaemon(_ state: StateDirectory) throws -> String? {
        guard try StateLock.isHeld(.run, in: state) else { return nil }
        let holder = StateLock.holder(of: .run, in: state).map { " (pid \($0))" } ?? ""
        return "a daemon\(holder) keeps the state \(state.path), but it does not answer on \(try options.socketPath): "
            + "give its socket with --socket, or wait until it has started or ended"
    }

    /// A look does no harm beside a daemon, but it does not know what the daemon serves.
    private func warnOfDeafDaemon() throws {
        let state = try options.stateDirectory
        if let words = try? deafDaemon(state) {
            Terminal.error("sdagent: warning: \(words)\n")
        } else if let holder = try? NetworkClaim.holder(of: .run) {
            let words = "\(holder) keeps this network namespace, with another state; an apply would be refused"
            Terminal.error("sdagent: warning: \(words)\n")
        }
    }

    /// One apply at a time on one state directory and in one network namespace, and none behind the back of a daemon.
    private func lockNode() async throws -> NodeLock {
        let state = try options.stateDirectory
        try state.prepare()
        if let words = try deafDaemon(state) { throw CommandError(words) }
        try refuseForeignDaemon()
        let lock = try await NodeLock.take(in: state, ofNetwork: true, patience: Self.patience) { who in
            let seconds = Self.patience.components.seconds
            Terminal.error("sdagent: \(who) is changing this node; waiting up to \(seconds) s …\n")
        }
        // One that has started meanwhile waits for us; it must not find its work undone afterwards.
        do { try refuseForeignDaemon() } catch {
            lock.release()
            throw error
        }
        return lock
    }

    private func refuseForeignDaemon() throws(ClaimError) {
        if let holder = try NetworkClaim.holder(of: .run) { throw .kept(holder) }
    }

    private func spoken<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch {
            throw CommandError(error)
        }
    }
}
