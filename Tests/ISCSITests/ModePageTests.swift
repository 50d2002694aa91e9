import Testing

@testable import ISCSI

@Suite struct ModePageTests {
    private static let cachingPage = "0812 0400 00000000 00000000 00000000 00000000"

    @Test func allPagesInTheShortForm() {
        var script = UnitScript()
        #expect(script.send("1a 00 3f 00 ff 00") == .good)
        let expected = hex(
            """
            43 00 10 08  // 67 bytes follow; DPOFUA; a block descriptor
            00 00 08 00  00 00 02 00  // 2048 blocks of 512 bytes
            01 0a 00 00 00 00 00 00 00 00 00 00
            08 12 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  // WCE
            0a 0a 02 10 00 40 00 00 ff ff 00 00  // GLTSD, unrestricted reordering, TAS
            1c 0a 08 00 00 00 00 00 00 00 00 00  // DEXCPT
            """)
        #expect(words(script.answer) == words(expected))
    }

    @Test func onePageInTheLongForm() {
        var script = UnitScript()
        _ = script.send("5a 10 08 00 00 00 00 00 ff 00")
        let expected = hex(
            """
            00 2a 00 10  01 00 00 10  // 42 bytes follow; DPOFUA; LONGLBA, 16 bytes of descriptor
            00 00 00 00  00 00 08 00  00 00 00 00  00 00 02 00
            """ + Self.cachingPage)
        #expect(words(script.answer) == words(expected))
        _ = script.send("5a 08 08 00 00 00 00 00 ff 00")
        #expect(words(script.answer) == words(hex("001a 0010 0000 0000" + Self.cachingPage)))
    }

    @Test func whatCanBeChangedIsTold() {
        var script = UnitScript()
        _ = script.send("1a 08 4a 00 ff 00")
        #expect(script.answer == hex("0f 00 00 00 0a 0a 04 00 08 00 00 00 00 00 00 00"))
        _ = script.send("1a 08 48 00 ff 00")
        #expect(script.answer.dropFirst(6).allSatisfy { $0 == 0 })
    }

    @Test func savedValuesPagesAndSubpagesThatAreNotThere() {
        var script = UnitScript()
        #expect(script.send("1a 08 ca 00 ff 00").sense?.code == .savingParametersNotSupported)
        #expect(script.send("1a 08 02 00 ff 00").sense == .invalidCommandField(byte: 2, bit: 5))
        #expect(script.send("1a 08 0a 01 ff 00").sense == .invalidCommandField(byte: 3))
        #expect(script.send("1a 08 3f ff ff 00") == .good)
        #expect(script.send("1a 08 0a ff ff 00") == .good)
    }

    private static let setProtect = hex("00000000 0a0a0210 08400000 ffff0000")

    @Test func softwareWriteProtectIsSetAndTold() {
        var script = UnitScript(nexuses: 2)
        #expect(script.send("15 10 00 00 10 00", parameters: Self.setProtect) == .good)
        #expect(script.send("2a 00 00 00 00 00 00 00 01 00", expected: 512).sense == .writeProtected)
        #expect(script.send("00", from: 1) == .failed(.unitAttention(.modeParametersChanged)))
        _ = script.send("1a 08 0a 00 ff 00")
        #expect(script.answer == hex("0f 00 90 00 0a 0a 02 10 08 40 00 00 ff ff 00 00"))
        _ = script.send("1a 08 8a 00 ff 00")
        #expect(script.answer[8] == 0, "the default is unprotected")
        #expect(script.send("15 10 00 00 10 00", parameters: hex("00000000 0a0a0210 00400000 ffff0000")) == .good)
        #expect(script.send("2a 00 00 00 00 00 00 00 01 00", expected: 512).sense == nil)
    }

    @Test func settingWhatIsSetTellsNobody() {
        var script = UnitScript(nexuses: 2)
        #expect(script.send("15 10 00 00 10 00", parameters: hex("00000000 0a0a0210 00400000 ffff0000")) == .good)
        #expect(script.send("00", from: 1) == .good)
    }

    @Test func theSenseFormatCanBeChosen() {
        var script = UnitScript()
        #expect(!script.server.descriptorSense)
        let short = hex("0000000000000004 00000000 0a0a0610 00400000 ffff0000")
        let refused = script.send("55 10 00 00 00 00 00 00 18 00", parameters: short)
        #expect(refused.sense == .invalidParameterField(byte: 6))
        let right = hex("0000000000000008 00000000 00000200 0a0a0610 00400000 ffff0000")
        #expect(script.send("55 10 00 00 00 00 00 00 1c 00", parameters: right) == .good)
        #expect(script.server.descriptorSense)
        script.server.reset()
        #expect(!script.server.descriptorSense, "a reset restores the defaults")
    }

