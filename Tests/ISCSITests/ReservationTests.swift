import Testing

@testable import ISCSI

@Suite struct ReservationTests {
    /// The 24 bytes of a PERSISTENT RESERVE OUT parameter list.
    private func keys(_ key: UInt64, _ action: UInt64 = 0, flags: UInt8 = 0) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(uint64: key)
        bytes.append(uint64: action)
        bytes.append(zeros: 4)
        bytes += [flags, 0, 0, 0]
        return bytes
    }

    private func out(_ action: UInt8, type: UInt8 = 0) -> String {
        "5f 0\(action) 0\(type) 00 00 00 00 00 18 00"
    }

    /// Three initiators; the first two registered with keys 0xa1 and 0xb2.
    private func registered() -> UnitScript {
        var script = UnitScript(nexuses: 3)
        #expect(script.send(out(0), parameters: keys(0, 0xa1)) == .good)
        #expect(script.send(out(6), parameters: keys(77, 0xb2), from: 1) == .good)
        return script
    }

    private func readKeys(_ script: inout UnitScript) -> [UInt8] {
        _ = script.send("5e 00 00 00 00 00 00 ff ff 00", from: 2)
        return script.answer
    }

    @Test func keysAreRegisteredChangedAndRemoved() {
        var script = registered()
        #expect(readKeys(&script) == hex("00000002 00000010 00000000000000a1 00000000000000b2"))
        #expect(script.send(out(0), parameters: keys(0xa1, 0xa9)) == .good)
        #expect(script.send(out(0), parameters: keys(0xa1, 0xaa)) == .conflict, "not the key of the port")
        #expect(script.send(out(0), parameters: keys(0xb2, 0), from: 1) == .good)
        #expect(readKeys(&script) == hex("00000004 00000008 00000000000000a9"))
        #expect(script.send(out(0), parameters: keys(5, 6), from: 2) == .conflict, "a port without key has key 0")
        #expect(script.send(out(6), parameters: keys(5, 0), from: 2) == .good, "there is nothing to remove")
    }

    @Test func theListIsCutWithoutChange() {
        var script = registered()
        _ = script.send("5e 00 00 00 00 00 00 00 0c 00")
        #expect(script.answer == hex("00000002 00000010 00000000"))
    }

    @Test(arguments: [(UInt8(0x01), UInt16(20)), (0x04, 20), (0x08, 20)])
    func whatWeHaveNotIsRefused(flags: UInt8, byte: UInt16) {
        var script = UnitScript()
        #expect(
            script.send(out(0), parameters: keys(0, 1, flags: flags)).sense == .invalidParameterField(byte: byte))
        #expect(script.send("5f 00 00 00 00 00 00 00 17 00", parameters: keys(0, 1)).sense == .parameterListLength)
    }

    private static let read = "28 00 00 00 00 00 00 00 01 00"
    private static let write = "2a 00 00 00 00 00 00 00 01 00"

    /// Who may read and write while initiator 0 holds a reservation; 1 is registered, 2 is a stranger.
    @Test(arguments: [
        (PersistentReservationType.writeExclusive, [true, true], [true, false]),
        (.exclusiveAccess, [false, false], [false, false]),
        (.writeExclusiveRegistrantsOnly, [true, true], [true, false]),
        (.exclusiveAccessRegistrantsOnly, [true, true], [false, false]),
        (.writeExclusiveAllRegistrants, [true, true], [true, false]),
        (.exclusiveAccessAllRegistrants, [true, true], [false, false]),
    ])
    func accessFollowsTheType(type: PersistentReservationType, registrant: [Bool], stranger: [Bool]) {
        var script = registered()
        #expect(script.send(out(1, type: type.rawValue), parameters: keys(0xa1)) == .good)
        let writes = type.rawValue >= 5
        #expect((script.send(Self.read, from: 1) != .conflict) == registrant[0])
        #expect((script.send(Self.write, from: 1, expected: 512) != .conflict) == (registrant[1] && writes))
        #expect((script.send(Self.read, from: 2) != .conflict) == stranger[0])
        #expect((script.send(Self.write, from: 2, expected: 512) != .conflict) == stranger[1])
        #expect(script.send(Self.write, from: 0, expected: 512) != .conflict)
        for allowed in ["00", "12 00 00 00 24 00", "25 00 00 00 00 00 00 00 00 00", "03 00 00 00 12 00"] {
            #expect(script.send(allowed, from: 2) == .good)
        }
        #expect(script.send("1a 00 3f 00 ff 00", from: 2) == .conflict)
        #expect(script.send("35 00 00 00 00 00 00 00 00 00", from: 2) == .conflict)
        _ = script.send("5e 01 00 00 00 00 00 00 18 00", from: 2)
        let key: UInt64 = type.isHeldByAll ? 0 : 0xa1
        var expected = hex("00000002 00000010")
        expected.append(uint64: key)
        #expect(script.answer == expected + [0, 0, 0, 0, 0, type.rawValue, 0, 0])
    }

    @Test func onlyTheHolderReleases() {
        var script = registered()
        #expect(script.send(out(1, type: 5), parameters: keys(0xa1)) == .good)
        #expect(script.send(out(1, type: 5), parameters: keys(0xa1)) == .good, "the same again is no change")
        #expect(script.send(out(1, type: 6), parameters: keys(0xa1)) == .conflict)
        #expect(script.send(out(1, type: 5), parameters: keys(0xb2), from: 1) == .conflict)
        #expect(script.send(out(2, type: 5), parameters: keys(0xb2), from: 1) == .good, "not the holder: nothing")
        #expect(script.send(Self.write, from: 2, expected: 512) == .conflict)
        #expect(
            script.send(out(2, type: 6), parameters: keys(0xa1)).sense?.code
                == .invalidReleaseOfPersistentReservation)
        #expect(script.send(out(2, type: 5), parameters: keys(1)) == .conflict, "with the wrong key")
        #expect(script.send(out(2, type: 5), parameters: keys(0xa1)) == .good)
        #expect(script.send(Self.write, from: 2, expected: 512) != .conflict)
        #expect(script.send("00", from: 1) == .failed(.unitAttention(.reservationsReleased)))
        #expect(script.send("00", from: 2) == .good, "a stranger hears nothing")
    }

    @Test func theReservationGoesWithItsHolder() {
        var script = registered()
        _ = script.send(out(1, type: 1), parameters: keys(0xa1))
        #expect(script.send(out(0), parameters: keys(0xa1, 0)) == .good)
        #expect(script.server.reservations.reservation == nil)
        #expect(script.send("00", from: 1) == .good, "no rights are lost with this type")
    }

    @Test func aReservationOfAllStaysUntilTheLastHasGone() {
        var script = registered()
        _ = script.send(out(1, type: 7), parameters: keys(0xa1))
        _ = script.send(out(0), parameters: keys(0xa1, 0))
        #expect(script.server.reservations.reservation != nil)
        _ = script.send(out(0), parameters: keys(0xb2, 0), from: 1)
        #expect(script.server.reservations.reservation == nil)
    }

    @Test func preemptingTakesKeyAndReservation() {
        var script = registered()
        _ = script.send(out(1, type: 5), parameters: keys(0xa1))
        #expect(script.send(out(4, type: 3), parameters: keys(0xb2, 0xa1), from: 1) == .good)
        #expect(readKeys(&script) == hex("00000003 00000008 00000000000000b2"))
        #expect(script.server.reservations.reservation?.type == .exclusiveAccess)
        #expect(script.send("00", from: 0) == .failed(.unitAttention(.registrationsPreempted)))
        #expect(script.send(Self.read, from: 0) == .conflict)
        #expect(script.send(Self.read, from: 1) != .conflict)
    }

    @Test func preemptingWithoutReservationOnlyRemovesKeys() {
        var script = registered()
        #expect(script.send(out(4, type: 3), parameters: keys(0xb2, 0xa1), from: 1) == .good)
        #expect(script.server.reservations.reservation == nil)
        #expect(script.send(out(4, type: 3), parameters: keys(0xb2, 0x99), from: 1) == .conflict)
        #expect(
            script.send(out(4, type: 3), parameters: keys(0xb2, 0), from: 1).sense == .invalidParameterField(byte: 8))
    }

    @Test func preemptAndAbortNamesTheNexuses() {
        var script = registered()
        _ = script.send(out(1, type: 1), parameters: keys(0xa1))
        #expect(script.send(out(5, type: 1), parameters: keys(0xb2, 0xa1), from: 1) == .goodAborting([0]))
    }

    @Test func clearingEndsEverything() {
        var script = registered()
        _ = script.send(out(1, type: 1), parameters: keys(0xa1))
        #expect(script.send(out(3), parameters: keys(0xb2), from: 1) == .good)
        #expect(readKeys(&script) == hex("00000003 00000000"))
        #expect(script.server.reservations.reservation == nil)
        #expect(script.send("00") == .failed(.unitAttention(.reservationsPreempted)))
    }

    @Test func registrationsOutliveTheSession() {
        var script = registered()
        _ = script.send(out(1, type: 1), parameters: keys(0xa1))
        script.server.detach(0)
        script.server.reset()
        _ = script.send("00", from: 2)
        #expect(script.send(Self.write, from: 2, expected: 512) == .conflict)
        let back = script.server.attach(InitiatorPort(name: "IQN.x:0", isid: InitiatorSessionID(raw: 0)))
        _ = script.send("00", from: back)
        #expect(script.send(Self.write, from: back, expected: 512) != .conflict)
    }

    @Test func capabilitiesAndFullStatus() {
        var script = registered()
        _ = script.send("5e 02 00 00 00 00 00 ff ff 00")
        #expect(script.answer == hex("0008 00 80 ea01 0000"))
        _ = script.send(out(1, type: 5), parameters: keys(0xa1))
        _ = script.send("5e 03 00 00 00 00 00 ff ff 00")
        let holder = hex(
            """
            00 00 00 02  00 00 00 70  // generation, 112 bytes
            00 00 00 00 00 00 00 a1  00 00 00 00  // key
            01 05 00 00 00 00  // holder; write exclusive, registrants only
            00 01  00 00 00 20  // port 1, 32 bytes of identity
            45 00 00 1c
            """)
        #expect(script.answer.count == 8 + 112)
        #expect(words(script.answer.prefix(holder.count)) == words(holder))
    }

    @Test func simpleReservationsShutOthersOut() {
        var script = UnitScript(nexuses: 2)
        #expect(script.send("16 00 00 00 00 00") == .good)
        #expect(script.send("56 00 00 00 00 00 00 00 00 00") == .good)
        #expect(script.send("16 00 00 00 00 00", from: 1) == .conflict)
        #expect(script.send("17 00 00 00 00 00", from: 1) == .good, "a release of another's is nothing")
        #expect(script.send("1a 00 3f 00 ff 00", from: 1) == .conflict)
        #expect(script.send("00", from: 1) == .conflict)
        #expect(script.send(out(0), parameters: keys(0, 1), from: 0) == .conflict, "one kind at a time")
        #expect(script.send("12 00 00 00 24 00", from: 1) == .good)
        script.server.detach(0)
        #expect(script.send("16 00 00 00 00 00", from: 1) == .good, "it ended with its nexus")
    }

    @Test func registrationsExcludeSimpleReservations() {
        var script = registered()
        #expect(script.send("16 00 00 00 00 00") == .conflict)
    }

    @Test func registrationsAreBounded() {
        var script = UnitScript(nexuses: PersistentReservations.maxRegistrants + 1)
        for nexus in 0..<PersistentReservations.maxRegistrants {
            #expect(script.send(out(0), parameters: keys(0, 1), from: nexus) == .good)
        }
        let last = script.send(out(0), parameters: keys(0, 1), from: PersistentReservations.maxRegistrants)
        #expect(last.sense?.code == .insufficientRegistrationResources)
    }
}
