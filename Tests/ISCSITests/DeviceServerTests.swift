import Testing

@testable import ISCSI

@Suite struct DeviceServerTests {
    @Test func standardInquiryData() {
        var script = UnitScript()
        #expect(script.send("12 00 00 00 ff 00") == .good)
        let expected = hex(
            """
            00 00 06 12  // disk, not removable, SPC-4, format 2 with HISUP
            5b 10 00 02  // 91 bytes follow; TPGS implicit; CMDQUE
            53 44 41 47 45 4e 54 20  // "SDAGENT "
            56 4f 4c 55 4d 45 20 20 20 20 20 20 20 20 20 20  // "VOLUME"
            31 20 20 20  // "1"
            00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
            00 a0 04 60 04 c0 09 60  // SAM-5, SPC-4, SBC-3, iSCSI
            00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
            """)
        #expect(words(script.answer) == words(expected))
    }

    @Test(arguments: [0, 1, 4, 5, 36, 95, 96, 97])
    func theAllocationLengthCutsAndChangesNothing(allocation: Int) {
        var script = UnitScript()
        _ = script.send("12 00 00 00 ff 00")
        let whole = script.answer
        _ = script.send("12 00 00 00 \((allocation < 16 ? "0" : "") + String(allocation, radix: 16)) 00")
        #expect(script.answer == Array(whole.prefix(allocation)))
    }

    @Test func thePagesAreListedInOrderAndAllThere() throws {
        var script = UnitScript()
        #expect(script.send("12 01 00 00 ff 00") == .good)
        #expect(script.answer == hex("00 00 00 07 00 80 83 86 b0 b1 b2"))
        for page in script.answer[4...] {
            let digits = (page < 16 ? "0" : "") + String(page, radix: 16)
            #expect(script.send("12 01 \(digits) 01 00 00") == .good)
            #expect(script.answer[1] == page)
            #expect(script.answer.count == 4 + Int(script.answer[2]) * 256 + Int(script.answer[3]))
        }
        #expect(script.send("12 01 c0 00 ff 00").sense == .invalidCommandField(byte: 2))
    }

    @Test func theUnitIsIdentified() {
        var script = UnitScript()
        _ = script.send("12 01 80 00 ff 00")
        #expect(String(decoding: script.answer[4...], as: UTF8.self) == "vm1-root")
        _ = script.send("12 01 83 04 00 00")
        let start = hex(
            """
            00 83 00 7c
            01 03 00 08  31 23 45 67  89 ab cd ef  // NAA 3, locally assigned
            02 01 00 10  53 44 41 47  45 4e 54 20  76 6d 31 2d  72 6f 6f 74  // T10 vendor
            51 94 00 04  00 00 00 01  // relative target port 1
            51 95 00 04  00 00 00 01  // target port group 1
            53 98 00 28              // the port's name
            """)
        #expect(words(script.answer.prefix(start.count)) == words(start))
        let text = String(decoding: script.answer, as: UTF8.self)
        #expect(text.contains("iqn.2026-11.org.example:vm1,t,0x0001\0"))
        #expect(script.answer.count % 4 == 0)
    }

    @Test(arguments: [true, false])
    func limitsAndProvisioning(thin: Bool) {
        var script = UnitScript(UnitScript.profile(thin: thin))
        _ = script.send("12 01 b0 00 ff 00")
        let limits = hex(
            """
            00 b0 00 3c
            01 ff 00 08  // WSNZ, 255 blocks to compare, granularity of 8
            00 01 00 00  00 00 08 00  00 00 00 00  // maximum, optimal, prefetch
            \(thin ? "00100000 00000100 00000080 80000000" : "00000000 00000000 00000000 00000000")
            00 00 00 00 00 40 00 00  // WRITE SAME
            """)
        #expect(words(script.answer.prefix(44)) == words(limits))
        #expect(script.answer.count == 64)
        _ = script.send("12 01 b2 00 ff 00")
        #expect(script.answer == hex(thin ? "00b20004 00e40200" : "00b20004 00000000"))
        _ = script.send("9e 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00")
        #expect(Array(script.answer[12..<16]) == hex(thin ? "0000c000" : "00000000"))
    }

