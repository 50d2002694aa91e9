import ArgumentParser
import FoundationEssentials
import Logging
import Netlink
import ServiceLifecycle
import UnixSignals

/// The daemon's parts, and the order in which they start and end.
struct Daemon {
    private let node: NodeOptions
    private let network: NetworkClaim
    private let logger: Logger

    /// How long an orderly end may take; then what is left is cut off.
    private static let shutdownLimit = Duration.seconds(20)

    /// - Parameter network: the network namespace, claimed for as long as the daemon runs.
    init(_ node: NodeOptions, _ network: NetworkClaim, logger: Logger) {
        self.node = node
        self.network = network
        self.logger = logger
    }

    func run() async throws {
        logger.notice("sdagent \(SDAgent.version) starts")
        let wants = Wants()
        let storage = await Storage(wants: wants, logger: logger)
        do {
            try await run(storage, wants)
        } catch {
            // Stopping twice is stopping once; it is left running only where the services never began.
            await storage?.stop()
            throw error
        }
    }

    private func run(_ storage: Storage?, _ wants: Wants) async throws {
        let state = try node.stateDirectory
        let kinds = Kinds.node(state, storage: storage, tenure: .lasting)
        let paths = node.followedManifests
        let agent = Agent(kinds: kinds, paths: paths, state: state, network: network, logger: logger)
        // Initiators come back to the numbers that they know from the daemon before.
        if let last = ManifestHistory(state).newest(), let loaded = try? LoadedManifest.load(last.sources, kinds) {
            await storage?.remember(loaded.desired)
        }
        if await !agent.reload(), await !agent.recover() {
            throw CommandError(
                "the daemon has not started: the manifest has mistakes, and \(state.path) keeps none to take instead; "
                    + "mend it and see `sdagent validate`")
        }
        let supervisor = Supervisor(environment: ProcessInfo.processInfo.environment)
        // They end in the reverse order: first no more requests, then no more changes, then no more I/O.
        let services: [any Service] =
            (storage.map { [$0] } ?? []) + [
                ReconcileService(agent: agent, wants: wants, supervisor: supervisor, logger: logger),
                try KernelEvents(wants: wants, logger: logger),
                ManifestWatch(paths: paths, wants: wants),
                Hangup(wants: wants),
                ControlServer(agent: agent, socketPath: try node.socketPath, logger: logger),
                Deadline(limit: Self.shutdownLimit + .seconds(5), logger: logger),
            ]
        var configuration = ServiceGroupConfiguration(
            services: services.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        configuration.maximumGracefulShutdownDuration = Self.shutdownLimit
        try await ServiceGroup(configuration: configuration).run()
        logger.notice("sdagent has ended; links and rules stay as they are")
    }

    /// The service group tells of each step; a person wants to hear only what went wrong.
    private var quiet: Logger {
        var logger = logger
        logger.logLevel = max(logger.logLevel, .error)
        return logger
    }
}

/// Cuts off an end that does not come to one: a call that hangs in the kernel takes no notice of being cancelled.
private struct Deadline: Service {
    let limit: Duration
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
        }
        Task.detached { [limit, logger] in
            try await Task.sleep(for: limit)
            logger.critical("the end has taken longer than \(limit.components.seconds) s and is cut off")
            SDAgent.exit(withError: ExitCode(1))
        }
    }
}

/// Turns SIGHUP into a reload.
private struct Hangup: Service {
    let wants: Wants

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await _ in await UnixSignalsSequence(trapping: .sighup) { wants.add(.signal) }
        }
    }
}
