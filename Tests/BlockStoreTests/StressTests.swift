import Logging
import Glibc
import IOLoop
import ISCSI
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// Several initiators at once, with more under way than windows and buffers hold, that abort, reset, fall silent and
/// vanish at any point: every request is answered once, in time, and the data is right.
///
/// A failing seed plays again: STRESS_SEEDS=7 swift test --filter StressTests. A range (1-200) and STRESS_SECONDS make
/// a long run; STRESS_PATIENCE, in seconds, is for a machine that is very busy.
@Suite(.ownThreads, .serialized, .enabled(if: Witness.isHere)) struct StressTests {
    private static func setting(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    static let seeds: [UInt64] = {
        let bounds = (setting("STRESS_SEEDS") ?? "1-3").split(separator: "-").compactMap { UInt64($0) }
        guard let first = bounds.first, let last = bounds.last, first <= last else { return [] }
        return Array(first...last)
    }()

    private static let seconds = setting("STRESS_SECONDS").flatMap { Double($0) } ?? 1.5

    private static func clock() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    @Test(arguments: seeds) func everyRequestIsAnsweredOnce(seed: UInt64) async throws {
        var dice = SeededGenerator(seed: seed)
        var configuration = LoopConfiguration()
        let small = Int.random(in: 1...64, using: &dice)
        let large = Int.random(in: 2...12, using: &dice)
        configuration.buffers = [
            .init(bytes: 4096, slots: small), .init(bytes: 65536, slots: 24), .init(bytes: 1 << 20, slots: large),
        ]
        let entries: [UInt32] = [8, 64, 512]
        configuration.entries = entries.randomElement(using: &dice) ?? 512
        // The kernel's own list of completions is used as well.
        configuration.completions = configuration.entries * 4
        var limits = ServeLimits()
        limits.stall = .milliseconds(600)
        limits.deafness = .milliseconds(400)
        let sizes: [UInt64] = [8 << 20, 4 << 20]
        try await withServer(disks: sizes, limits: limits, configuration: configuration) { server in
            let image = try await Self.attachImage(to: server, bytes: sizes[1])
            let models = (sizes + [sizes[1]]).enumerated().map {
                StressModel(lun: UInt8($0.offset), blockCount: Int($0.element) / 512)
            }
            let world = StressWorld(port: server.port, seed: dice.next(), models: models)
            world.stallLimit = 600_000_000
            if let patience = Self.setting("STRESS_PATIENCE").flatMap({ UInt64($0) }) {
                world.patience = patience * 1_000_000_000
            }
            world.mayFreeze = Int.random(in: 0...2, using: &dice)
            let clients = (0..<Int.random(in: 2...8, using: &dice)).map { number in
                StressClient(number, world, depth: [1, 8, 64, 200].randomElement(using: &dice) ?? 8)
            }
            do {
                try await Self.run(world, clients)
            } catch {
                Issue.record("seed \(seed), pool \(small)/24/\(large), \(world.statistics): \(error)")
            }
            for client in clients { client.vanish(for: 0) }
            if let words = Self.setting("STRESS_VERBOSE") { print(words, seed, world.statistics) }
            for _ in 0..<500 where await server.loop.run({ $0.buffers.lentBytes }) > 0 {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(await server.loop.run { $0.buffers.lentBytes } == 0, "seed \(seed)")
            try await image.close()
            try Witness.check(server.directory.appending("image.qcow2"))
        }
    }

    /// Gives the target a unit on a new qcow2 image.
    private static func attachImage(to server: ServedFixture, bytes: UInt64) async throws -> OpenDisk {
        let path = server.directory.appending("image.qcow2")
        try ImageCreate.qcow2(path, ImageCreate.Plan(size: bytes))
        let open = try await OpenDisk.open(
            root: server.directory, name: "image.qcow2", format: .qcow2, on: server.loop,
            commitDelay: .milliseconds(50), health: DiskHealth(name: "volume/image", log: Logger(label: "test")))
        await server.loop.run { loop in
            let registry = server.registry.open(on: loop)
            guard let target = registry.targets[ServedFixture.target] else { return }
            let unit = LogicalUnit(number: 2, open.disk(on: loop), volume: "image", false, of: target)
            registry.attach(unit, to: target)
        }
        return open
    }

    private static func run(_ world: StressWorld, _ clients: [StressClient]) async throws {
        let start = clock()
        let end = start + UInt64(seconds * 1e9)
        while true {
            world.now = clock()
            world.isEnding = world.now >= end
            for client in clients { try client.step() }
            if world.isEnding, clients.allSatisfy(\.isQuiet) { return }
            pause(clients)
            await Task.yield()
        }
    }

    /// Waits a moment, or until something comes.
    private static func pause(_ clients: [StressClient]) {
        var waits = clients.compactMap { client -> pollfd? in
            guard let wire = client.wire, client.pace == .prompt else { return nil }
            let events = POLLIN | (wire.backlog > 0 ? POLLOUT : 0)
            return pollfd(fd: wire.socket, events: Int16(events), revents: 0)
        }
        poll(&waits, nfds_t(waits.count), 1)
    }
}