    @Test(arguments: [
        // A bit that cannot be changed, a page that is not there, a length that is not the page's, a subpage.
        ("00000000 0a0a0210 01400000 ffff0000", Sense.invalidParameterField(byte: 8)),
        ("00000000 08120000 00000000 00000000 00000000 00000000", .invalidParameterField(byte: 6)),
        ("00000000 020a0000 00000000 00000000", .invalidParameterField(byte: 4)),
        ("00000000 0a0b0210 00000000 ffff000000", .invalidParameterField(byte: 5)),
        ("00000000 4a010000 00000000 ffff0000", .invalidParameterField(byte: 4)),
        ("00000007 00000800 00000200 0a0a0210", .invalidParameterField(byte: 3)),
        ("00000008 00000800 00001000 0a0a0210", .invalidParameterField(byte: 9)),
        // Cut off in the header, the descriptor, a page's head, a page.
        ("000000", .parameterListLength), ("00000008 00000800", .parameterListLength),
        ("00000000 0a", .parameterListLength), ("00000000 0a0a0210 08", .parameterListLength),
    ])
    func listsThatAreWrongChangeNothing(list: String, sense: Sense) {
        var script = UnitScript(nexuses: 2)
        let bytes = hex(list)
        let length = (bytes.count < 16 ? "0" : "") + String(bytes.count, radix: 16)
        #expect(script.send("15 10 00 00 \(length) 00", parameters: bytes).sense == sense)
        #expect(script.send("00", from: 1) == .good)
    }

    @Test func anEmptyListIsNoMistake() {
        var script = UnitScript()
        #expect(script.send("15 10 00 00 00 00", parameters: []) == .good)
    }
}

@Suite struct UnmapListTests {
    private func parse(_ list: String, _ profile: LogicalUnitProfile = UnitScript.profile()) throws -> [BlockRange] {
        try hex(list).withUnsafeBytes { try UnmapList.parse($0, profile) }
    }

    @Test func descriptorsAreReadInTheirOrder() throws {
        let list = """
            0026 0020 00000000
            0000000000000100 00000010 00000000
            0000000000000000 00000001 00000000
            """
        #expect(try parse(list) == [BlockRange(lba: 256, count: 16), BlockRange(lba: 0, count: 1)])
    }

    @Test(arguments: ["", "0006 0000 00000000", "0016 0010 00000000 0000000000000800 00000000 00000000"])
    func nothingToGiveBackIsNoMistake(list: String) throws {
        #expect(try parse(list).isEmpty)
    }

    @Test func aRestThatFillsNoDescriptorIsIgnored() throws {
        #expect(try parse("0010 000f 00000000 0000000000000100 00000010 000000").isEmpty)
    }

    @Test(arguments: [
        ("0006 00", AdditionalSense.parameterListLengthError),
        ("0016 0010 00000000", .parameterListLengthError),
        ("0016 0010 00000000 0000000000000800 00000001 00000000", .logicalBlockAddressOutOfRange),
        ("0016 0010 00000000 ffffffffffffffff ffffffff 00000000", .logicalBlockAddressOutOfRange),
    ])
    func listsThatAreWrongAreRefused(list: String, code: AdditionalSense) {
        let sense = #expect(throws: Sense.self) { try parse(list) }
        #expect(sense?.code == code)
    }

    @Test func theLimitsHold() {
        var profile = UnitScript.profile(blocks: 1 << 30)
        profile.maxUnmapBlocks = 100
        profile.maxUnmapDescriptors = 2
        let fifty = "0000000000000100 00000032 00000000"
        let fiftyOne = "0000000000000100 00000033 00000000"
        #expect((try? parse("0026 0020 00000000" + fifty + fifty, profile))?.count == 2)
        #expect(throws: Sense.invalidParameterField(byte: 32)) {
            try parse("0026 0020 00000000" + fifty + fiftyOne, profile)
        }
        #expect(throws: Sense.invalidParameterField(byte: 2)) {
            try parse("0036 0030 00000000" + fifty + fifty + fifty, profile)
        }
    }

    @Test func provisioningStatesThatFollowEachOtherJoin() {
        var status = LBAStatus()
        status.append(BlockRange(lba: 8, count: 8), .mapped)
        status.append(BlockRange(lba: 16, count: 4), .mapped)
        status.append(BlockRange(lba: 20, count: 100), .deallocated)
        #expect(status.count == 2)
        let expected = hex(
            """
            00 00 00 24  00 00 00 00
            00 00 00 00  00 00 00 08  00 00 00 0c  00 00 00 00  // 12 mapped
            00 00 00 00  00 00 00 14  00 00 00 64  01 00 00 00  // 100 deallocated
            """)
        #expect(words(status.bytes) == words(expected))
    }
}
