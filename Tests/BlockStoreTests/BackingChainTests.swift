import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// Images that build on others, ours and QEMU's.
@Suite(.ownThreads, .enabled(if: Witness.isHere))
struct BackingChainTests {
    static let size = 4 << 20

    /// Makes a chain of images, the first a base; each layer above holds random writes, which the shadow follows.
    private func makeChain(
        _ scratch: Scratch, depth: Int, byQEMU: Bool, clusterBits: Int, _ shadow: inout Shadow,
        _ random: inout SeededGenerator
    ) async throws {
        for layer in 0...depth {
            let name = "layer\(layer).qcow2"
            let path = scratch.file(name)
            let backing = layer == 0 ? nil : "layer\(layer - 1).qcow2"
            if byQEMU {
                var arguments = ["create", "-q", "-f", "qcow2", "-o", "cluster_size=\(1 << clusterBits)"]
                if let backing { arguments += ["-b", backing, "-F", "qcow2"] }
                try Witness.run("qemu-img", arguments + [path.string, "\(Self.size)"])
            } else {
                var plan = ImageCreate.Plan(size: UInt64(Self.size), clusterBits: clusterBits)
                plan.backing = backing.map { ($0, "qcow2") }
                try ImageCreate.qcow2(path, plan)
            }
            guard layer < depth else { return }
            var commands: [String] = []
            for _ in 0..<12 {
                let offset = Int.random(in: 0..<Self.size / 512, using: &random) * 512
                let length = min(Int.random(in: 1...200, using: &random) * 512, Self.size - offset)
                let fill = UInt8.random(in: 1...255, using: &random)
                if fill % 5 == 0 {
                    commands.append("write -z \(offset) \(length)")
                    shadow.zero(offset, length)
                } else {
                    commands.append("write -P \(fill) \(offset) \(length)")
                    shadow.write(offset, [UInt8](repeating: fill, count: length))
                }
            }
            try Witness.run("qemu-io", ["-f", "qcow2"] + commands.flatMap { ["-c", $0] } + [path.string])
        }
    }

    @Test(arguments: [1, 3], [(false, 16), (true, 16), (true, 9), (true, 12), (false, 21)])
    func `random requests on top of a chain leave what a plain array holds`(
        depth: Int, make: (byQEMU: Bool, clusterBits: Int)
    ) async throws {
        let scratch = try Scratch()
        var random = SeededGenerator(seed: UInt64(depth * 100 + make.clusterBits))
        var shadow = Shadow(size: Self.size)
        try await makeChain(
            scratch, depth: depth, byQEMU: make.byQEMU, clusterBits: make.clusterBits, &shadow, &random)
        let top = scratch.file("layer\(depth).qcow2")
        let below = try Witness.must("sha256sum", scratch.file("layer\(depth - 1).qcow2").string)
        for _ in 0..<2 {
            try await DiskSession.with(scratch.path, "layer\(depth).qcow2") { session in
                try await RandomWork.run(session, &shadow, &random, rounds: 15)
            }
            try Witness.check(top)
            try shadow.compare(with: top, in: scratch)
        }
        #expect(try Witness.must("sha256sum", scratch.file("layer\(depth - 1).qcow2").string) == below)
    }

    @Test
    func `a longer overlay reads as zero beyond its base, and a raw base is read as it is`() async throws {
        let scratch = try Scratch()
        var base = Shadow(size: 100 * 512)
        base.write(0, [UInt8](repeating: 5, count: 100 * 512))
        try base.write(to: scratch.file("base.raw"))
        try ImageCreate.qcow2(
            scratch.file("top.qcow2"), ImageCreate.Plan(size: 1 << 20, backing: ("base.raw", "raw")))
        var shadow = Shadow(size: 1 << 20)
        shadow.write(0, base.bytes)
        try await DiskSession.with(scratch.path, "top.qcow2") { session in
            #expect(try await session.read(0, 1 << 20) == shadow.bytes)
            // The base ends within the cluster that this write copies up.
            try await session.write(51_712, [UInt8](repeating: 8, count: 512))
            shadow.write(51_712, [UInt8](repeating: 8, count: 512))
            try await session.discard(0, 65536)
            shadow.zero(0, 65536)
            #expect(try await session.read(0, 1 << 20) == shadow.bytes)
        }
        try Witness.check(scratch.file("top.qcow2"))
        try shadow.compare(with: scratch.file("top.qcow2"), in: scratch)
    }

