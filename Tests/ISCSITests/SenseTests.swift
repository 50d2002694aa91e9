import Testing

@testable import ISCSI

@Suite struct SenseTests {
    @Test func fixedFormat() {
        let sense = Sense.invalidCommandField(byte: 1, bit: 4)
        let expected = hex(
            """
            70 00 05 00  // current, illegal request
            00 00 00 0a  // information, additional length
            00 00 00 00
            24 00 00 cc  // invalid field in CDB; SKSV, C/D, BPV, bit 4
            00 01        // field pointer
            """)
        #expect(words(sense.bytes(descriptorFormat: false)) == words(expected))
    }

    @Test func fixedFormatWithInformation() {
        let bytes = Sense.miscompare(offset: 0x102).bytes(descriptorFormat: false)
        #expect(words(bytes) == words(hex("f0000e00 0001020a 00000000 1d000000 0000")))
        let large = Sense.miscompare(offset: 1 << 32).bytes(descriptorFormat: false)
        #expect(large[0] == 0x70, "what does not fit is not valid")
    }

    @Test func descriptorFormat() {
        let sense = Sense(
            .illegalRequest, .logicalBlockAddressOutOfRange,
            field: Sense.Field(byte: 2, bit: nil, inCommand: true), information: 0x1_0000_0000)
        let expected = hex(
            """
            72 05 21 00  // current, illegal request, LBA out of range
            00 00 00 14  // 20 bytes follow
            00 0a 80 00  // information, valid
            00 00 00 01  00 00 00 00
            02 06 00 00  // sense key specific
            c0 00 02 00  // SKSV, C/D; byte 2
            """)
        #expect(words(sense.bytes(descriptorFormat: true)) == words(expected))
    }

    @Test func parameterFieldsAreMarkedAsSuch() {
        #expect(Sense.invalidParameterField(byte: 20).bytes(descriptorFormat: false)[15] == 0x80)
    }

    @Test func senseReadsAsASentence() {
        #expect(
            Sense.invalidCommandField(byte: 1).description
                == "illegalRequest, invalidFieldInCommandBlock (2400h), byte 1 of the command")
    }
}
