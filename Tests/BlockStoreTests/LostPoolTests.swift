import IOLoop
import Logging
import Reconcile
import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// A pool whose file system is not mounted is not made anew: its disks would be empty ones.
@Suite(.ownThreads, .enabled(if: Witness.isHere && SmallFileSystem.canMount))
struct LostPoolTests {
    typealias Node = StorageKindTests.Node

    /// The pool lies in what is mounted, or is what is mounted.
    @Test(arguments: ["mnt/pool", "mnt"])
    func `a pool that is not mounted is a conflict, and comes back whole with its mount`(path: String) async throws {
        let node = try Node()
        let mount = try BoundDirectory(in: node.scratch)
        let text = "pools: { p: { path: \(path) } }\nvolumes: { v: { pool: p, size: 64MiB } }"
        #expect(try await node.apply(text).values.allSatisfy { $0.state == .converged })
        let file = node.scratch.file(path).appending("v.qcow2")
        try Witness.io(file, "write -P 7 0 1M")

        try mount.unmount()
        #expect(try await node.plan(text) == ["pool/p conflict", "volume/v conflict"])
        let status = try await node.apply(text)
        let reason = try #require(status["pool/p"]?.detail)
        #expect(reason.contains("is its file system mounted?") && reason.contains("\(node.pool("p"))"), "\(reason)")
        #expect(status["volume/v"]?.detail.contains("waits for pool/p") == true, "\(status)")
        #expect(try File.names(in: mount.path) == [])
        // Without the manifest, too, it is told of.
        #expect(try await node.plan("pools: {}") == ["pool/p orphan"])
        // Another pool does not settle where it will come back.
        #expect(try await node.plan("pools: { q: { path: \(path) } }") == ["pool/p orphan", "pool/q conflict"])

        try mount.mount()
        #expect(try await node.plan(text) == ["pool/p none", "volume/v none"])
        try Witness.io(file, "read -P 7 0 1M")

        // Whoever wants to begin anew takes the link away.
        try mount.unmount()
        try File.remove(node.pool("p"))
        #expect(try await node.apply(text).values.allSatisfy { $0.state == .converged })
    }

    @Test
    func `a pool without its link, as a crash or a lost state directory leaves it, gets it again`() async throws {
        let node = try Node()
        let text = "pools: { p: { path: far } }"
        try await node.apply(text)
        try File.remove(node.pool("p"))
        #expect(try await node.plan(text) == ["pool/p update"])
        #expect(try await node.apply(text)["pool/p"]?.state == .converged)
        #expect(try File.target(of: node.pool("p")) == node.scratch.file("far"))
    }

    @Test
    func `what lies beneath a pool's mount is not opened in its place`() async throws {
        let node = try Node()
        let mount = try BoundDirectory(in: node.scratch)
        let text = "pools: { p: { path: mnt } }\nvolumes: { v: { pool: p, size: 64MiB } }"
        try await node.apply(text)
        try mount.unmount()
        try ImageCreate.qcow2(mount.path.appending("v.qcow2"), ImageCreate.Plan(size: 64 << 20, owner: "volume/v"))
        let loop = try StorageLoop()
        let disks = OpenDisks(on: loop, logger: Logger(label: "test"))
        let place = try #require(VolumeKind.place(of: "v", node.desired(text)))
        await #expect(throws: ImageError.noPool) { try await disks.acquire(place) }
        try mount.mount()
        _ = try await disks.acquire(place)
        try await disks.release("v")
        await loop.stop()
    }
}

/// A directory that lies on what may be unmounted and mounted again with all it holds: a bind mount. Gone with its
/// owner.
final class BoundDirectory {
    let path: FilePath
    private let store: FilePath
    // The mount goes before the directory that it lies in.
    private let scratch: Scratch
    private var isMounted = false

    /// Makes `mnt` and mounts it.
    init(in scratch: Scratch) throws {
        self.scratch = scratch
        path = scratch.file("mnt")
        store = scratch.file("store")
        try File.makeDirectory(path, permissions: 0o700)
        try File.makeDirectory(store, permissions: 0o700)
        try mount()
    }

    deinit {
        guard isMounted else { return }
        do { try unmount() } catch { Issue.record("\(path) is still mounted: \(error)") }
    }

    func mount() throws {
        try Witness.must("mount", "--bind", store.string, path.string)
        isMounted = true
    }

    /// Takes it out of sight at once, whoever still uses it.
    func unmount() throws {
        try Witness.must("umount", "-l", path.string)
        isMounted = false
    }
}