    @Test func capacity() {
        var script = UnitScript(UnitScript.profile(blocks: 1 << 33))
        _ = script.send("25 00 00 00 00 00 00 00 00 00")
        #expect(script.answer == hex("ffffffff 00000200"))
        _ = script.send("9e 10 00 00 00 00 00 00 00 00 00 00 00 0c 00 00")
        #expect(script.answer == hex("00000001 ffffffff 00000200"))
    }

    @Test func aNewNexusHearsOfThePowerOnOnce() {
        var server = DeviceServer(profile: UnitScript.profile())
        var answer: [UInt8] = []
        let nexus = server.attach(InitiatorPort(name: "iqn.x:1", isid: InitiatorSessionID(raw: 1)))
        #expect(server.begin(scsi("12 00 00 00 24 00"), nexus: nexus, answer: &answer) == .good, "INQUIRY passes")
        #expect(server.begin(scsi("00"), nexus: nexus, answer: &answer) == .failed(.unitAttention(.powerOnOrReset)))
        #expect(server.begin(scsi("00"), nexus: nexus, answer: &answer) == .good)
    }

    @Test func requestSenseHandsAttentionsOutAsData() {
        var script = UnitScript()
        script.server.raise(.capacityChanged)
        #expect(script.send("03 00 00 00 12 00") == .good)
        #expect(Array(script.answer[2..<3] + script.answer[12..<14]) == hex("06 2a 09"))
        #expect(script.send("03 01 00 00 12 00") == .good)
        #expect(script.answer == hex("72000000 00000000"))
    }

    @Test func attentionsComeInTheirOrder() {
        var script = UnitScript(nexuses: 2)
        script.server.raise(.thinThresholdReached)
        script.server.raise(.capacityChanged)
        script.server.reset()
        #expect(script.send("00") == .failed(.unitAttention(.deviceReset)))
        #expect(script.send("00") == .failed(.unitAttention(.capacityDataHasChanged)))
        #expect(script.send("00") == .failed(.unitAttention(.thinProvisioningSoftThresholdReached)))
        #expect(script.send("00") == .good)
        #expect(script.send("00", from: 1) == .failed(.unitAttention(.deviceReset)))
    }

    @Test func resizingTellsEveryone() {
        var script = UnitScript(nexuses: 2)
        script.server.resize(bytes: 2048 * 512)
        #expect(script.send("00") == .good, "nothing has changed")
        script.server.resize(bytes: 4096 * 512)
        #expect(script.send("00", from: 1) == .failed(.unitAttention(.capacityDataHasChanged)))
        #expect(script.send("28 00 00 00 08 00 00 00 01 00", from: 1).sense == nil)
    }

