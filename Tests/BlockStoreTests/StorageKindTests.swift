import Foundation
import IOLoop
import Logging
import Manifest
import Reconcile
import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// Pools, images and volumes from the manifest to the file system and back.
@Suite(.ownThreads, .enabled(if: Witness.isHere))
struct StorageKindTests {
    /// A state directory and what is applied to it.
    struct Node {
        let scratch: Scratch
        let places: PoolPlaces
        var disks: OpenDisks?

        init(disks: OpenDisks? = nil) throws {
            scratch = try Scratch()
            places = PoolPlaces(state: scratch.file("state"))
            self.disks = disks
        }

        private var kinds: [any ResourceKind] {
            [PoolKind(places, disks: disks), ImageKind(places), VolumeKind(places, disks: disks)]
        }

        func load(_ text: String) -> (Desired?, [String]) {
            let loader = DesiredLoader(
                sections: [PoolKind.section(places), ImageKind.section, VolumeKind.section],
                derivations: [PoolKind.derivation, VolumeKind.derivation], kinds: kinds)
            let diagnostics = Diagnostics()
            let source = Source(file: "test.yaml", directory: scratch.path.string, text: text)
            return (loader.load([source], diagnostics), diagnostics.all.map(\.message))
        }

        func desired(_ text: String, at location: SourceLocation = #_sourceLocation) throws -> Desired {
            let (desired, messages) = load(text)
            return try #require(desired, "\(messages)", sourceLocation: location)
        }

        func plan(_ text: String) async throws -> [String] {
            await Reconciler(kinds: kinds).plan(try desired(text)).changes.map { "\($0.id) \($0.change.word)" }
        }

        @discardableResult
        func apply(_ text: String) async throws -> [String: ResourceStatus] {
            let report = await Reconciler(kinds: kinds).apply(try desired(text))
            return Dictionary(uniqueKeysWithValues: report.statuses.map { ($0.id.description, $0) })
        }

        func pool(_ name: String) -> FilePath { places.directory.appending(name) }
    }

    static let two = """
        pools: { fast: }
        volumes:
          data: { pool: fast, size: 1GiB }
          plain: { pool: fast, size: 4MiB, format: raw }
        """

    @Test
    func `a pool and its volumes are made, and a second apply finds nothing to do`() async throws {
        let node = try Node()
        #expect(try await node.plan(Self.two) == ["pool/fast create", "volume/data create", "volume/plain create"])
        let status = try await node.apply(Self.two)
        #expect(status.values.allSatisfy { $0.state == .converged }, "\(status)")
        #expect(try await node.plan(Self.two) == ["pool/fast none", "volume/data none", "volume/plain none"])
        try Witness.check(node.pool("fast").appending("data.qcow2"))
        let mode = try #require(try File.status(of: node.pool("fast")))
        #expect(mode.permissions == 0o700)
        #expect(try File.status(of: node.pool("fast").appending("plain.raw"))?.length == 4 << 20)
    }

    @Test
    func `a volume grows, does not shrink, and outlives its manifest`() async throws {
        let node = try Node()
        try await node.apply(Self.two)
        let path = node.pool("fast").appending("data.qcow2")
        try Witness.io(path, "write -P 7 0 1M")
        let larger = Self.two.replacingOccurrences(of: "1GiB", with: "600GiB")
            .replacingOccurrences(of: "4MiB", with: "8MiB")
        #expect(try await node.plan(larger).filter { $0.hasSuffix("update") }.count == 2)
        #expect(try await node.apply(larger).values.allSatisfy { $0.state == .converged })
        try Witness.check(path)
        try Witness.io(path, "read -P 7 0 1M", "write -P 8 599G 64k", "read -P 8 599G 64k")
        try Witness.check(path)
        let smaller = try await node.apply(Self.two)
        #expect(smaller["volume/data"]?.state == .unsupported)
        let gone = try await node.apply("pools: {}")
        #expect(gone["volume/data"]?.state == .orphan)
        #expect(gone["volume/plain"]?.state == .orphan)
        #expect(gone["pool/fast"]?.state == .orphan)
        try Witness.io(path, "read -P 7 0 1M")
        #expect(try await node.apply(larger).values.allSatisfy { $0.state == .converged })
    }

    @Test
    func `an open volume grows through the disk that serves it`() async throws {
        let loop = try StorageLoop()
        let disks = OpenDisks(on: loop, logger: Logger(label: "test"))
        let node = try Node(disks: disks)
        try await node.apply(Self.two)
        let desired = try node.desired(Self.two)
        let place = try #require(VolumeKind.place(of: "data", desired))
        let disk = try await disks.acquire(place)
        let again = try await disks.acquire(place)
        #expect(disk === again)
        let larger = Self.two.replacingOccurrences(of: "1GiB", with: "2GiB")
        #expect(try await node.apply(larger)["volume/data"]?.state == .converged)
        #expect(await disk.run { $0.length } == 2 << 30)
        try await disks.release("data")
        try await disks.release("data")
        try Witness.check(node.pool("fast").appending("data.qcow2"))
        await loop.stop()
    }

