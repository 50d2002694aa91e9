import IOLoop
import Reconcile
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// An initiator that falls silent in the middle of its data holds up nobody: not its own return, not a change of the
/// target, not the end of the server.
@Suite(.ownThreads, .enabled(if: Witness.isHere))
struct HalfWriteTests {
    private static let keys = ["ImmediateData=Yes", "InitialR2T=Yes", "FirstBurstLength=65536"]

    /// Logs in to `target` and stops within a write's data; waits until the target is at it.
    private static func fallSilent(_ port: UInt16, _ target: String) throws -> RawInitiator {
        let silent = RawInitiator(port: port)
        try #require(silent.login(target, keys: keys)?.header[36] == 0)
        var cmdSN: UInt32 = 1
        try #require(silent.settle(&cmdSN))
        silent.sendHalfAWrite(tag: 60, cmdSN: cmdSN)
        return silent
    }

    private static func waitForTask(_ server: ServedFixture) async throws {
        let hasBegun = try await eventually(within: 20) {
            await server.loop.run { loop in
                server.registry.open(on: loop).connections.values.contains { !$0.tasks.isEmpty }
            }
        }
        #expect(hasBegun, "the write has not begun")
    }

    @Test func itComesBackAndIsLetIn() async throws {
        try await withServer { server in
            let silent = try Self.fallSilent(server.port, ServedFixture.target)
            try await Self.waitForTask(server)
            let again = RawInitiator(port: server.port)
            #expect(again.login(ServedFixture.target, keys: Self.keys)?.header[36] == 0)
            var cmdSN: UInt32 = 1
            #expect(again.settle(&cmdSN))
            #expect(silent.isShownOut())
            let units = await server.loop.run { loop in
                server.registry.open(on: loop).targets.values.flatMap { $0.units.values.map(\.taskCount) }
            }
            #expect(units == [0])
        }
    }

    @Test func theConnectionDrainsAndGivesEverythingBack() async throws {
        try await withServer { server in
            let silent = try Self.fallSilent(server.port, ServedFixture.target)
            try await Self.waitForTask(server)
            await server.loop.run { loop in
                for connection in server.registry.open(on: loop).connections.values { connection.drain() }
            }
            #expect(silent.isShownOut())
            #expect(try await eventually(within: 20) { await server.loop.run { $0.buffers.lentBytes } == 0 })
        }
    }

    @Test func itsUnitIsTakenAway() async throws {
        try await TargetKindTests().withNode { node in
            let created = try await node.apply(node.targets("    luns: { 0: one, 1: two }\n"))
            #expect(created?.state == .converged)
            let silent = try Self.fallSilent(node.port, TargetKindTests.name)
            try await Task.sleep(for: .milliseconds(100))
            let changed = try await node.apply(node.targets("    luns: { 1: two }\n"))
            #expect(changed?.state == .converged)
            #expect(silent.isShownOut())
            let file = node.scratch.file("state/pools/fast/one.qcow2").string
            try await output(of: ["qemu-io", "-f", "qcow2", "-c", "write 0 4k", file])
        }
    }

    @Test func theServerStops() async throws {
        try await TargetKindTests().withNode { node in
            let created = try await node.apply(node.targets("    luns: { 0: one }\n"))
            #expect(created?.state == .converged)
            let silent = try Self.fallSilent(node.port, TargetKindTests.name)
            try await Task.sleep(for: .milliseconds(100))
            await node.server.stop()
            #expect(silent.isShownOut())
            let file = node.scratch.file("state/pools/fast/one.qcow2").string
            try await output(of: ["qemu-io", "-f", "qcow2", "-c", "write 0 4k", file])
        }
    }
}