    @Test func readingTheListOfUnitsWithdrawsItsAttention() {
        var script = UnitScript()
        script.server.raise(.reportedLUNsChanged)
        #expect(
            script.send("a0 00 00 00 00 00 00 00 10 00 00 00") == .reportLUNs(select: 0, allocation: 4096))
        #expect(script.send("00") == .good)
    }

    @Test func writesToAReadOnlyUnitAreRefused() {
        var script = UnitScript(UnitScript.profile(readOnly: true))
        #expect(script.send("2a 00 00 00 00 00 00 00 01 00", expected: 512).sense == .writeProtected)
        #expect(script.send("42 00 00 00 00 00 00 00 18 00", expected: 24).sense == .writeProtected)
        #expect(script.send("93 01 00 00 00 00 00 00 00 00 00 00 00 01 00 00").sense == .writeProtected)
        #expect(script.send("28 00 00 00 00 00 00 00 01 00").sense == nil)
        _ = script.send("1a 00 3f 00 ff 00")
        #expect(script.answer[2] == 0x90)
    }

    @Test func blockCommandsGoToTheStore() throws {
        var script = UnitScript()
        for block in ["28 00 00 00 00 00 00 00 01 00", "35 00 00 00 00 00 00 00 00 00"] {
            #expect(script.send(block) == .store(try decode(block)))
        }
        #expect(script.send("1b 00 00 00 00 00") == .store(.synchronizeCache(immediate: false)), "stopping flushes")
        #expect(script.send("1b 00 00 00 04 00") == .good)
        #expect(script.send("1b 00 00 00 01 00") == .good)
    }

    @Test func aRemovableMediumCanBeTakenOutUnlessPrevented() {
        var script = UnitScript(UnitScript.profile(removable: true), nexuses: 2)
        #expect(script.send("1e 00 00 00 01 00", from: 1) == .good)
        #expect(script.send("1b 00 00 00 02 00").sense?.code == .mediumRemovalPrevented)
        #expect(script.send("1e 00 00 00 00 00", from: 1) == .good)
        #expect(script.send("1b 00 00 00 02 00").sense == nil)
        #expect(script.send("00").sense?.code == .mediumNotPresent)
        #expect(script.send("28 00 00 00 00 00 00 00 01 00").sense?.code == .mediumNotPresent)
        #expect(script.send("12 00 00 00 24 00") == .good)
        #expect(script.send("1b 00 00 00 03 00") == .good)
        #expect(script.send("00") == .good)
    }

    @Test func whatPreventsRemovalEndsWithItsNexus() {
        var script = UnitScript(UnitScript.profile(removable: true), nexuses: 2)
        _ = script.send("1e 00 00 00 01 00", from: 1)
        script.server.detach(1)
        #expect(script.send("1b 00 00 00 02 00").sense == nil)
        #expect(script.send("00", from: 1).sense == .unsupportedUnit, "a nexus that has gone is nobody")
    }

    @Test func nexusNumbersAreUsedAgain() {
        var script = UnitScript(nexuses: 3)
        script.server.detach(1)
        #expect(script.server.attach(InitiatorPort(name: "iqn.x:9", isid: InitiatorSessionID(raw: 9))) == 1)
        #expect(script.server.attach(InitiatorPort(name: "iqn.x:8", isid: InitiatorSessionID(raw: 8))) == 3)
    }

    @Test func anAddressWithoutUnitSaysSo() {
        var answer: [UInt8] = []
        #expect(AbsentUnit.begin(scsi("00"), answer: &answer) == .failed(.unsupportedUnit))
        #expect(AbsentUnit.begin(scsi("28 00 00 00 00 00 00 00 01 00"), answer: &answer) == .failed(.unsupportedUnit))
        #expect(AbsentUnit.begin(scsi("12 00 00 00 24 00"), answer: &answer) == .good)
        #expect(answer.count == 36 && answer[0] == 0x7f)
        #expect(AbsentUnit.begin(scsi("03 00 00 00 fc 00"), answer: &answer) == .good)
        #expect(answer[2] == 0x05 && answer[12] == 0x25)
        #expect(
            AbsentUnit.begin(scsi("a0 00 00 00 00 00 00 00 10 00 00 00"), answer: &answer)
                == .reportLUNs(select: 0, allocation: 4096))
    }

    @Test func theListOfUnits() throws {
        var answer: [UInt8] = []
        try TargetReports.logicalUnits([0, 1, 300], select: 0, allocation: 4096, into: &answer)
        #expect(
            words(answer)
                == words(hex("00000018 00000000 00000000 00000000 00010000 00000000 412c0000 00000000")))
        answer = []
        try TargetReports.logicalUnits([0, 1, 300], select: 2, allocation: 16, into: &answer)
        #expect(words(answer) == words(hex("00000018 00000000 00000000 00000000")))
        answer = []
        try TargetReports.logicalUnits([0, 1], select: 1, allocation: 16, into: &answer)
        #expect(words(answer) == words(hex("00000000 00000000")))
        #expect(throws: Sense.invalidCommandField(byte: 2)) {
            try TargetReports.logicalUnits([0], select: 3, allocation: 16, into: &answer)
        }
        #expect(throws: Sense.invalidCommandField(byte: 6)) {
            try TargetReports.logicalUnits([0], select: 0, allocation: 15, into: &answer)
        }
    }

    @Test func portGroups() {
        var script = UnitScript()
        _ = script.send("a3 0a 00 00 00 00 00 00 01 00 00 00")
        #expect(words(script.answer) == words(hex("0000000c 00010001 00000001 00000001")))
        _ = script.send("a3 2a 00 00 00 00 00 00 01 00 00 00")
        #expect(words(script.answer) == words(hex("00000010 10000000 00010001 00000001 00000001")))
    }

    @Test func taskManagementFunctionsAreReported() {
        var script = UnitScript()
        _ = script.send("a3 0d 00 00 00 00 00 00 00 04 00 00")
        #expect(script.answer == hex("da 00 00 00"))
        _ = script.send("a3 0d 80 00 00 00 00 00 00 10 00 00")
        #expect(script.answer.count == 16)
    }
}

