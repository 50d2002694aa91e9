import IOLoop
import Logging
import Reconcile
import Syscall
import SystemPackage
import Testing

@testable import BlockStore

/// How pools and volumes stand that are as the manifest says and do not work as they should.
@Suite(.enabled(if: Witness.isHere && SmallFileSystem.canMount))
struct ConditionTests {
    private static let manifest = """
        pools: { fast: { path: PATH } }
        volumes:
          one: { pool: fast, size: 1GiB }
          two: { pool: fast, size: 1GiB, format: raw }
        """

    /// A node whose pool has a small file system of its own.
    private struct SmallNode {
        let small: SmallFileSystem
        let loop: StorageLoop
        let disks: OpenDisks
        let node: StorageKindTests.Node
        let manifest: String

        init(bytes: Int = 4 << 20) throws {
            small = try SmallFileSystem(bytes: bytes)
            loop = try StorageLoop()
            disks = OpenDisks(on: loop, logger: LogBook().logger)
            node = try StorageKindTests.Node(disks: disks)
            manifest = ConditionTests.manifest.replacing("PATH", with: small.path.string)
        }

        func status(_ id: String) async throws -> ResourceStatus {
            try #require(try await node.apply(manifest)[id])
        }

        func open(_ volume: String) async throws -> OpenDisk {
            try await disks.acquire(try #require(VolumeKind.place(of: volume, try node.desired(manifest))))
        }
    }

    @Test(arguments: ["one", "two"])
    func `a full pool is degraded until there is room`(volume: String) async throws {
        let node = try SmallNode()
        #expect(try await node.status("pool/fast").state == .converged)
        let ballast = node.small.path.appending(".ballast")
        try node.small.fill(ballast)
        let full = try await node.status("pool/fast")
        #expect(full.state == .degraded)
        #expect(full.detail == "full: less than 1MiB of 4MiB is free; make room")
        let disk = try await node.open(volume)
        let session = DiskRequests(disk: disk)
        #expect(await session.run(.write, 0, 65536, [UInt8](repeating: 1, count: 65536)).error == .noSpace)
        let refused = try await node.status("pool/fast")
        #expect(
            refused.detail == "full: less than 1MiB of 4MiB is free, and a volume is refused new clusters; make room")
        #expect(try await node.status("volume/\(volume)").state == .converged)
        try File.remove(ballast)
        #expect(await session.run(.write, 0, 65536, [UInt8](repeating: 1, count: 65536)).error == nil)
        #expect(try await node.status("pool/fast").state == .converged)
        try await node.disks.release(volume)
        await node.loop.stop()
    }

    @Test
    func `room is judged by what is free, what is promised and who is refused`() {
        func words(_ free: UInt64, of total: UInt64, promised: UInt64 = 0, refused: Int = 0) -> String? {
            var space = PoolSpace(free: free, total: total, promised: promised)
            space.refused = refused
            return space.trouble
        }
        let (mib, gib): (UInt64, UInt64) = (1 << 20, 1 << 30)
        #expect(words(0, of: 20 * gib) == "full: less than 1MiB of 20GiB is free; make room")
        #expect(
            words(mib - 1, of: 20 * gib + 5 * mib, refused: 3)
                == "full: less than 1MiB of 20GiB is free, and 3 volumes are refused new clusters; make room")
        #expect(
            words(5 * gib, of: 20 * gib, refused: 1)
                == "full: 25% of 20GiB is free, and yet a volume is refused new clusters; look for a quota")
        #expect(words(gib / 2, of: 20 * gib, promised: gib / 2) == nil)
        #expect(
            words(gib / 2, of: 20 * gib, promised: gib)
                == "nearly full: 2% of 20GiB is free, and its volumes may ask for more; make room")
        #expect(words(5 * gib, of: 20 << 40, promised: 1 << 40) == nil)
        #expect(words(0, of: 0) == "full: less than 1MiB of 0B is free; make room")

        var space = PoolSpace(free: gib, total: 20 * gib, promised: 0)
        space.note(.refused(secondsAgo: 61))
        space.note(.failing("x"))
        #expect(space.refused == 0, "an old refusal does not count where there is room")
        space.note(.refused(secondsAgo: 59))
        #expect(space.refused == 1)
    }

    @Test
    func `a volume that is damaged or marked as corrupt is degraded`() async throws {
        let node = try SmallNode(bytes: 64 << 20)
        #expect(try await node.status("volume/one").state == .converged)
        let path = node.small.path.appending("one.qcow2")
        try Witness.io(path, "write -P 1 0 64k")
        let tables = try OverlapTests.RawTables(path)
        let l1 = try ImageFile(path, .observe).header().l1Offset.bytes
        let l2 = try tables.word(l1) & MappingEntry.offsetMask
        try tables.put(1 << 63 | l1, at: l2 + 8)
        let disk = try await node.open("one")
        let outcome = await DiskRequests(disk: disk).run(.read, 65536, 512, nil)
        #expect(outcome.error == .ioError)
        let damaged = try await node.status("volume/one")
        #expect(damaged.state == .degraded)
        #expect(damaged.detail.contains("\(path) is damaged: the L2 table's entry at \(l2 + 8)"), "\(damaged.detail)")
        try await node.disks.release("one")
        let marked = try await node.status("volume/one")
        #expect(marked.state == .degraded)
        #expect(marked.detail.contains("\(path) is marked as corrupt"), "\(marked.detail)")
        await node.loop.stop()
    }

    @Test
    func `failures are logged with the disk's name, at once and then once a second, and are forgotten`() {
        let book = LogBook()
        var health = DiskHealth(name: "volume/vm1", log: book.logger)
        let second: UInt64 = 1_000_000_000
        #expect(health.condition(at: 0) == .well)
        for step in 0..<40 { health.failed("reading 512 bytes at 7 of /p", .ioError, at: UInt64(step) * second / 20) }
        #expect(
            book.lines == [
                "error: volume/vm1: reading 512 bytes at 7 of /p: Input/output error",
                "error: volume/vm1: reading 512 bytes at 7 of /p: Input/output error; with it 19 more failures",
            ])
        #expect(health.condition(at: 2 * second) == .failing("reading 512 bytes at 7 of /p: Input/output error"))
        #expect(health.condition(at: 2 * second).fault?.hasPrefix("requests fail, the last one reading 512") == true)
        #expect(health.condition(at: 302 * second) == .well)
        health.failed("writing", .noSpace, at: 303 * second)
        #expect(health.condition(at: 400 * second) == .refused(secondsAgo: 97))
        health.foundRoom()
        #expect(health.condition(at: 401 * second) == .well)
        health.stops("it is over")
        health.stops("again")
        #expect(health.condition(at: .max) == .stopped("it is over"))
        let said = ["notice: volume/vm1: there is room again", "critical: volume/vm1: it is over"]
        #expect(book.lines.suffix(2) == said)
    }
}
