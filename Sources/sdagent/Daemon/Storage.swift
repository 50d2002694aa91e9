import BlockStore
import IOLoop
import Logging
import Reconcile
import ServiceLifecycle
import SystemPackage

/// The storage side of the daemon: one loop, the volumes that are open on it, and the targets that serve them.
struct Storage: Service {
    let disks: OpenDisks
    let server: TargetServer
    private let loop: StorageLoop

    /// Nil where this kernel gives no io_uring: the network side works without.
    ///
    /// - Parameter wants: hears when a disk begins to fail, or finds room again.
    init?(wants: Wants, logger: Logger) async {
        do throws(Errno) {
            loop = try StorageLoop()
        } catch {
            logger.error(
                """
                targets cannot be served, they wait: io_uring is not to be had here (\(error)); look at \
                /proc/sys/kernel/io_uring_disabled and at the limits of the container
                """)
            return nil
        }
        disks = OpenDisks(on: loop, logger: logger) { wants.add(.diskEvent) }
        server = await TargetServer(on: loop, disks: disks, logger: logger)
    }

    /// Takes note of what the daemon before has served.
    func remember(_ desired: Desired) async { await server.remember(desired) }

    /// Serves until the end is asked for; then no new connections, tasks end, disks are flushed and closed.
    func run() async throws {
        await cancelWhenGracefulShutdown {
            // A sleep that is cancelled is the only way out of it.
            while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
        }
        await stop()
    }

    func stop() async {
        await server.stop()
        await loop.stop()
    }
}
