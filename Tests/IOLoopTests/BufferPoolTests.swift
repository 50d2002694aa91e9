import IOLoop
import Testing

@Suite struct BufferPoolTests {
    private var small: LoopConfiguration {
        var configuration = LoopConfiguration()
        configuration.buffers = [.init(bytes: 4096, slots: 2), .init(bytes: 65536, slots: 1)]
        return configuration
    }

    @Test func slotsComeFromTheSmallestClassThatHasOne() async throws {
        try await withLoop(small) { storage in
            let capacities = await storage.run { loop in
                (0..<4).map { _ in loop.buffers.take(1000)?.capacity }
            }
            #expect(capacities == [4096, 4096, 65536, nil])
            #expect(await storage.run { $0.buffers.lentBytes } == 4096 * 2 + 65536)
            #expect(await storage.run { $0.buffers.budget } == 4096 * 2 + 65536)
        }
    }

    @Test func slotsDoNotOverlap() async throws {
        try await withLoop { storage in
            let overlaps = await storage.run { loop -> Bool in
                var buffers: [Buffer] = []
                for size in [1, 4096, 5000, 65536, 262_144, 1_048_576] {
                    for _ in 0..<3 { if let buffer = loop.buffers.take(size) { buffers.append(buffer) } }
                }
                buffers.sort { $0.start < $1.start }
                return zip(buffers, buffers.dropFirst()).contains { $0.start + $0.capacity > $1.start }
            }
            #expect(!overlaps)
        }
    }

    @Test func whoeverWaitsIsToldWhenASlotComesBack() async throws {
        try await withLoop(small) { storage in
            let journal = Journal()
            await storage.run { loop in
                guard let buffer = loop.buffers.take(65536) else { return }
                #expect(loop.buffers.take(65536) == nil)
                let probe = LoopProbe(on: loop, journal)
                loop.callWhenBuffersReturn(probe)
                probe.whenCompleted = { _, _ in loop.buffers.give(buffer) }
                loop.nop(for: probe, tag: 1)
            }
            let heard = await journal.wait(for: 2)
            #expect(heard.map(\.result) == [0, Journal.buffers])
            #expect(await storage.run { $0.buffers.take(65536) != nil })
        }
    }

    @Test func nothingFitsThatIsLargerThanTheLargestClass() async throws {
        try await withLoop(small) { storage in
            #expect(await storage.run { $0.buffers.take(65537) == nil })
            #expect(await storage.run { $0.buffers.largest } == 65536)
        }
    }

    @Test func nobodyTakesWhatOthersNeed() async throws {
        var configuration = LoopConfiguration()
        configuration.buffers = [.init(bytes: 4096, slots: 8), .init(bytes: 65536, slots: 8)]
        try await withLoop(configuration) { storage in
            let counts = await storage.run { loop -> [Int] in
                var counts: [Int] = []
                for _ in 0..<5 {
                    var share = BufferShare()
                    var count = 0
                    while loop.buffers.take(65536, of: &share) != nil { count += 1 }
                    counts.append(count)
                }
                return counts
            }
            // Half of all, half of what is left, and so on; the last finds nothing.
            #expect(counts == [4, 2, 1, 1, 0])
        }
    }

    @Test func whoGivesBackMayTakeAgain() async throws {
        try await withLoop(small) { storage in
            await storage.run { loop in
                var share = BufferShare()
                guard let first = loop.buffers.take(1, of: &share) else { preconditionFailure("an empty pool") }
                let second = loop.buffers.take(1, of: &share)
                #expect(second != nil, "one is held and two are free")
                #expect(loop.buffers.take(1, of: &share) == nil, "two are held and one is free")
                #expect(loop.buffers.bytes(of: share) == 8192 && !share.isEmpty)
                loop.buffers.give(first, to: &share)
                #expect(loop.buffers.take(1, of: &share) != nil)
                #expect(loop.buffers.lentBytes == 8192)
            }
        }
    }

    @Test func receiveBuffersAreApart() async throws {
        try await withLoop(small) { storage in
            await storage.run { loop in
                while loop.buffers.take(1) != nil {}
                #expect(loop.receiveBuffers.take(loop.receiveBuffers.largest) != nil)
            }
        }
    }
}
