import IOLoop
import Manifest
import Reconcile
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore
@testable import ISCSI

/// What becomes of initiators when a number leads to another volume: they hear of it, and never find one disk where
/// they know another.
@Suite(.enabled(if: Witness.isHere))
struct LUNChangeTests {
    typealias Node = TargetKindTests.Node

    /// One initiator's session and its next CmdSN.
    final class Visitor {
        let raw: RawInitiator
        var cmdSN: UInt32 = 1
        private var tag: UInt32 = 100

        init(_ node: Node, number: UInt32 = 1) throws {
            raw = RawInitiator(port: node.port)
            try #require(raw.login(TargetKindTests.name, isid: 0x8000_0000 + number)?.header[36] == 0)
        }

        /// Performs a command that sends nothing.
        func perform(_ block: [UInt8], lun: UInt8, expected: UInt32 = 0) -> RawInitiator.Answer? {
            tag += 1
            var bytes = raw.command(
                block, flags: expected > 0 ? 0xc1 : 0x81, tag: tag, cmdSN: cmdSN, expected: expected)
            bytes[9] = lun
            cmdSN += 1
            raw.send(bytes)
            return raw.answer()
        }

        /// The first block of a unit: its bytes, or the sense as key, code, qualifier.
        func read(_ lun: UInt8) -> [UInt8] {
            let answer = perform([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], lun: lun, expected: 512)
            return answer?.opcode == 0x25 ? answer?.data ?? [] : Self.sense(answer)
        }

        func testReady(_ lun: UInt8) -> [UInt8] { Self.sense(perform([0], lun: lun)) }

        /// Empty for a good status.
        static func sense(_ answer: RawInitiator.Answer?) -> [UInt8] {
            guard let answer, answer.opcode == 0x21 else { return [0xff] }
            guard answer.header[3] == 2 else { return answer.header[3] == 0 ? [] : [0xff, answer.header[3]] }
            return [answer.data[4], answer.data[14], answer.data[15]]
        }

        /// Hears all attentions of a unit.
        func settle(_ lun: UInt8) -> [[UInt8]] {
            var heard: [[UInt8]] = []
            while heard.count < 8 {
                let sense = testReady(lun)
                if sense.first != 6 { break }
                heard.append(sense)
            }
            return heard
        }

        /// The numbers that REPORT LUNS tells of.
        func list(_ lun: UInt8) -> [UInt8] {
            let data = perform([0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], lun: lun, expected: 256)?.data ?? []
            return stride(from: 8, to: data.count, by: 8).map { data[$0 + 1] }
        }

        func inquire(_ lun: UInt8) -> UInt8? {
            perform([0x12, 0, 0, 0, 36, 0], lun: lun, expected: 36)?.data.first
        }

        func logOut() {
            raw.send(raw.pdu(0x46, flags: 0x80, tag: 99, [24: cmdSN]))
            #expect(raw.answer()?.opcode == 0x26)
            #expect(raw.receive(1) == nil)
        }
    }

    private static let changed: [UInt8] = [6, 0x3f, 0x03]
    private static let listChanged: [UInt8] = [6, 0x3f, 0x0e]
    private static let absent: [UInt8] = [5, 0x25, 0]
    private static let onOne = [UInt8](repeating: 0x11, count: 512)
    private static let onTwo = [UInt8](repeating: 0x22, count: 512)

    /// A node whose volumes `one` and `two` begin with their own bytes, LUN 0 leading to `one`.
    private func withVolumes(_ body: (Node) async throws -> Void) async throws {
        try await TargetKindTests().withNode { node in
            try await serve(node, "0: one, 1: two")
            try await output(of: ["qemu-io", "-f", "raw", "-c", "write -P 0x11 0 4k", node.url(0)])
            try await output(of: ["qemu-io", "-f", "raw", "-c", "write -P 0x22 0 4k", node.url(1)])
            try await serve(node, "0: one")
            try await body(node)
        }
    }