@Suite struct SupportedOpcodesTests {
    @Test func allOfThemAreListedOnceAndInOrder() {
        var script = UnitScript()
        #expect(script.send("a3 0c 00 00 00 00 00 00 ff ff 00 00") == .good)
        let list = stride(from: 4, to: script.answer.count, by: 8).map { Array(script.answer[$0..<$0 + 8]) }
        #expect(script.answer.count == 4 + list.count * 8)
        let keys = list.map { Int($0[0]) << 16 | Int($0[2]) << 8 | Int($0[3]) }
        #expect(keys == keys.sorted() && Set(keys).count == keys.count)
        #expect(list.contains(hex("28 00 00 00 00 00 00 0a")))
        #expect(list.contains(hex("9e 00 00 10 00 01 00 10")))
        #expect(!list.contains { $0[0] == 0x48 }, "SANITIZE is not there")
        #expect(!list.contains { $0[0] == 0x1e }, "PREVENT ALLOW belongs to removable media")
    }

    @Test func timeoutsAreToldWhenAskedFor() {
        var script = UnitScript()
        _ = script.send("a3 0c 80 00 00 00 00 00 ff ff 00 00")
        #expect((script.answer.count - 4) % 20 == 0)
        #expect(Array(script.answer[9..<14]) == hex("02 00 06 00 0a"))
        _ = script.send("a3 0c 81 28 00 00 00 00 ff ff 00 00")
        #expect(script.answer == hex("00 83 00 0a 28 18 ff ff ff ff 00 ff ff 04 00 0a 00 00 00 00 00 00 00 00 00 00"))
    }

    @Test func oneCommandIsAskedForByItsForm() {
        var script = UnitScript()
        #expect(script.send("a3 0c 01 9e 00 00 00 00 ff ff 00 00").sense == .invalidCommandField(byte: 2, bit: 2))
        #expect(script.send("a3 0c 02 28 00 00 00 00 ff ff 00 00").sense == .invalidCommandField(byte: 2, bit: 2))
        _ = script.send("a3 0c 02 9e 00 10 00 00 ff ff 00 00")
        #expect(Array(script.answer.prefix(6)) == hex("00 03 00 10 9e 10"))
        _ = script.send("a3 0c 01 48 00 00 00 00 ff ff 00 00")
        #expect(script.answer == hex("00 01 00 00"))
        _ = script.send("a3 0c 03 28 00 00 00 00 ff ff 00 00")
        #expect(Array(script.answer.prefix(2)) == hex("00 03"))
        _ = script.send("a3 0c 03 28 00 01 00 00 ff ff 00 00")
        #expect(script.answer == hex("00 01 00 00"))
        _ = script.send("a3 0c 03 9e 00 12 00 00 ff ff 00 00")
        #expect(Array(script.answer.prefix(2)) == hex("00 03"))
    }
}
