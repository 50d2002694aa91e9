import ArgumentParser
import FoundationEssentials
import Logging
import ServiceLifecycle
import Syscall
import SystemPackage
import UnixSignals

/// The daemon: keeps the manifest applied and serves the targets until it is told to stop.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run the daemon: keep the manifest applied, serve the targets.",
        discussion: """
            It follows the manifest's files and repairs drift. SIGHUP reads the files again, SIGTERM ends it: what is \
            under way is finished and flushed; links and rules stay. An `apply` becomes its desired state until the \
            files change.
            """)

    @OptionGroup var node: NodeOptions

    @Option(help: ArgumentHelp("What to log: this and what is worse.", valueName: "level"))
    var logLevel = LogLevel.info

    func run() async throws {
        try node.requirePrivilege(to: "run the daemon")
        // What the daemon makes is root's alone unless it says otherwise; the control socket above all.
        OwnProcess.setCreationMask(0o077)
        OwnProcess.useOneHeap()
        do {
            let lock = try claimState()
            guard let network = try NetworkClaim.take(.run) else {
                throw ClaimError.kept(try NetworkClaim.holder(of: .run) ?? .unknown)
            }
            try ControlSocket(path: try node.socketPath).clear()
            try await Daemon(node, network, logger: logger).run()
            lock.release()
        } catch {
            throw CommandError(error)
        }
    }

    private var logger: Logger {
        let environment = ProcessInfo.processInfo.environment
        return Logger(label: "sdagent") { _ in LogStream(level: logLevel.level, environment: environment) }
    }

    /// Makes sure that no other daemon has this state.
    private func claimState() throws -> StateLock {
        let state = try node.stateDirectory
        try state.prepare()
        guard let lock = try StateLock.take(.run, in: state) else {
            let holder = StateLock.holder(of: .run, in: state).map { " (pid \($0))" } ?? ""
            throw CommandError(
                "another daemon\(holder) keeps the state \(state.path): stop it, or give this one another --state")
        }
        return lock
    }
}

/// The levels of the log, as words of the command line.
enum LogLevel: String, ExpressibleByArgument, CaseIterable {
    case trace, debug, info, notice, warning, error

    var level: Logger.Level {
        switch self {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}