    private func serve(_ node: Node, _ units: String) async throws {
        let status = try await node.apply(node.targets("    luns: { \(units) }\n"))
        #expect(status?.state == .converged, "\(status?.detail ?? "")")
    }

    @Test func aNumberIsLostToTheSessionsThatKnowAnotherDiskByIt() async throws {
        try await withVolumes { node in
            try await serve(node, "0: one, 3: two")
            let visitor = try Visitor(node)
            _ = (visitor.settle(0), visitor.settle(3))
            #expect(visitor.read(0) == Self.onOne && visitor.read(3) == Self.onTwo)
            try await serve(node, "0: two")
            // The number tells of it once, and then there is nothing: not the other disk.
            #expect(visitor.inquire(0) == 0x7f)
            #expect(visitor.read(0) == Self.changed)
            #expect(visitor.read(0) == Self.absent && visitor.testReady(0) == Self.absent)
            #expect(visitor.read(3) == Self.absent && visitor.list(0).isEmpty)
            // What it knows may come back.
            try await serve(node, "0: one")
            _ = visitor.settle(0)
            #expect(visitor.read(0) == Self.onOne)
        }
    }

    @Test func otherNumbersTellThatTheListHasChangedAndGoOn() async throws {
        try await withVolumes { node in
            try await serve(node, "0: one, 3: two")
            let visitor = try Visitor(node)
            _ = (visitor.settle(0), visitor.settle(3))
            try await serve(node, "3: two")
            #expect(visitor.settle(3) == [Self.listChanged])
            #expect(visitor.list(3) == [3] && visitor.read(3) == Self.onTwo)
            #expect(visitor.read(0) == Self.absent)
            // Removed and given to another volume in two steps is the same as in one.
            try await serve(node, "0: two")
            #expect(visitor.read(0) == Self.changed && visitor.read(0) == Self.absent)
        }
    }

    @Test func whoComesBackWithoutALogoutDoesNotGoOnOnAnotherDisk() async throws {
        try await withVolumes { node in
            var visitor: Visitor? = try Visitor(node)
            #expect(visitor?.settle(0).isEmpty == false)
            #expect(visitor?.read(0) == Self.onOne)
            visitor = nil
            try await serve(node, "0: two")
            // It goes on where it was: with a write, or a read.
            visitor = try Visitor(node)
            #expect(visitor?.testReady(0).first == 6)
            #expect(visitor?.read(0) == Self.changed && visitor?.read(0) == Self.absent)
            visitor = nil
            visitor = try Visitor(node)
            #expect(visitor?.read(0) == Self.changed && visitor?.read(0) == Self.absent)
            visitor = nil
            // One that looks at what is there knows the new disk.
            visitor = try Visitor(node)
            #expect(visitor?.list(0) == [0] && visitor?.inquire(0) == 0)
            #expect(visitor?.settle(0).contains(Self.changed) == true)
            #expect(visitor?.read(0) == Self.onTwo)
            visitor = nil
            visitor = try Visitor(node)
            _ = visitor?.settle(0)
            #expect(visitor?.read(0) == Self.onTwo)
        }
    }

    @Test func whoHasLoggedOutBeginsAnew() async throws {
        try await withVolumes { node in
            let visitor = try Visitor(node)
            _ = visitor.settle(0)
            #expect(visitor.read(0) == Self.onOne)
            try await serve(node, "0: two")
            #expect(visitor.read(0) == Self.changed)
            visitor.logOut()
            try await output(of: ["qemu-io", "-f", "raw", "-c", "read -P 0x22 0 4k", node.url(0)])
            let again = try Visitor(node)
            #expect(again.inquire(0) == 0)
            _ = again.settle(0)
            #expect(again.read(0) == Self.onTwo)
        }
    }

