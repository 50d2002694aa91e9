import Logging
import ServiceLifecycle
import Syscall

/// The loop that keeps the manifest applied: it waits for a reason to look, looks, and repairs what differs.
struct ReconcileService: Service {
    let agent: Agent
    let wants: Wants
    let supervisor: Supervisor
    let logger: Logger

    /// How often it looks without any reason.
    private static let interval = Duration.seconds(30)

    func run() async throws {
        wants.add(.start)
        await withTaskGroup { group in
            group.addTask { await tick() }
            group.addTask { await loop() }
            group.addTask { await beat() }
            // When the end is asked for, the tick ends the wants, and the loop with its present look.
            await group.waitForAll()
        }
    }

    private func tick() async {
        await cancelWhenGracefulShutdown {
            while true {
                do { try await Task.sleep(for: Self.interval) } catch { break }
                wants.add(.tick)
            }
        }
        wants.finish()
    }

    /// Tells systemd every now and then that the agent answers, however long a look takes.
    private func beat() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let isStarting = await agent.status.daemon?.looked == nil
                if isStarting { supervisor.isStarting() } else { supervisor.isAlive() }
                try? await Task.sleep(for: Self.interval)
            }
        }
        supervisor.isStopping()
    }

    private func loop() async {
        var pace = Pace()
        var began = ContinuousClock.now
        for await want in wants.stream {
            // What was wanted before the end was asked for can wait for the next daemon.
            if Task.isShuttingDownGracefully || Task.isCancelled { break }
            switch want.reason {
            case .start: break
            case .manifestChanged, .signal:
                await agent.reload()
                pace.reset()
            case .kernelEvent, .diskEvent, .tick:
                if want.time < began { continue }
                if want.reason == .tick { await agent.settle() }
            }
            if want.reason.isFrequent, let delay = pace.delay(now: .now) {
                // What the kernel tells may be the echo of our own failing attempt: come back, but not at once.
                try? await Task.sleep(for: min(delay, .milliseconds(250)))
                if pace.delay(now: .now) != nil {
                    wants.add(want)
                    continue
                }
            }
            began = .now
            let isWell = await look(because: want.reason)
            pace.ended(isWell: isWell, began: began, now: .now)
            if want.reason == .start { supervisor.isReady() }
            // Nobody waits now.
            if want.reason == .start || want.reason == .tick { OwnProcess.returnMemory() }
        }
    }

    private func look(because reason: Want.Reason) async -> Bool {
        logger.debug("looking at the node", metadata: ["because": "\(reason.rawValue)"])
        do {
            let apply = try await agent.reconcile()
            return apply.map { $0.exitCode == 0 } ?? true
        } catch {
            logger.error("the node could not be reconciled: \(error)")
            return false
        }
    }
}

/// How soon the kernel's events may cause the next look.
///
/// A look that changes the node echoes as events. While all is well the next look finds nothing to do and the echo
/// ends there; while something keeps failing, each attempt would cause the next one, so they wait longer and longer.
struct Pace: Sendable {
    private static let longest = Duration.seconds(30)

    private var backOff: Duration?
    private var earliest: ContinuousClock.Instant?

    /// How long to wait before a look that an event asks for; nil if there is no need.
    func delay(now: ContinuousClock.Instant) -> Duration? {
        guard let earliest, earliest > now else { return nil }
        return earliest - now
    }

    mutating func ended(isWell: Bool, began: ContinuousClock.Instant, now: ContinuousClock.Instant) {
        if isWell {
            backOff = nil
            // A look that takes long must leave the processor to others for as long again.
            earliest = now + (now - began)
        } else {
            let next = backOff.map { min($0 * 2, Self.longest) } ?? .seconds(1)
            backOff = next
            earliest = now + next
        }
    }

    mutating func reset() {
        backOff = nil
        earliest = nil
    }
}
