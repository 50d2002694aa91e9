import Syscall
import SystemPackage

/// What systemd is told, where it started the daemon (sd_notify(3)): datagrams to the socket in NOTIFY_SOCKET.
struct Supervisor: Sendable {
    private let socketPath: String?

    init(environment: [String: String]) { socketPath = environment["NOTIFY_SOCKET"] }

    /// The first look has ended and the control socket answers.
    func isReady() { tell("READY=1") }

    /// For TimeoutStartSec=: the first look takes its time, an image is copied perhaps.
    func isStarting() { tell("EXTEND_TIMEOUT_USEC=120000000") }

    /// For WatchdogSec=: the agent answers.
    func isAlive() { tell("WATCHDOG=1") }

    func isStopping() { tell("STOPPING=1") }

    private func tell(_ state: String) {
        guard let socketPath else { return }
        // systemd's end may be gone while it restarts itself; the next word comes soon, and nothing depends on it.
        do throws(Errno) { try UnixSocket.sendDatagram(Array(state.utf8), to: socketPath) } catch { return }
    }
}