    @Test
    func `a volume that a dying process still locks is opened when it has gone`() async throws {
        let loop = try StorageLoop()
        let disks = OpenDisks(on: loop, logger: Logger(label: "test"))
        let node = try Node(disks: disks)
        try await node.apply(Self.two)
        let place = try #require(VolumeKind.place(of: "data", node.desired(Self.two)))
        let path = node.pool("fast").appending("data.qcow2")
        let held = try ImageFile(path, .write)
        #expect(throws: ImageError.locked) { try ImageFile(path, .write) }
        // On a thread of its own: those that run tasks may all be waiting for something else.
        Thread.detachNewThread {
            Thread.sleep(forTimeInterval: 0.3)
            #expect(throws: Never.self) { try held.unlock() }
        }
        let disk = try await disks.acquire(place)
        #expect(await disk.run { $0.length } == 1 << 30)
        try await disks.release("data")
        await loop.stop()
    }

    @Test
    func `what is not ours is a conflict and stays as it is`() async throws {
        let node = try Node()
        try await node.apply("pools: { fast: }")
        let path = node.pool("fast").appending("data.qcow2")
        try Witness.must("qemu-img", "create", "-q", "-f", "qcow2", path.string, "1G")
        let before = try Witness.must("sha256sum", path.string)
        let status = try await node.apply(Self.two)
        #expect(status["volume/data"]?.state == .conflict)
        #expect(status["volume/plain"]?.state == .converged)
        #expect(try Witness.must("sha256sum", path.string) == before)
        // A directory with other people's files does not become a pool.
        let other = node.scratch.file("other")
        try File.makeDirectory(other, permissions: 0o755)
        try ImageFile.touch(other.appending("letter.txt"))
        let taken = try await node.apply("pools: { slow: { path: other } }")
        #expect(taken["pool/slow"]?.state == .conflict)
        #expect(try File.names(in: other) == ["letter.txt"])
    }

    @Test
    func `a pool elsewhere is found again without the manifest, and goes when it is empty`() async throws {
        let node = try Node()
        let text = "pools: { far: { path: deep/far } }\nvolumes: { v: { pool: far, size: 1MiB } }"
        #expect(try await node.apply(text).values.allSatisfy { $0.state == .converged })
        let path = node.scratch.file("deep/far/v.qcow2")
        #expect(try await node.apply("pools: {}")["volume/v"]?.state == .orphan)
        try File.remove(path)
        #expect(try await node.plan("pools: {}") == ["pool/far delete"])
        try await node.apply("pools: {}")
        #expect(try await node.plan("pools: {}") == [])
        #expect(try File.status(of: node.scratch.file("deep/far")) == nil)
    }

    @Test
    func `an empty pool's directory goes to another pool in one apply, one that holds data does not`() async throws {
        let node = try Node()
        try await node.apply("pools: { old: { path: far } }")
        #expect(try await node.plan("pools: { new: { path: far } }") == ["pool/old delete", "pool/new create"])
        let status = try await node.apply("pools: { new: { path: far } }")
        #expect(status["pool/new"]?.state == .converged)
        #expect(try await node.plan("pools: { new: { path: far } }") == ["pool/new none"])

        try await node.apply("pools: { new: { path: far } }\nvolumes: { v: { pool: new, size: 1MiB } }")
        let taken = try await node.apply("pools: { third: { path: far } }")
        #expect(taken["pool/new"]?.state == .orphan && taken["volume/v"]?.state == .orphan)
        let conflict = try #require(taken["pool/third"])
        #expect(conflict.state == .conflict && conflict.detail.contains("is pool/new, which is not empty"))
        // Another agent's pool has a mark of the same form, and is nobody's here.
        let elsewhere = try Node()
        let far = node.scratch.file("far")
        let other = try await elsewhere.apply("pools: { new: { path: mine }, third: { path: \(far) } }")
        #expect(other["pool/third"]?.state == .conflict)
        #expect(try await node.plan("pools: { new: { path: far } }").contains("pool/new none"))
    }

