import Glibc
import IOLoop
import Testing

@Suite struct SocketOperationTests {
    @Test func bytesGoThroughASocketPairInPiecesOfOneMessage() async throws {
        let (left, right) = socketPair()
        defer { for end in [left, right] { close(end) } }
        try await withLoop { storage in
            let journal = Journal()
            let memory = await storage.run { loop -> Confined<UnsafeMutableRawPointer> in
                let memory = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 16)
                memory.copyMemory(from: "one,two", byteCount: 7)
                let vectors = (memory + 1024).bindMemory(to: IOVector.self, capacity: 2)
                vectors[0] = IOVector(memory, 4)
                vectors[1] = IOVector(memory + 4, 3)
                let probe = LoopProbe(on: loop, journal)
                probe.whenCompleted = { probe, heard in if heard.tag == 2 { probe.retire() } }
                loop.receive(right, into: memory + 512, count: 7, whole: true, for: probe, tag: 2)
                loop.send(left, vectors, count: 2, header: memory + 2048, for: probe, tag: 1)
                return Confined(memory, to: loop)
            }
            let heard = await journal.wait(for: 3)
            #expect(heard.prefix(2).map(\.result) == [7, 7] && heard.last?.result == Journal.gone)
            let text = await storage.run { loop in
                let memory = memory.open(on: loop)
                defer { memory.deallocate() }
                return String(decoding: UnsafeRawBufferPointer(start: memory + 512, count: 7), as: UTF8.self)
            }
            #expect(text == "one,two")
        }
    }

    @Test func anAbsentPeerIsAnErrorAndNotASignal() async throws {
        let (left, right) = socketPair()
        close(right)
        defer { close(left) }
        try await withLoop { storage in
            let journal = Journal()
            await storage.run { loop in
                guard let buffer = loop.buffers.take(1) else { return }
                loop.send(left, buffer.start, count: 10, for: LoopProbe(on: loop, journal), tag: 1)
            }
            #expect(await journal.wait(for: 1).map(\.result) == [-EPIPE])
        }
    }

    @Test func aWaitingReceiveCanBeCancelled() async throws {
        let (left, right) = socketPair()
        defer { for end in [left, right] { close(end) } }
        try await withLoop { storage in
            let journal = Journal()
            await storage.run { loop in
                guard let buffer = loop.buffers.take(1) else { return }
                let probe = LoopProbe(on: loop, journal)
                loop.receive(right, into: buffer.start, count: 10, for: probe, tag: 7)
                loop.cancel(7, of: probe, tag: 8)
            }
            let heard = await journal.wait(for: 2)
            #expect(Set(heard.map(\.tag)) == [7, 8])
            #expect(heard.contains { $0.tag == 7 && $0.result == -ECANCELED })
        }
    }

    @Test func everythingOnADescriptorIsCancelledAtOnce() async throws {
        let (left, right) = socketPair()
        defer { for end in [left, right] { close(end) } }
        try await withLoop { storage in
            let journal = Journal()
            await storage.run { loop in
                guard let buffer = loop.buffers.take(1) else { return }
                let probe = LoopProbe(on: loop, journal)
                loop.receive(right, into: buffer.start, count: 10, for: probe, tag: 1)
                loop.poll(right, events: Int16(POLLIN), for: probe, tag: 2)
                loop.cancelAll(on: right, for: probe, tag: 3)
            }
            let heard = await journal.wait(for: 3)
            #expect(heard.first { $0.tag == 1 }?.result == -ECANCELED)
            #expect(heard.first { $0.tag == 2 }?.result == -ECANCELED)
        }
    }

    @Test func aListenerGivesEachConnectionUntilItIsCancelled() async throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        try withUnsafeMutablePointer(to: &address) { address in
            try address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                try #require(bind(listener, address, length) == 0)
                try #require(listen(listener, 8) == 0)
                try #require(getsockname(listener, address, &length) == 0)
            }
        }
        let destination = address
        try await withLoop { storage in
            let journal = Journal()
            let probe = await storage.run { loop in
                let probe = LoopProbe(on: loop, journal)
                loop.accept(listener, for: probe, tag: 1)
                return Confined(probe, to: loop)
            }
            for round in 1...3 {
                let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                var destination = destination
                let result = withUnsafeMutablePointer(to: &destination) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(client, $0, length) }
                }
                #expect(result == 0)
                let heard = await journal.wait(for: round)
                #expect(heard.count == round && heard.allSatisfy { $0.result >= 0 && $0.more })
                if let last = heard.last { close(last.result) }
                close(client)
            }
            await storage.run { loop in loop.cancel(1, of: probe.open(on: loop), tag: 2) }
            let heard = await journal.wait(for: 5)
            #expect(heard.contains(.init(tag: 1, result: -ECANCELED)))
        }
    }
}
