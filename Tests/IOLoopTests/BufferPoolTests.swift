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
}