    @Test(arguments: ["0.10", "1.1"], [false, true])
    func `a clone shows its image, whatever QEMU wrote it`(compat: String, isCompressed: Bool) async throws {
        let node = try Node()
        let made = node.scratch.file("made.qcow2")
        let source = node.scratch.file("source.qcow2")
        try Witness.must("qemu-img", "create", "-q", "-f", "qcow2", made.string, "70M")
        try Witness.io(made, "write -P 1 0 1M", "write -P 2 5M 333k", "write -P 3 69M 1M", "write -z 8M 1M")
        let kind = isCompressed ? ["-c"] : []
        let outcome = try Witness.run(
            "qemu-img", ["convert", "-O", "qcow2", "-o", "compat=\(compat)"] + kind + [made.string, source.string])
        #expect(outcome.status == 0, "\(outcome.output)")
        let hash = try Witness.must("sha256sum", source.string).prefix(64)
        let text = """
            pools: { fast: }
            images: { base: { pool: fast, source: source.qcow2, sha256: "\(hash)" } }
            volumes: { clone: { pool: fast, size: 100MiB, image: base } }
            """
        let status = try await node.apply(text)
        #expect(status.values.allSatisfy { $0.state == .converged }, "\(status)")
        let path = node.pool("fast").appending("clone.qcow2")
        try Witness.check(path)
        try Witness.check(node.pool("fast").appending("images/base.qcow2"))
        try Witness.must("qemu-img", "compare", made.string, node.pool("fast").appending("images/base.qcow2").string)
        try await DiskSession.with(node.pool("fast"), "clone.qcow2") { session in
            #expect(try await session.read(5 << 20, 4096) == [UInt8](repeating: 2, count: 4096))
            try await session.write((5 << 20) + 8192, [UInt8](repeating: 9, count: 4096))
        }
        try Witness.check(path)
        try Witness.io(
            path, "read -P 1 0 1M", "read -P 2 5M 8k", "read -P 9 5128k 4k", "read -P 2 5132k 321k", "read -P 3 69M 1M",
            "read -P 0 70M 30M")
        // The image stays as long as the clone builds on it, and goes after.
        let alone = "pools: { fast: }\nvolumes: { clone: { pool: fast, size: 100MiB } }"
        let orphan = try await node.apply(alone)
        #expect(orphan["image/base"]?.state == .orphan)
        #expect(orphan["volume/clone"]?.state == .conflict)
        try File.remove(path)
        #expect(try await node.plan("pools: { fast: }") == ["image/base delete", "pool/fast none"])
    }

    @Test
    func `an image that cannot be taken is refused with the remedy`() async throws {
        let node = try Node()
        let base = node.scratch.file("base.qcow2")
        try Witness.must("qemu-img", "create", "-q", "-f", "qcow2", base.string, "1M")
        let chained = node.scratch.file("chained.qcow2")
        try Witness.must(
            "qemu-img", "create", "-q", "-f", "qcow2", "-b", base.string, "-F", "qcow2", chained.string)
        let zero = String(repeating: "0", count: 64)
        let text = """
            pools: { fast: }
            images:
              chained: { pool: fast, source: chained.qcow2 }
              other: { pool: fast, source: base.qcow2, sha256: "\(zero)" }
              absent: { pool: fast, source: absent.qcow2 }
              raw: { pool: fast, source: base.qcow2, format: raw }
            volumes: { v: { pool: fast, size: 1GiB, image: chained }, w: { pool: fast, size: 512B, image: raw } }
            """
        let status = try await node.apply(text)
        #expect(status["image/chained"]?.detail.contains("qemu-img convert") == true)
        #expect(status["image/other"]?.detail.contains("SHA-256") == true)
        #expect(status["image/absent"]?.detail.contains("No such file") == true)
        #expect(status["image/raw"]?.state == .converged)
        #expect(status["volume/v"]?.state == .skipped)
        #expect(status["volume/w"]?.detail.contains("no smaller") == true)
        #expect(try File.names(in: node.pool("fast").appending("images")) == ["raw.qcow2"])
    }

    @Test
    func `mistakes in the manifest are all told`() throws {
        let node = try Node()
        let (desired, messages) = node.load(
            """
            pools: { fast: { path: a, mode: 7 }, slow: }
            images:
              a: { pool: fast, source: a.img }
              b: { pool: slow, source: b.qcow2, sha256: xyz }
              c: { pool: slow, source: c.qcow2 }
            volumes:
              v: { pool: fast, size: 1000B }
              w: { size: 20 }
              x: { pool: fast, size: 1GiB, image: c }
              y: { pool: fast, size: 1GiB, image: c, format: raw }
            """)
        #expect(desired == nil)
        let expected = [
            "unknown field 'mode'", "format of 'a.img'", "64 hexadecimal", "multiple of 512B", "needs 'pool'",
            "is not a size", "its image 'c' in 'slow'", "raw volume cannot be cloned",
        ]
        for piece in expected { #expect(messages.contains { $0.contains(piece) }, "\(piece): \(messages)") }
    }
}

extension ImageFile {
    /// Makes an empty file.
    static func touch(_ path: FilePath) throws {
        _ = try File.open(path, .createNew(permissions: 0o600))
    }
}
