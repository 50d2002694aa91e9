import Glibc
import IOLoop
import Logging
import Manifest
import Reconcile
import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// Targets from the manifest to initiators, and changes while these are at work.
@Suite(.ownThreads, .enabled(if: Witness.isHere))
struct TargetKindTests {
    static let name = "iqn.2026-11.org.example:kind"

    /// A node that serves what its manifest says, on a port that nothing else uses.
    final class Node: Sendable {
        let scratch: Scratch
        let loop: StorageLoop
        let disks: OpenDisks
        let server: TargetServer
        private let reserved: ReservedPort

        var port: UInt16 { reserved.number }

        init() async throws {
            scratch = try Scratch()
            loop = try StorageLoop()
            disks = OpenDisks(on: loop, logger: Logger(label: "test"))
            var limits = ServeLimits()
            limits.drain = .milliseconds(300)
            server = await TargetServer(on: loop, disks: disks, logger: Logger(label: "test"), limits: limits)
            reserved = try ReservedPort()
        }

        private func kinds(_ server: TargetServer?) -> [any ResourceKind] {
            let places = PoolPlaces(state: scratch.file("state"))
            return [PoolKind(places), ImageKind(places), VolumeKind(places, disks: disks), TargetKind(server)]
        }

        func desired(_ target: String) throws -> Desired {
            let places = PoolPlaces(state: scratch.file("state"))
            let text = """
                pools: { fast: }
                volumes:
                  one: { pool: fast, size: 64MiB }
                  two: { pool: fast, size: 32MiB, format: raw }
                \(target)
                """
            let loader = DesiredLoader(
                sections: [PoolKind.section(places), VolumeKind.section, TargetKind.section], derivations: [],
                kinds: kinds(nil))
            let diagnostics = Diagnostics()
            let source = Source(file: "test.yaml", directory: scratch.path.string, text: text)
            return try #require(loader.load([source], diagnostics), "\(diagnostics.all.map(\.message))")
        }

        func targets(_ body: String) -> String {
            "targets:\n  \(TargetKindTests.name):\n    portals: [\"127.0.0.1:\(port)\"]\n" + body
        }

        func apply(_ target: String) async throws -> ResourceStatus? {
            let report = await Reconciler(kinds: kinds(server)).apply(try desired(target))
            return report.statuses.first { $0.id.kind == "target" }
        }

        func plan(_ target: String, serving: Bool = true) async throws -> [String] {
            await Reconciler(kinds: kinds(serving ? server : nil)).plan(try desired(target)).changes
                .filter { $0.id.kind == "target" }.map { change in
                    "\(change.change.word) " + change.change.fields.map(\.field).joined(separator: ",")
                }
        }

        /// What the plan says that the change does to those who are logged in.
        func disruption(_ target: String) async throws -> [String] {
            await Reconciler(kinds: kinds(server)).plan(try desired(target)).changes.flatMap(\.disruption)
        }

        func url(_ lun: Int, _ credentials: String = "") -> String {
            "iscsi://\(credentials)127.0.0.1:\(port)/\(TargetKindTests.name)/\(lun)"
        }

        func stop() async {
            await server.stop()
            await loop.stop()
        }
    }

    func withNode(_ body: (Node) async throws -> Void) async throws {
        let node = try await Node()
        do {
            try await body(node)
        } catch {
            await node.stop()
            throw error
        }
        await node.stop()
    }

    @Test func withoutADaemonATargetWaits() async throws {
        try await withNode { node in
            let result1 = try await node.plan(node.targets("    luns: { 0: one }\n"), serving: false)
            #expect(result1 == ["waiting "])
        }
    }

    @Test func aTargetIsServedAsItStandsAndThenThereIsNothingToDo() async throws {
        try await withNode { node in
            let manifest = node.targets("    luns: { 0: one, 1: { volume: two, readOnly: true } }\n")
            let result2 = try await node.apply(manifest)
            #expect(result2?.state == .converged)
            let result3 = try await node.plan(manifest)
            #expect(result3 == ["none "])
            let listing = try await output(of: ["iscsi-ls", "-s", "iscsi://127.0.0.1:\(node.port)"])
            #expect(listing.contains("Lun:0") && listing.contains("Lun:1"))
            try await output(of: ["qemu-io", "-f", "raw", "-c", "write -P 5 1M 1M", node.url(0)])
            let refused = try await command(["qemu-io", "-f", "raw", "-c", "write -P 5 0 4k", node.url(1)])
            #expect(refused.code != 0 || refused.output.contains("failed") || refused.error.contains("read-only"))
        }
    }