    @Test
    func `many writers of one cluster copy it up once`() async throws {
        let scratch = try Scratch()
        let base = scratch.file("base.qcow2")
        try ImageCreate.qcow2(base, ImageCreate.Plan(size: 64 << 20))
        try Witness.io(base, "write -P 77 0 64M")
        let top = scratch.file("top.qcow2")
        try ImageCreate.qcow2(top, ImageCreate.Plan(size: 64 << 20, backing: ("base.qcow2", "qcow2")))
        try await DiskSession.with(scratch.path, "top.qcow2") { session in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for place in 0..<64 {
                    group.addTask {
                        // Four writers for each of sixteen clusters, a sector in each quarter.
                        let offset = UInt64(place % 16) * 65536 + UInt64(place / 16) * 16384
                        try await session.write(offset, [UInt8](repeating: UInt8(place + 1), count: 512))
                    }
                }
                try await group.waitForAll()
            }
            for place in 0..<64 {
                let offset = UInt64(place % 16) * 65536 + UInt64(place / 16) * 16384
                let bytes = try await session.read(offset, 1024)
                #expect(bytes.prefix(512).allSatisfy { $0 == UInt8(place + 1) } && bytes[512] == 77)
            }
        }
        try Witness.check(top)
        #expect(try ImageCheck.run(ImageFile(top, .observe)).allocated == 16)
    }

    @Test(arguments: [
        ("/etc/passwd", "raw"), ("../base.qcow2", "qcow2"), ("sub/../../base.qcow2", "qcow2"), ("absent", "qcow2"),
        ("json:{}", "qcow2"), ("nbd:localhost:1", "raw"), ("base.qcow2", "vmdk"), ("link.qcow2", "qcow2"),
        ("top.qcow2", "qcow2"),
    ])
    func `a backing name that leads out, nowhere or in a circle is refused`(name: String, format: String) throws {
        let scratch = try Scratch()
        let root = scratch.file("pool")
        try File.makeDirectory(root, permissions: 0o700)
        try ImageCreate.qcow2(scratch.file("base.qcow2"), ImageCreate.Plan(size: 1 << 20))
        try ImageCreate.qcow2(root.appending("base.qcow2"), ImageCreate.Plan(size: 1 << 20))
        try File.makeLink(root.appending("link.qcow2"), to: scratch.file("base.qcow2"))
        try ImageCreate.qcow2(
            root.appending("top.qcow2"), ImageCreate.Plan(size: 1 << 20, backing: (name, format)))
        #expect(throws: ImageError.self) {
            try BackingChain.open(root: root, name: "top.qcow2", format: .qcow2, access: .write)
        }
    }

    @Test
    func `a base whose format is not stated is refused, never guessed`() throws {
        let scratch = try Scratch()
        try ImageCreate.qcow2(scratch.file("base.qcow2"), ImageCreate.Plan(size: 1 << 20))
        let top = scratch.file("top.qcow2")
        try ImageCreate.qcow2(top, ImageCreate.Plan(size: 1 << 20, backing: ("base.qcow2", "qcow2")))
        // The type of the extension becomes one that nobody knows.
        try ImageFile(top, .write).write([0x12, 0x34, 0x56, 0x78], at: HostOffset(bytes: 112))
        let error = #expect(throws: ImageError.self) {
            try BackingChain.open(root: scratch.path, name: "top.qcow2", format: .qcow2, access: .write)
        }
        #expect("\(try #require(error))".contains("format is not stated"))
    }
}
