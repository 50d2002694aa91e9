import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import Capabilities

/// What one process keeps of a kernel for the next: a record is taken as a whole, from root's hand, or not at all.
@Suite("The record of a kernel", .enabled(if: isRoot))
struct RecordTests {
    private static let here = KernelIdentity(text: "boot 1\nmodules a b")
    private static let answers: Answers = Dictionary(
        uniqueKeysWithValues: CapabilityRecord.kept.map {
            ($0, $0 == .vrf ? .missing(option: $0.facts.option) : .native)
        })

    /// Runs the body with a record that holds `answers`, under `here`.
    private static func withRecord(_ body: (CapabilityRecord) throws -> Void) async throws {
        try await TemporaryDirectory.with { folder in
            let record = CapabilityRecord(path: FilePath(folder.path).appending("run").appending("capabilities"))
            let isKept = try record.write(answers, here)
            #expect(isKept)
            try body(record)
        }
    }

    private static func bytes(_ record: CapabilityRecord) throws -> [UInt8] {
        try File.readToEnd(try File.open(record.path, .read), limit: 1 << 16)
    }

    private static func put(_ bytes: [UInt8], _ record: CapabilityRecord) throws {
        try File.remove(record.path)
        try File.write(try File.open(record.path, .createNew(permissions: 0o600)), bytes, at: 0)
    }

    @Test("It tells what was kept, under the same circumstances only, and belongs to root alone")
    func recalls() async throws {
        try await Self.withRecord { record in
            #expect(record.read(Self.here) == Self.answers)
            #expect(record.read(KernelIdentity(text: "boot 2\nmodules a b")) == nil)
            #expect(record.read(KernelIdentity(text: "boot 1\nmodules a b c")) == nil)
            #expect(record.read(KernelIdentity(text: "boot 1\nmodules a")) == nil)
            let permissions = try File.status(of: record.path)?.permissions
            let names = try File.names(in: record.path.removingLastComponent())
            #expect(permissions == 0o600)
            #expect(names == ["capabilities"])
        }
    }

    @Test("One that was cut off anywhere, or has a line of another hand, says nothing")
    func torn() async throws {
        try await Self.withRecord { record in
            let whole = try Self.bytes(record)
            for length in 0..<whole.count - 1 {
                try Self.put(Array(whole.prefix(length)), record)
                #expect(record.read(Self.here) == nil, "\(length) bytes of \(whole.count)")
            }
            let text = String(decoding: whole, as: UTF8.self)
            for (from, to) in [
                ("vrf missing\n", ""), ("vrf missing\n", "vrf maybe\n"), ("vrf missing\n", "bridge native\n"),
                ("vrf missing\n", "vrf missing\nvrf native\n"), ("vrf missing\n", "wings native\n"),
            ] {
                let pieces = text.split(separator: from, omittingEmptySubsequences: false)
                try #require(pieces.count == 2)
                try Self.put(Array(pieces.joined(separator: to).utf8), record)
                #expect(record.read(Self.here) == nil, "\(to)")
            }
        }
    }

    @Test("One that others can read or write, that is not root's, or that is a link, says nothing")
    func distrusted() async throws {
        for words in [
            ["chmod", "0604", "capabilities"], ["chmod", "0620", "capabilities"], ["chmod", "0777", "."],
            ["chown", "1", "capabilities"], ["chown", "1", "."],
            ["sh", "-c", "mv capabilities elsewhere && ln -s elsewhere capabilities"],
        ] {
            try await TemporaryDirectory.with { folder in
                let record = CapabilityRecord(path: FilePath(folder.path).appending("run").appending("capabilities"))
                try record.write(Self.answers, Self.here)
                #expect(record.read(Self.here) != nil)
                let place = record.path.removingLastComponent().string
                let done = try await command(["sh", "-c", "cd \(place) && exec \"$@\"", "sh"] + words)
                #expect(done.succeeded, "\(done.error)")
                #expect(record.read(Self.here) == nil, "\(words)")
            }
        }
    }

    @Test("What could not be tried is not kept, and what was kept before stays as it was")
    func unsure() async throws {
        try await Self.withRecord { record in
            let before = try Self.bytes(record)
            for answer in [
                Availability.unknown(.needsRoot), .unknown(.failed("cannot allocate memory")), .unloaded(module: "htb"),
                nil,
            ] {
                var answers = Self.answers
                answers[.htb] = answer
                let isKept = try record.write(answers, Self.here)
                #expect(!isKept)
            }
            let after = try Self.bytes(record)
            #expect(after == before)
        }
    }

    @Test("Only what no module could change is for keeping")
    func lasting() {
        let release = "no such release"
        #expect(Self.answers.areLasting(release))
        var answers = Self.answers
        answers[.kvm] = .unknown(.needsRoot)
        #expect(answers.areLasting(release), "the devices are looked at every time")
        answers[.bridge] = .unknown(.failed("interrupted"))
        #expect(!answers.areLasting(release))
    }

    @Test("A later process says the same as the one that tried, without trying; a broken record is replaced")
    func nextProcess() async throws {
        try await TemporaryDirectory.with { folder in
            let record = CapabilityRecord(path: FilePath(folder.path).appending("capabilities"))
            let release = Capabilities.probe().release
            #expect(Capabilities.recalled(record, release) == nil)
            // The first may have had modules loaded; then it is the second who keeps.
            _ = Capabilities.renewed(record, release)
            let tried = Capabilities.renewed(record, release)
            #expect(Capabilities.recalled(record, release) == tried)
            try Self.put([0xff], record)
            #expect(Capabilities.recalled(record, release) == nil)
            #expect(Capabilities.renewed(record, release) == tried)
            #expect(Capabilities.recalled(record, release) == tried)
        }
    }
}