    @Test func unitsComeAndGoWhileASessionGoesOn() async throws {
        try await withNode { node in
            let result4 = try await node.apply(node.targets("    luns: { 0: one }\n"))
            #expect(result4?.state == .converged)
            let initiator = RawInitiator(port: node.port)
            #expect(initiator.login(Self.name)?.header[36] == 0)
            var cmdSN: UInt32 = 1
            #expect(initiator.settle(&cmdSN))

            let result5 = try await node.plan(node.targets("    luns: { 0: one, 4: two }\n"))
            #expect(result5 == ["update luns.4"])
            let result6 = try await node.apply(node.targets("    luns: { 0: one, 4: two }\n"))
            #expect(result6?.state == .converged)
            initiator.send(initiator.command([0], flags: 0x81, tag: 90, cmdSN: cmdSN, expected: 0))
            cmdSN += 1
            let told = initiator.answer()
            // UNIT ATTENTION, reported LUNs data has changed.
            #expect(told?.header[3] == 2 && told?.data[4] == 6 && told?.data[14] == 0x3f && told?.data[15] == 0x0e)

            let result7 = try await node.apply(node.targets("    luns: { 4: two }\n"))
            #expect(result7?.state == .converged)
            initiator.send(initiator.command([0], flags: 0x81, tag: 91, cmdSN: cmdSN, expected: 0))
            let gone = initiator.answer()
            // ILLEGAL REQUEST, logical unit not supported.
            #expect(gone?.header[3] == 2 && gone?.data[4] == 5 && gone?.data[14] == 0x25)
        }
    }

    @Test func aTargetThatIsTakenAwayEndsItsSessionsAndFreesItsVolumes() async throws {
        try await withNode { node in
            let result8 = try await node.apply(node.targets("    luns: { 0: one }\n"))
            #expect(result8?.state == .converged)
            let initiator = RawInitiator(port: node.port)
            #expect(initiator.login(Self.name)?.header[36] == 0)
            let result9 = try await node.apply("")
            #expect(result9 == nil)
            #expect(initiator.isShownOut())
            let result = try await command(["iscsi-inq", node.url(0)], seconds: 10)
            #expect(result.code != 0)
            // The volume's lock is free again.
            let file = node.scratch.file("state/pools/fast/one.qcow2").string
            try await output(of: ["qemu-img", "check", "-q", file])
            try await output(of: ["qemu-io", "-f", "qcow2", "-c", "write 0 4k", file])
        }
    }

    @Test func secretsComeFromFilesThatNobodyElseReads() async throws {
        try await withNode { node in
            let path = node.scratch.file("secret")
            let manifest = node.targets(
                "    luns: { 0: one }\n    access: { chap: { user: vm1, secretFile: \(path.string) } }\n")
            let missing = try await node.apply(manifest)
            #expect(missing?.state == .failed && missing?.detail.contains(path.string) == true)

            let file = try File.open(path, .createNew(permissions: 0o644))
            try File.write(file, Array("abcdefghijkl34\n".utf8), at: 0)
            let open = try await node.apply(manifest)
            #expect(open?.state == .failed && open?.detail.contains("chmod 600") == true)

            chmod(path.string, 0o600)
            let result10 = try await node.apply(manifest)
            #expect(result10?.state == .converged)
            try await output(of: ["iscsi-inq", node.url(0, "vm1%abcdefghijkl34@")])

            // A changed secret is a change, and is never shown.
            try File.write(file, Array("bbcdefghijkl34\n".utf8), at: 0)
            let result11 = try await node.plan(manifest)
            #expect(result11 == ["update access.secrets"])
            let result12 = try await node.apply(manifest)
            #expect(result12?.state == .converged)
            let result13 = try await command(["iscsi-inq", node.url(0, "vm1%abcdefghijkl34@")], seconds: 10)
            #expect(result13.code != 0)
            try await output(of: ["iscsi-inq", node.url(0, "vm1%bbcdefghijkl34@")])
        }
    }

    @Test func aGrownVolumeTellsItsInitiators() async throws {
        try await withNode { node in
            let result14 = try await node.apply(node.targets("    luns: { 0: one }\n"))
            #expect(result14?.state == .converged)
            let grew = try await node.disks.grow("one", to: 128 << 20)
            #expect(grew)
            let size = try await output(of: ["iscsi-readcapacity16", node.url(0)])
            #expect(size.contains("134217728"))
        }
    }

    @Test func aPortalWhoseAddressDoesNotExistYetIsListenedOn() async throws {
        try await withNode { node in
            let manifest = "targets: { \(Self.name): { portals: [\"192.0.2.77:\(node.port)\"], luns: { 0: one } } }\n"
            let result15 = try await node.apply(manifest)
            #expect(result15?.state == .converged)
        }
    }

    @Test func aPortalThatIsTakenIsReportedAndTheRestIsServed() async throws {
        try await withNode { node in
            let address = try #require(SocketAddress(host: "127.0.0.1", port: 0))
            let taken = try StreamSocket.listen(on: address, backlog: 1)
            let port = try StreamSocket.localAddress(taken.raw).port
            let portals = "[\"127.0.0.1:\(port)\", \"127.0.0.1:\(node.port)\"]"
            let status = try await node.apply("targets: { \(Self.name): { portals: \(portals), luns: { 0: one } } }\n")
            #expect(status?.state == .failed && status?.detail.contains("127.0.0.1:\(port)") == true)
            try await output(of: ["iscsi-inq", node.url(0)])
        }
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        let text: String
        let message: String
        var testDescription: String { text }
    }

