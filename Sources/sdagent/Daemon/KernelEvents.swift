import Logging
import NIOPosix
import Netlink
import ServiceLifecycle
import Syscall
import SystemPackage

/// Listens to what the kernel tells of links, addresses, routes and nftables, and asks for a look.
struct KernelEvents: Service {
    private let monitors: Monitors
    let wants: Wants
    let logger: Logger

    /// Several changes that come together make one look.
    private static let debounce = Duration.milliseconds(50)

    /// Listens in a network namespace: that of this process, if nothing else is said.
    init(in location: NetworkLocation = .own, wants: Wants, logger: Logger) throws {
        monitors = try Monitors(location)
        self.wants = wants
        self.logger = logger
    }

    func run() async throws {
        // Waiting blocks a thread, so it has one of its own.
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        // The wait knows of neither: it must be ended from outside, also where another service has failed.
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await listen(on: threads)
            } onGracefulShutdown: {
                monitors.wake.signal()
            }
        } onCancel: {
            monitors.wake.signal()
        }
        try await threads.shutdownGracefully()
    }

    private func listen(on threads: NIOThreadPool) async {
        while !Task.isShuttingDownGracefully && !Task.isCancelled {
            do {
                let isTold = try await threads.runIfActive { try monitors.wait() }
                guard isTold else { continue }
                try await Task.sleep(for: Self.debounce)
                if try monitors.drain() { wants.add(.kernelEvent) }
            } catch is CancellationError {
                return
            } catch {
                // Without events drift is still found, by the tick; a socket that always fails must not spin.
                logger.error("the kernel's events cannot be read: \(error); drift is now found every 30 s only")
                return await sleepUntilShutdown()
            }
        }
    }

    private func sleepUntilShutdown() async {
        await cancelWhenGracefulShutdown { try? await Task.sleep(for: .seconds(1_000_000_000)) }
    }
}

/// The sockets that are listened to, and the way to end a wait.
private final class Monitors: Sendable {
    private let routing: NetlinkMonitor
    private let nftables: NetlinkMonitor
    let wake: EventFD

    init(_ location: NetworkLocation) throws {
        routing = try location.monitor(.routing)
        nftables = try location.monitor(.nftables)
        do throws(Errno) {
            wake = try EventFD()
        } catch {
            throw NetlinkError(operation: "watch the kernel's changes", cause: .system(error))
        }
    }

    /// Blocks until the kernel tells something; false where the wait was ended.
    func wait() throws(Errno) -> Bool {
        let ready = try Readiness.wait([routing.descriptor, nftables.descriptor, wake.descriptor.raw])
        return ready[0] || ready[1]
    }

    /// Takes all that was told; whether there was anything.
    func drain() throws(NetlinkError) -> Bool {
        let links = try routing.drain()
        let rules = try nftables.drain()
        return links || rules
    }
}
