import Glibc
import IOLoop
import Syscall
import SystemPackage
import Testing

@Suite struct FileOperationTests {
    @Test(arguments: [false, true])
    func aFileIsWrittenAndReadThroughTheRing(registered: Bool) async throws {
        var configuration = LoopConfiguration()
        configuration.buffers = [.init(bytes: 8192, slots: 4)]
        configuration.registersBuffers = registered
        let path = FilePath("/tmp/sdt-\(getpid())-loop-\(registered)")
        let file = try File.open(path, .createNew(permissions: 0o600))
        // A file without a name goes with its descriptor, whatever ends the test.
        try File.remove(path)
        let raw = file.raw
        try await withLoop(configuration) { storage in
            let journal = Journal()
            let buffer = await storage.run { loop -> Confined<Buffer> in
                guard let buffer = loop.buffers.take(8192) else { preconditionFailure("an empty pool") }
                for index in 0..<8192 { buffer.bytes()[index] = UInt8(truncatingIfNeeded: index &* 31) }
                let probe = LoopProbe(on: loop, journal)
                probe.whenCompleted = { probe, heard in
                    switch heard.tag {
                    case 1: loop.syncData(raw, for: probe, tag: 2)
                    case 2:
                        memset(buffer.start, 0, 8192)
                        loop.read(raw, into: buffer, from: 100, count: 8000, at: 4096, for: probe, tag: 3)
                    case 3: loop.changeSpace(raw, .punchHole, at: 4096, length: 4096, for: probe, tag: 4)
                    default: probe.retire()
                    }
                }
                loop.write(raw, from: buffer, count: 8192, at: 4096, for: probe, tag: 1)
                return Confined(buffer, to: loop)
            }
            let heard = await journal.wait(for: 5)
            #expect(heard.map(\.tag) == [1, 2, 3, 4, 0])
            #expect(heard.map(\.result) == [8192, 0, 8000, 0, Journal.gone])
            let same = await storage.run { loop in
                let bytes = buffer.open(on: loop).bytes()
                return (0..<8000).allSatisfy { bytes[100 + $0] == UInt8(truncatingIfNeeded: $0 &* 31) }
            }
            #expect(same)
        }
        let hole = try File.read(file, count: 12288, at: 0)
        #expect(hole.prefix(8192).allSatisfy { $0 == 0 })
        #expect(hole.count == 12288 && hole[8193] == UInt8(truncatingIfNeeded: 4097 &* 31))
    }
}