    static let mistakes = [
        Mistake(text: "vm1: { portals: [127.0.0.1] }", message: "'vm1' is not an iSCSI name"),
        Mistake(text: "iqn.2026-11.org.example:x: { }", message: "needs 'portals'"),
        Mistake(text: "iqn.2026-11.org.example:x: { portals: [localhost] }", message: "'localhost' is not a portal"),
        Mistake(text: "iqn.2026-11.org.example:x: { portals: [\"::1:99999\"] }", message: "is not a portal"),
        Mistake(
            text: "iqn.2026-11.org.example:x: { portals: [127.0.0.1], luns: { 256: one } }", message: "is not a LUN"),
        Mistake(
            text: "iqn.2026-11.org.example:x: { portals: [127.0.0.1], luns: { 00: one } }", message: "is not a LUN"),
        Mistake(
            text: "iqn.2026-11.org.example:x: { portals: [127.0.0.1], luns: { 0: one, 1: one } }",
            message: "is LUN 0 and LUN 1"),
        Mistake(
            text: "iqn.2026-11.org.example:x: { portals: [127.0.0.1], access: { initiators: [vm1] } }",
            message: "is not an initiator's name"),
        Mistake(
            text: "iqn.2026-11.org.example:x: { portals: [127.0.0.1], access: { chap: { user: a } } }",
            message: "needs 'secretFile'"),
        Mistake(
            text:
                "iqn.2026-11.org.example:x: { portals: [127.0.0.1], access: { mutual: { user: a, secretFile: /a } } }",
            message: "'mutual' needs 'chap'"),
        Mistake(
            text: "iqn.2026-11.org.example:x: { portals: [127.0.0.1], access: { chap: { user: a, secretFile: b } } }",
            message: "must be an absolute path"),
        Mistake(
            text:
                "iqn.2026-11.org.example:b: { portals: [127.0.0.1] }\n  iqn.2026-11.org.example:B: {}",
            message: "'iqn.2026-11.org.example:B' is named twice"),
    ]

    @Test(arguments: mistakes) func mistakesAreNamed(_ mistake: Mistake) {
        let diagnostics = Diagnostics()
        let loader = DesiredLoader(sections: [TargetKind.section], derivations: [], kinds: [TargetKind(nil)])
        let source = Source(file: "test.yaml", directory: "/", text: "targets:\n  \(mistake.text)\n")
        #expect(loader.load([source], diagnostics) == nil)
        let messages = diagnostics.all.map(\.message)
        #expect(messages.contains { $0.contains(mistake.message) }, "\(messages)")
    }

    @Test(arguments: [("two", false), ("{ volume: one, readOnly: true }", false), ("one", true)])
    func aVolumeIsWritableThroughOneTarget(unit: String, isMistake: Bool) throws {
        let text = """
            volumes: { one: { pool: p, size: 1MiB }, two: { pool: p, size: 1MiB } }
            pools: { p: }
            targets:
              iqn.2026-11.org.example:a: { portals: [127.0.0.1], luns: { 0: one } }
              iqn.2026-11.org.example:b: { portals: [127.0.0.1], luns: { 0: \(unit) } }
            """
        let places = PoolPlaces(state: "/var/lib/sdagent")
        let loader = DesiredLoader(
            sections: [PoolKind.section(places), VolumeKind.section, TargetKind.section],
            derivations: [TargetKind.derivation], kinds: [PoolKind(places), VolumeKind(places), TargetKind(nil)])
        let diagnostics = Diagnostics()
        let desired = loader.load([Source(file: "test.yaml", directory: "/", text: text)], diagnostics)
        let messages = diagnostics.all.map(\.message)
        #expect((desired == nil) == isMistake, "\(messages)")
        let words = "the volume 'one' can be written through target 'iqn.2026-11.org.example:a' already"
        #expect(messages == (isMistake ? [words] : []))
        if isMistake { #expect(diagnostics.all.first?.position.line == 5) }
    }

    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1:3260"), ("127.0.0.1:99", "127.0.0.1:99"), ("::1", "[::1]:3260"),
        ("[::1]:5", "[::1]:5"), ("[2001:db8::1]", "[2001:db8::1]:3260"), ("0.0.0.0", "0.0.0.0:3260"),
    ])
    func portalsAreReadInEveryForm(text: String, meaning: String) {
        #expect(TargetKind.address(text)?.description == meaning)
    }

    @Test(arguments: [
        ("*", "iqn.a", true), ("iqn.*", "iqn.a", true), ("iqn.*:b", "iqn.a:b", true), ("iqn.*:b", "iqn.a:bc", false),
        ("iqn.a", "iqn.ab", false), ("*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaac", false), ("a**b", "ab", true),
    ])
    func patternsMatch(pattern: String, name: String, matches: Bool) {
        #expect(NamePattern.matches(pattern, name) == matches)
    }
}
