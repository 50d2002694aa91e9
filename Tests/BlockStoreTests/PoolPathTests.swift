import Reconcile
import Syscall
import SystemPackage
import Testing

@testable import BlockStore

/// What a pool's path may be, and what may lie there.
struct PoolPathTests {
    typealias Node = StorageKindTests.Node

    @Test(arguments: [("\"\"", "is empty"), ("/", "is the root directory"), ("/tmp/..", "is the root directory")])
    func `a path that cannot be meant is a mistake`(path: String, words: String) throws {
        let (desired, messages) = try Node().load("pools: { p: { path: \(path) } }")
        #expect(desired == nil && messages.contains { $0.contains("'path' of pool 'p' \(words)") }, "\(messages)")
    }

    @Test
    func `a directory with anything in it is not ours, hidden or not`() async throws {
        let node = try Node()
        for name in [".bashrc", "letter.txt"] {
            let home = node.scratch.file("home\(name)")
            try File.makeDirectory(home, permissions: 0o700)
            try ImageFile.touch(home.appending(name))
            let status = try await node.apply("pools: { r: { path: \(home) } }")["pool/r"]
            #expect(status?.state == .conflict && status?.detail.contains("not ours") == true)
            #expect(try File.names(in: home) == [name])
        }
        // What a making that was cut short has left is no file of others.
        let begun = node.scratch.file("begun")
        try File.makeDirectory(begun, permissions: 0o700)
        try ImageFile.touch(begun.appending(".\(PoolPlaces.marker).new"))
        #expect(try await node.apply("pools: { r: { path: begun } }")["pool/r"]?.state == .converged)
    }

    @Test(arguments: ["file", "file/below"])
    func `a file is no directory, and no trouble of other pools`(path: String) async throws {
        let node = try Node()
        try ImageFile.touch(node.scratch.file("file"))
        let status = try await node.apply("pools: { p: { path: \(path) }, q: }")
        #expect(status["pool/p"]?.state == .conflict, "\(status)")
        #expect(status["pool/q"]?.state == .converged, "\(status)")
        #expect(try File.status(of: node.scratch.file("file"))?.kind == .file)
    }

    @Test
    func `an orphan tells its own files from others`() async throws {
        let node = try Node()
        try await node.apply(StorageKindTests.two)
        try ImageFile.touch(node.pool("fast").appending("letter.txt"))
        let mixed = try #require(try await node.apply("pools: {}")["pool/fast"])
        #expect(mixed.detail.hasSuffix("still holds 2 volumes and images and a file that is not ours"), "\(mixed)")
    }
}
