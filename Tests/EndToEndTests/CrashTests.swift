import Glibc
import TestSupport
import Testing

/// The daemon's end in the middle of writes: what was flushed is there, and the image has no error.
@Suite(.enabled(if: TestNamespace.isPossible && haveTools("qemu-io", "qemu-img")))
struct CrashTests {
    /// One write of the load: odd sizes at odd places, so that clusters are cut and shared.
    private struct Write {
        let offset: Int
        let length: Int
        let pattern: Int

        init(_ number: Int) {
            // 7919 is prime to the number of places: the places are scattered, and none is written twice.
            offset = (number * 7919 % 10_000) * 24_576
            length = 4096 * (1 + number % 6)
            pattern = 1 + number % 255
        }
    }

    @Test(arguments: [(40, SIGKILL), (400, SIGKILL), (200, SIGTERM)])
    func noFlushedByteIsLost(after enough: Int, by signal: Int32) async throws {
        try await DiskNode.with { disks, daemon in
            let node = disks.node
            let said = node.directory.file("writes")
            var words = disks.inside(["stdbuf", "-oL", "qemu-io", "--image-opts"])
            for number in 0..<1500 {
                let write = Write(number)
                words += ["-c", "write -P \(write.pattern) \(write.offset) \(write.length)", "-c", "flush"]
            }
            try await RunningCommand.with(words + [disks.options()], log: said) { _ in
                let isBusy = try await eventually(within: 60) { try written(said) >= enough }
                let heard = try text(ofFile: said).suffix(500)
                #expect(isBusy, "\(heard)")
                daemon.signal(signal)
                #expect(try await daemon.isGone(within: 20))
            }
            // The flush after a write has ended where the next write has begun.
            let flushed = try written(said) - 1
            try #require(flushed >= enough - 1)

            let image = try await disks.image("one")
            let check = try await command(["qemu-img", "check", image])
            let isGood = check.code == 0 || (check.code == 3 && signal == SIGKILL)
            #expect(isGood, "no error, and leaks only where nobody could tidy up: \(check)")
            try await verify(flushed, ["-f", "qcow2", image], node)
            try await node.withDaemon { _ in try await verify(flushed, ["--image-opts", disks.options()], node) }
        }
    }

    private func written(_ log: String) throws -> Int {
        try text(ofFile: log).split(separator: "\n").count { $0.hasPrefix("wrote ") }
    }

    private func verify(_ count: Int, _ disk: [String], _ node: AgentNode) async throws {
        var words = node.space.inside(["qemu-io", "-r"])
        for number in 0..<count {
            let write = Write(number)
            words += ["-c", "read -P \(write.pattern) \(write.offset) \(write.length)"]
        }
        let read = try await command(words + disk, seconds: 90)
        #expect(read.code == 0, "\(read.error)")
        #expect(!read.output.contains("verification failed"), "\(read.output.suffix(500))")
        #expect(read.output.split(separator: "\n").count { $0.hasPrefix("read ") } == count)
    }
}
