import IOLoop
import ISCSI
import TestSupport
import Testing

@testable import BlockStore

/// What a target does with bytes that no initiator should send: it answers or closes, and the others notice nothing.
@Suite(.ownThreads) struct HostileInitiatorTests {
    struct Garbage: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]
    }

    private static func random(_ count: Int, _ seed: UInt64) -> [UInt8] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
    }

    private static func header(_ patch: [Int: UInt8]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 48)
        for (offset, value) in patch { bytes[offset] = value }
        return bytes
    }

    static let garbage = [
        Garbage(
            testDescription: "an HTTP request",
            bytes: Array("GET / HTTP/1.1\r\nHost: target\r\n\r\n".utf8) + random(64, 1)),
        Garbage(testDescription: "a SCSI command before the login", bytes: header([0: 0x01, 1: 0x81])),
        Garbage(testDescription: "a Data-Out before the login", bytes: header([0: 0x05, 1: 0x80])),
        Garbage(testDescription: "a login of 16 MiB", bytes: header([0: 0x43, 1: 0x87, 5: 0xff, 6: 0xff, 7: 0xff])),
        Garbage(testDescription: "a login without text", bytes: header([0: 0x43, 1: 0x87])),
        Garbage(
            testDescription: "a login with headers behind the header",
            bytes: header([0: 0x43, 1: 0x87, 4: 0xff]) + random(1020, 2)),
        Garbage(testDescription: "a login in no stage", bytes: header([0: 0x43, 1: 0x8a])),
        Garbage(
            testDescription: "login text that is no text", bytes: header([0: 0x43, 1: 0x87, 7: 0x40]) + random(64, 3)),
        Garbage(testDescription: "a target's own opcode", bytes: header([0: 0x25, 1: 0x80])),
        Garbage(testDescription: "half a header", bytes: random(20, 4)),
        Garbage(testDescription: "random bytes", bytes: random(4096, 5)),
        Garbage(testDescription: "other random bytes", bytes: random(100_000, 6)),
    ]

    @Test(arguments: garbage) func garbageBeforeTheLoginDisturbsNobody(_ garbage: Garbage) async throws {
        try await withServer { server in
            let other = RawInitiator(port: server.port)
            #expect(other.login(ServedFixture.target)?.header[36] == 0)
            var cmdSN: UInt32 = 1
            #expect(other.settle(&cmdSN))
            do {
                let hostile = RawInitiator(port: server.port)
                hostile.send(garbage.bytes)
            }
            #expect(other.settle(&cmdSN))
        }
    }

    /// Headers that a logged-in initiator may send wrongly; what counts is that the session answers or ends.
    static let afterLogin = [
        Garbage(testDescription: "a login request", bytes: header([0: 0x43, 1: 0x87])),
        Garbage(testDescription: "a SNACK", bytes: header([0: 0x10, 1: 0x80])),
        Garbage(testDescription: "an unknown opcode", bytes: header([0: 0x1f, 1: 0x80])),
        Garbage(testDescription: "a Data-Out for nothing", bytes: header([0: 0x05, 1: 0x80, 7: 4]) + [1, 2, 3, 4]),
        Garbage(
            testDescription: "a text request of a wrong exchange", bytes: header([0: 0x44, 1: 0x80, 20: 9, 27: 1])),
        Garbage(testDescription: "a task management request of no function", bytes: header([0: 0x42, 1: 0xff, 27: 1])),
        Garbage(testDescription: "an abort of no task", bytes: header([0: 0x42, 1: 0x81, 27: 1])),
        Garbage(testDescription: "a reset of no unit", bytes: header([0: 0x42, 1: 0x85, 9: 99, 27: 1])),
        Garbage(
            testDescription: "a command with all reserved bits", bytes: header([0: 0x41, 1: 0xff, 27: 1, 32: 0xff])),
        Garbage(
            testDescription: "a command with too much data",
            bytes: header([0: 0x41, 1: 0xa1, 5: 0x10, 27: 1, 32: 0x2a])),
        Garbage(testDescription: "random bytes", bytes: random(4096, 7)),
    ]

    @Test(arguments: afterLogin) func garbageAfterTheLoginDisturbsNobody(_ garbage: Garbage) async throws {
        try await withServer { server in
            let other = RawInitiator(port: server.port)
            #expect(other.login(ServedFixture.target, isid: 0x8000_0002)?.header[36] == 0)
            var cmdSN: UInt32 = 1
            #expect(other.settle(&cmdSN))
            do {
                let hostile = RawInitiator(port: server.port)
                #expect(hostile.login(ServedFixture.target)?.header[36] == 0)
                hostile.send(garbage.bytes)
                hostile.send(hostile.pdu(0x40, tag: 99, [20: 0xffff_ffff, 24: 1]))
                // An answer of any kind, or the end: not silence.
                _ = hostile.answer()
            }
            #expect(other.settle(&cmdSN))
        }
    }

    @Test func aMessageWhoseDataIsDamagedFailsAloneAndTheSessionGoesOn() async throws {
        try await withServer { server in
            let initiator = RawInitiator(port: server.port)
            let keys = ["DataDigest=CRC32C", "ImmediateData=Yes"]
            #expect(initiator.login(ServedFixture.target, keys: keys)?.header[36] == 0)
            var cmdSN: UInt32 = 1
            #expect(initiator.settle(&cmdSN))
            let block: [UInt8] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0]
            let data = [UInt8](repeating: 0x77, count: 512)
            var damaged = initiator.command(block, flags: 0xa1, tag: 50, cmdSN: cmdSN, expected: 512, data: data)
            damaged[60] ^= 1
            initiator.send(damaged)
            cmdSN += 1
            let reject = initiator.answer()
            #expect(reject?.opcode == 0x3f && reject?.header[2] == 0x02)
            let failed = initiator.answer()
            // CHECK CONDITION, ABORTED COMMAND, protocol service CRC error.
            #expect(failed?.opcode == 0x21 && failed?.header[3] == 0x02)
            #expect(failed?.data[4] == 0x0b && failed?.data[14] == 0x47 && failed?.data[15] == 0x05)
            initiator.send(initiator.command(block, flags: 0xa1, tag: 51, cmdSN: cmdSN, expected: 512, data: data))
            let good = initiator.answer()
            #expect(good?.opcode == 0x21 && good?.header[3] == 0)
        }
    }

    @Test func whoDoesNotLogInInTimeIsShownOut() async throws {
        var limits = ServeLimits()
        limits.loginDeadline = .milliseconds(50)
        try await withServer(limits: limits) { server in
            let idle = RawInitiator(port: server.port)
            #expect(idle.isShownOut())
        }
    }

    @Test func strangersCannotTakeAllConnections() async throws {
        try await withServer { server in
            let known = RawInitiator(port: server.port)
            #expect(known.login(ServedFixture.target)?.header[36] == 0)
            let limit = ServeLimits().unauthenticated
            let strangers = (0..<limit + 6).map { _ in RawInitiator(port: server.port) }
            let newcomer = RawInitiator(port: server.port)
            #expect(newcomer.login(ServedFixture.target, isid: 0x8000_0002)?.header[36] == 0)
            // The oldest have gone, the younger stay.
            for stranger in strangers.prefix(7) { #expect(stranger.isShownOut()) }
            let count = await server.loop.run { loop in server.registry.open(on: loop).strangers.count }
            #expect(count == limit - 1)
            var cmdSN: UInt32 = 1
            #expect(known.settle(&cmdSN))
        }
    }

    @Test func theAddressWithTheMostStrangersMakesRoom() async throws {
        var limits = ServeLimits()
        limits.unauthenticated = 3
        try await withServer(limits: limits) { server in
            let slow = RawInitiator(port: server.port, from: 2)
            let first = RawInitiator(port: server.port, from: 3)
            let second = RawInitiator(port: server.port, from: 3)
            let newcomer = RawInitiator(port: server.port, from: 4)
            #expect(newcomer.login(ServedFixture.target, isid: 0x8000_0002)?.header[36] == 0)
            #expect(first.isShownOut())
            #expect(slow.login(ServedFixture.target, isid: 0x8000_0003)?.header[36] == 0)
            #expect(second.login(ServedFixture.target, isid: 0x8000_0004)?.header[36] == 0)
        }
    }

    @Test func aFullPortalStillLetsOneInWhoLogsIn() async throws {
        var limits = ServeLimits()
        limits.connectionsPerPortal = 2
        try await withServer(limits: limits) { server in
            let known = RawInitiator(port: server.port)
            #expect(known.login(ServedFixture.target)?.header[36] == 0)
            let idle = RawInitiator(port: server.port)
            let newcomer = RawInitiator(port: server.port)
            #expect(newcomer.login(ServedFixture.target, isid: 0x8000_0002)?.header[36] == 0)
            #expect(idle.isShownOut())
            // All have logged in: there is no more room.
            #expect(RawInitiator(port: server.port).isShownOut())
            var cmdSN: UInt32 = 1
            #expect(known.settle(&cmdSN))
        }
    }

    @Test func aLineInTheLogComesAtMostOnceInItsTime() {
        var throttle = LogThrottle(seconds: 1)
        #expect(throttle.note(at: 5) == 1)
        #expect(throttle.note(at: 6) == nil)
        #expect(throttle.note(at: 1_000_000_004) == nil)
        #expect(throttle.note(at: 1_000_000_005) == 3)
        #expect(throttle.note(at: 2_000_000_005) == 1)
    }
}