    @Test func theNextDaemonKnowsWhatTheNumberLedTo() async throws {
        try await withVolumes { node in
            try await serve(node, "3: one")
            // As after a restart with another manifest: nobody is known, and the number led elsewhere.
            await node.server.remember(try node.desired(node.targets("    luns: { 0: one }\n")))
            try await serve(node, "0: two")
            let visitor = try Visitor(node, number: 7)
            #expect(visitor.read(0) == Self.changed && visitor.read(0) == Self.absent)
            let other = try Visitor(node, number: 8)
            #expect(other.inquire(0) == 0)
            _ = other.settle(0)
            #expect(other.read(0) == Self.onTwo)
        }
    }

    @Test func aUnitBecomesReadOnlyInPlace() async throws {
        try await withVolumes { node in
            let visitor = try Visitor(node)
            _ = visitor.settle(0)
            try await serve(node, "0: { volume: one, readOnly: true }")
            // MODE PARAMETERS CHANGED, and nothing else: the unit is the same.
            #expect(visitor.settle(0) == [[6, 0x2a, 0x01]])
            #expect(visitor.read(0) == Self.onOne)
            let block: [UInt8] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0]
            visitor.raw.send(
                visitor.raw.command(block, flags: 0xa1, tag: 50, cmdSN: visitor.cmdSN, expected: 512))
            visitor.cmdSN += 1
            #expect(Visitor.sense(visitor.raw.answer()) == [7, 0x27, 0])
            let plan = try await node.plan(node.targets("    luns: { 0: { volume: one, readOnly: true } }\n"))
            #expect(plan == ["none "])
        }
    }

    @Test func thePlanSaysWhoLosesWhat() async throws {
        try await withVolumes { node in
            func disruption(_ manifest: String) async throws -> [String] {
                try await node.disruption(manifest)
            }
            let raw = "iqn.2026-11.org.example:raw"
            #expect(try await disruption(node.targets("    luns: { 0: two }\n")).isEmpty, "nobody is here")
            let visitor = try Visitor(node)
            #expect(
                try await disruption(node.targets("    luns: { 0: two }\n"))
                    == ["takes LUN 0 (one) from \(raw); there is two after the next login"])
            #expect(try await disruption(node.targets("    luns: { 1: two }\n")) == ["takes LUN 0 (one) from \(raw)"])
            #expect(try await disruption(node.targets("    luns: { 0: one, 1: two }\n")).isEmpty)
            #expect(
                try await disruption(node.targets("    luns: { 0: { volume: one, readOnly: true } }\n"))
                    == ["LUN 0 (one) can no longer be written by \(raw)"])
            #expect(
                try await disruption(
                    node.targets("    luns: { 0: two }\n    access: { initiators: [iqn.2026-11.org.example:x] }\n"))
                    == ["ends the sessions of \(raw), no longer admitted"])
            #expect(try await disruption("") == ["ends the sessions of \(raw)"])
            _ = visitor
        }
    }

    @Test func onlySoManyInitiatorsAreKeptInMind() {
        var history = UnitHistory()
        func nexus(_ number: Int) -> SessionParameters.Identity {
            SessionParameters.Identity(
                initiatorName: "iqn.x:\(number)", isid: InitiatorSessionID(raw: 1), targetName: "iqn.x:t",
                portalGroupTag: 1)
        }
        for number in 0...UnitHistory.viewLimit { history.left(nexus(number), knowing: [0: UInt64(number)]) }
        #expect(history.expectation(of: nexus(0), at: 0) == nil)
        #expect(history.expectation(of: nexus(1), at: 0) == 1)
        history.loggedOut(nexus(1))
        #expect(history.expectation(of: nexus(1), at: 0) == nil)
        history.leads(0, of: "iqn.x:t", to: 5)
        #expect(history.expectation(of: nexus(1), at: 0) == nil)
        history.leads(0, of: "iqn.x:t", to: 6)
        #expect(history.expectation(of: nexus(1), at: 0) == 5)
    }
}
