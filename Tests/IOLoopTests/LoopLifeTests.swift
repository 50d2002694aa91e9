import Glibc
import IOLoop
import Testing

@Suite struct LoopLifeTests {
    @Test func timersRunOutInOrderAndCancelledOnesDoNot() async throws {
        try await withLoop { storage in
            let journal = Journal()
            await storage.run { loop in
                let probe = LoopProbe(on: loop, journal)
                _ = loop.setTimer(after: .milliseconds(30), for: probe, tag: 3)
                _ = loop.setTimer(after: .milliseconds(10), for: probe, tag: 1)
                let cancelled = loop.setTimer(after: .milliseconds(15), for: probe, tag: 9)
                _ = loop.setTimer(after: .milliseconds(20), for: probe, tag: 2)
                _ = loop.setTimer(after: .zero, for: probe, tag: 0)
                loop.cancel(cancelled)
            }
            let heard = await journal.wait(for: 4)
            #expect(heard.map(\.tag) == [0, 1, 2, 3])
            #expect(heard.allSatisfy { $0.result == Journal.timer })
        }
    }

    @Test func theTimersOfARetiredHandlerAreForgotten() async throws {
        try await withLoop { storage in
            let journal = Journal()
            await storage.run { loop in
                let probe = LoopProbe(on: loop, journal)
                _ = loop.setTimer(after: .milliseconds(5), for: probe, tag: 1)
                probe.retire()
                _ = loop.setTimer(after: .milliseconds(20), for: LoopProbe(on: loop, journal), tag: 2)
            }
            let heard = await journal.wait(for: 2)
            #expect(heard == [.init(tag: 0, result: Journal.gone), .init(tag: 2, result: Journal.timer)])
        }
    }

    @Test func aSleepingLoopIsWokenForEveryCall() async throws {
        try await withLoop { storage in
            var turns: [UInt64] = []
            for _ in 0..<20 {
                turns.append(await storage.run { $0.turns })
                try await Task.sleep(for: .milliseconds(1))
            }
            #expect(zip(turns, turns.dropFirst()).allSatisfy { $0 < $1 })
        }
    }

    @Test func manyTasksMayCallAtOnce() async throws {
        try await withLoop { storage in
            let journal = Journal()
            let probe = await storage.run { loop in Confined(LoopProbe(on: loop, journal), to: loop) }
            await withTaskGroup(of: Void.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        for call in 0..<100 {
                            await storage.run { loop in
                                loop.nop(for: probe.open(on: loop), tag: UInt32(task * 100 + call))
                            }
                        }
                    }
                }
            }
            let heard = await journal.wait(for: 800)
            #expect(Set(heard.map(\.tag)) == Set(0..<800))
        }
    }

    @Test func moreOperationsThanTheRingHoldsAllComplete() async throws {
        var configuration = LoopConfiguration()
        configuration.entries = 8
        configuration.completions = 32
        try await withLoop(configuration) { storage in
            let journal = Journal()
            await storage.run { loop in
                let probe = LoopProbe(on: loop, journal)
                for tag in 0..<UInt32(1000) { loop.nop(for: probe, tag: tag) }
            }
            let heard = await journal.wait(for: 1000)
            #expect(heard.map(\.tag) == Array(0..<1000))
        }
    }

    @Test func theHookAtTheEndOfABatchRunsOnce() async throws {
        try await withLoop { storage in
            let journal = Journal()
            await storage.run { loop in
                let probe = LoopProbe(on: loop, journal)
                loop.callAtBatchEnd(probe)
                loop.callAtBatchEnd(probe)
                loop.nop(for: probe, tag: 5)
            }
            let heard = await journal.wait(for: 2)
            #expect(heard.filter { $0.result == Journal.batchEnd }.count == 1)
            #expect(heard.count == 2)
        }
    }

    @Test func stoppingEndsWhatWaitsAndKeepsWhatRuns() async throws {
        let (left, right) = socketPair()
        defer { for end in [left, right] { close(end) } }
        var configuration = LoopConfiguration()
        configuration.drainLimit = .milliseconds(50)
        let storage = try StorageLoop(configuration)
        let journal = Journal()
        await storage.run { loop in
            guard let buffer = loop.buffers.take(1) else { return }
            // This one does not listen to the loop's wish: it is cancelled when the time is up.
            loop.receive(right, into: buffer.start, count: 1, for: LoopProbe(on: loop, journal), tag: 1)
        }
        await storage.stop()
        #expect(journal.all.prefix(2).map(\.result) == [Journal.stopping, -ECANCELED])
        // A stopped loop still answers, and may be stopped again.
        #expect(await storage.run { $0.operationsInFlight } == 0)
        await storage.stop()
    }

    @Test func manyStoppedLoopsLeaveNothingOpen() async throws {
        // In a process of its own: other tests run beside this one and open descriptors too.
        await #expect(processExitsWith: .success) {
            let before = try openDescriptors()
            for _ in 0..<20 {
                let storage = try StorageLoop()
                async let answers = withTaskGroup(of: Int.self) { group in
                    for _ in 0..<4 { group.addTask { await storage.run { $0.operationsInFlight } } }
                    return await group.reduce(0) { $0 + $1 }
                }
                await storage.stop()
                #expect(await answers >= 0)
            }
            // The first loop may have opened what all later ones share.
            #expect(try openDescriptors() < before + 5)
        }
    }
}

private func openDescriptors() throws -> Int {
    let directory = try #require(opendir("/proc/self/fd"))
    defer { closedir(directory) }
    var count = 0
    while readdir(directory) != nil { count += 1 }
    return count
}
