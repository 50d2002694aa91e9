import Foundation
import ISCSI
import Reconcile
import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// Files that are not what the manifest takes them for: no regular file, another's, empty.
@Suite(.ownThreads, .enabled(if: Witness.isHere))
struct ForeignFileTests {
    private func makeFIFO(_ path: FilePath) throws {
        try #require(mkfifo(path.string, 0o600) == 0)
    }

    @Test
    func `a FIFO is opened without a writer, and a regular file keeps waiting for its bytes`() throws {
        let scratch = try Scratch()
        let fifo = scratch.file("fifo")
        try makeFIFO(fifo)
        #expect(try File.status(File.open(fifo, .read)).kind == .other)
        try ImageFile.touch(scratch.file("plain"))
        for mode in [File.Mode.read, .readWrite] {
            let file = try File.open(scratch.file("plain"), mode)
            let flags = fcntl(file.raw, F_GETFL)
            #expect(flags >= 0 && flags & O_NONBLOCK == 0)
        }
    }

    @Test
    func `images are imported from regular files that hold something`() async throws {
        let node = try StorageKindTests.Node()
        try makeFIFO(node.scratch.file("fifo.raw"))
        try ImageFile.touch(node.scratch.file("empty.raw"))
        let status = try await node.apply(
            """
            pools: { fast: }
            images:
              fifo: { pool: fast, source: fifo.raw }
              endless: { pool: fast, source: /dev/zero, format: raw }
              empty: { pool: fast, source: empty.raw }
            """)
        #expect(status["image/fifo"]?.detail.contains("is not a regular file; copy the disk") == true, "\(status)")
        #expect(status["image/endless"]?.detail.contains("is not a regular file; copy the disk") == true)
        #expect(status["image/empty"]?.detail.contains("is empty") == true)
    }

    @Test
    func `a source that is nearly all holes is imported in as many steps as it has tables`() async throws {
        let node = try StorageKindTests.Node()
        let source = node.scratch.file("vast.qcow2").string
        try Witness.must("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=2M", source, "1P")
        try Witness.must("qemu-io", "-f", "qcow2", "-c", "write -q -P 7 900T 64k", source)
        let status = try await node.apply(
            """
            pools: { fast: }
            images:
              vast: { pool: fast, source: vast.qcow2 }
            """)
        #expect(status["image/vast"]?.state == .converged, "\(status)")
        let made = node.scratch.path.appending("state/pools/fast/images/vast.qcow2")
        try Witness.must("qemu-io", "-r", "-f", "qcow2", "-c", "read -q -P 7 900T 64k", made.string)
    }

    @Test
    func `a secret is in a regular file of the agent's own user or of root`() throws {
        let scratch = try Scratch()
        let fifo = scratch.file("fifo")
        try makeFIFO(fifo)
        for path in [fifo.string, "/dev/zero", scratch.path.string] {
            let fault = #expect(throws: SecretFault.self) { try SecretFile.read(user: "vm", path: path) }
            #expect(try #require(fault).description.contains("is not a regular file: write the secret"))
        }
        let path = scratch.file("secret").string
        let made = FileManager.default.createFile(
            atPath: path, contents: Data("a secret of 12".utf8), attributes: [.posixPermissions: 0o600])
        #expect(made)
        #expect(try SecretFile.read(user: "vm", path: path).name == "vm")
        guard geteuid() == 0 else { return }
        try #require(chown(path, 65534, 65534) == 0)
        let fault = #expect(throws: SecretFault.self) { try SecretFile.read(user: "vm", path: path) }
        #expect(try #require(fault).description.contains("belongs to the user 65534"))
    }
}
