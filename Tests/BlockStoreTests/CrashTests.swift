import Foundation
import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// Power cuts at any point of a recorded run: the image is sound, and what was flushed is there.
@Suite(.ownThreads, .enabled(if: Witness.isHere))
struct CrashTests {
    /// How often runs are cut; `SDAGENT_CRASH_CUTS` asks for more than a quick test makes.
    static let cuts = ProcessInfo.processInfo.environment["SDAGENT_CRASH_CUTS"].flatMap(Int.init) ?? 40

    struct Setting: Sendable, CustomTestStringConvertible {
        var clusterBits: Int
        var hasBacking: Bool
        /// The delay of commits that nobody asks for, in milliseconds.
        var delay: Int
        var seed: UInt64
        var growsTo: Int?
        var mappingBudget = ImageOpen.defaultBudget

        var testDescription: String {
            "clusters of 2^\(clusterBits)\(hasBacking ? ", clone" : ""), commits after \(delay) ms, seed \(seed)"
        }
    }

    static let settings = [
        Setting(clusterBits: 16, hasBacking: false, delay: 1000, seed: 1),
        Setting(clusterBits: 16, hasBacking: true, delay: 2, seed: 2),
        Setting(clusterBits: 12, hasBacking: true, delay: 5, seed: 3),
        Setting(clusterBits: 9, hasBacking: false, delay: 3, seed: 4, growsTo: 6 << 20),
        Setting(clusterBits: 9, hasBacking: true, delay: 1000, seed: 5, mappingBudget: 0),
    ]

    static let size = 2 << 20

    @Test(arguments: settings)
    func `no cut loses a flushed byte or leaves more than leaks`(setting: Setting) async throws {
        let scratch = try Scratch(in: "/dev/shm")
        let path = scratch.file("disk.qcow2")
        var sectors = [UInt8](repeating: 0, count: Self.size / 512)
        if setting.hasBacking {
            let base = scratch.file("base.qcow2")
            try ImageCreate.qcow2(
                base, ImageCreate.Plan(size: UInt64(Self.size), clusterBits: setting.clusterBits))
            try Witness.io(base, "write -P 251 100k 1M")
            for sector in 200..<2248 { sectors[sector] = 251 }
        }
        var plan = ImageCreate.Plan(size: UInt64(Self.size), clusterBits: setting.clusterBits)
        if setting.hasBacking { plan.backing = ("base.qcow2", "qcow2") }
        try ImageCreate.qcow2(path, plan)
        let made = try ImageFile(path, .observe)
        let before = try made.read(Int(made.length()), at: HostOffset(bytes: 0))
        let trace = CrashTrace()
        try await record(scratch, setting, trace)
        try Witness.check(path)
        try replay(trace.all, before, sectors, scratch, setting)
    }

    /// Runs rounds of random requests, with flushes between and within them.
    private func record(_ scratch: Scratch, _ setting: Setting, _ trace: CrashTrace) async throws {
        let session = try await DiskSession(
            scratch.path, "disk.qcow2", commitDelay: .milliseconds(setting.delay),
            mappingBudget: setting.mappingBudget)
        await session.disk.run { disk in
            (disk as? ImageDisk)?.recorder = { trace.append(.file($0)) }
        }
        var random = SeededGenerator(seed: setting.seed)
        for round in 0..<24 {
            let items = RandomWork.makeItems(Self.size, &random, count: 6, maximumBytes: 96 << 10)
            trace.append(.roundBegan(items))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for item in items { group.addTask { try await RandomWork.perform(item, session, nil) } }
                if round % 3 == 1 {
                    group.addTask {
                        try await session.flush()
                        trace.append(.flushed(rounds: round))
                    }
                }
                try await group.waitForAll()
            }
            trace.append(.roundEnded)
            if round % 4 == 3 {
                try await session.flush()
                trace.append(.flushed(rounds: round + 1))
            }
            if round == 12, let size = setting.growsTo { try await session.disk.grow(to: UInt64(size)) }
            if setting.delay < 100 { try await Task.sleep(for: .milliseconds(Int.random(in: 0...4, using: &random))) }
        }
        try await session.close()
    }

    private func replay(
        _ entries: [CrashTrace.Entry], _ before: [UInt8], _ sectors: [UInt8], _ scratch: Scratch, _ setting: Setting
    ) throws {
        var file = VolatileFile(before)
        var allowed = AllowedSectors(sectors, clusterBytes: 1 << setting.clusterBits)
        var random = SeededGenerator(seed: setting.seed &+ 1000)
        let path = scratch.file("cut.qcow2")
        let every = max(1, entries.count / Self.cuts)
        var made = 0
        for (index, entry) in entries.enumerated() {
            if case .file(let event) = entry { file.apply(event) }
            allowed.apply(entry)
            let repeats = max(1, Self.cuts / entries.count)
            guard index % every == Int(setting.seed) % every else { continue }
            for _ in 0..<repeats {
                let part = [0, 0.5, 0.9, 1][Int(random.next() % 4)]
                try write(file.cut(part: part, &random), to: path)
                let check = try ImageCheck.run(ImageFile(path, .observe))
                #expect(check.errorCount == 0, "entry \(index), part \(part): \(check.errors)")
                let bad = allowed.firstBad(try PlainReader.read(root: scratch.path, name: "cut.qcow2"))
                #expect(bad == nil, "entry \(index) of \(entries.count), part \(part)")
                if made % 16 == 0 { try Witness.check(path, mayLeak: true) }
                // What a crash has left opens for writing.
                _ = try ImageOpen.open(ImageFile(path, .write), writable: true)
                made += 1
                if check.errorCount > 0 || bad != nil { return }
            }
        }
        #expect(made > 20, "only \(made) cuts")
    }

    private func write(_ bytes: [UInt8], to path: FilePath) throws {
        try? File.remove(path)
        let file = try File.open(path, .createNew(permissions: 0o600))
        try File.write(file, bytes, at: 0)
    }
}
