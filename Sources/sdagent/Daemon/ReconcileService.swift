import Logging
import ServiceLifecycle

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
            // The loop ends with the wants; the tick has no reason to go on then.
            await group.next()
            group.cancelAll()
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

    private func loop() async {
        var pace = Pace()
        for await want in wants.stream {
            if want == .manifestChanged || want == .signal {
                await agent.reload()
                pace.reset()
            }
            if want == .kernelEvent, let delay = pace.delay(now: .now) {
                // What the kernel tells may be the echo of our own failing attempt: come back, but not at once.
                try? await Task.sleep(for: min(delay, .milliseconds(250)))
                if pace.delay(now: .now) != nil {
                    wants.add(.kernelEvent)
                    continue
                }
            }
            let begin = ContinuousClock.now
            let isWell = await look(because: want)
            pace.ended(isWell: isWell, began: begin, now: .now)
            supervisor.isAlive()
            if want == .start { supervisor.isReady() }
        }
    }

    private func look(because want: Want) async -> Bool {
        logger.debug("looking at the node", metadata: ["because": "\(want.rawValue)"])
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
