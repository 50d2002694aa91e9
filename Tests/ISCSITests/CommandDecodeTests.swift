import Testing

@testable import ISCSI

@Suite struct CommandDecodeTests {
    private static let one = BlockRange(lba: 0x102, count: 1)

    @Test(arguments: [
        ("08 00 01 02 01 00", Command.read(one, forceUnitAccess: false)),
        ("08 00 01 02 00 00", .read(BlockRange(lba: 0x102, count: 256), forceUnitAccess: false)),
        ("0a 00 01 02 01 00", .write(one, forceUnitAccess: false)),
        ("28 08 00 00 01 02 00 00 01 00", .read(one, forceUnitAccess: true)),
        ("28 10 00 00 01 02 00 00 01 00", .read(one, forceUnitAccess: false)),
        ("2a 18 00 00 01 02 00 00 01 00", .write(one, forceUnitAccess: true)),
        ("2a 02 00 00 01 02 00 00 01 00", .write(one, forceUnitAccess: false)),
        ("a8 08 00 00 01 02 00 00 00 01 00 00", .read(one, forceUnitAccess: true)),
        ("aa 00 00 00 01 02 00 00 00 01 00 00", .write(one, forceUnitAccess: false)),
        ("88 00 00 00 00 00 00 00 01 02 00 00 00 01 00 00", .read(one, forceUnitAccess: false)),
        ("8a 08 00 00 00 00 00 00 01 02 00 00 00 01 00 00", .write(one, forceUnitAccess: true)),
        ("2f 00 00 00 01 02 00 00 01 00", .verify(one, compare: false)),
        ("2f 02 00 00 01 02 00 00 01 00", .verify(one, compare: true)),
        ("af 02 00 00 01 02 00 00 00 01 00 00", .verify(one, compare: true)),
        ("8f 10 00 00 00 00 00 00 01 02 00 00 00 01 00 00", .verify(one, compare: false)),
        ("2e 02 00 00 01 02 00 00 01 00", .writeAndVerify(one, compare: true)),
        ("ae 00 00 00 01 02 00 00 00 01 00 00", .writeAndVerify(one, compare: false)),
        ("8e 00 00 00 00 00 00 00 01 02 00 00 00 01 00 00", .writeAndVerify(one, compare: false)),
        ("89 08 00 00 00 00 00 00 01 02 00 00 00 01 00 00", .compareAndWrite(one, forceUnitAccess: true)),
        ("8b 00 00 00 00 00 00 00 01 02 00 00 00 01 00 00", .orWrite(one, forceUnitAccess: false)),
        ("41 00 00 00 01 02 00 00 01 00", .writeSame(one, .block, unmap: false)),
        ("41 08 00 00 01 02 00 00 01 00", .writeSame(one, .block, unmap: true)),
        ("93 09 00 00 00 00 00 00 01 02 00 00 00 01 00 00", .writeSame(one, .zeros, unmap: true)),
        ("93 01 00 00 00 00 00 00 01 02 00 00 00 01 00 00", .writeSame(one, .zeros, unmap: false)),
        ("42 00 00 00 00 00 00 00 18 00", .unmap(parameterBytes: 24)),
        ("35 00 00 00 00 00 00 00 00 00", .synchronizeCache(immediate: false)),
        ("91 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00", .synchronizeCache(immediate: true)),
        ("34 02 00 00 01 02 00 00 01 00", .preFetch(one, immediate: true)),
        ("90 00 00 00 00 00 00 00 01 02 00 00 00 01 00 00", .preFetch(one, immediate: false)),
        ("9e 12 00 00 00 00 00 00 01 02 00 00 00 18 00 00", .getLBAStatus(lba: 0x102, allocation: 24)),
        ("9e 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00", .readCapacity16(allocation: 32)),
        ("25 00 00 00 00 00 00 00 00 00", .readCapacity10),
        ("12 01 80 00 ff 00", .inquiry(page: 0x80, allocation: 255)),
        ("12 00 00 01 04 00", .inquiry(page: nil, allocation: 260)),
        ("a0 00 02 00 00 00 00 00 10 00 00 00", .reportLUNs(select: 2, allocation: 4096)),
    ])
    func commandsAreDecoded(block: String, command: Command) throws {
        #expect(try decode(block) == command)
    }

    @Test(arguments: [
        // The first block behind the end, the last that a command can name, and a range that would wrap.
        "28 00 00 00 08 00 00 00 01 00", "28 00 00 00 07 ff 00 00 02 00", "28 00 ff ff ff ff 00 00 01 00",
        "28 00 00 00 08 01 00 00 00 00", "2a 00 80 00 00 00 00 00 00 00",
        "88 00 ff ff ff ff ff ff ff ff 00 00 00 01 00 00", "88 00 ff ff ff ff ff ff ff ff 00 00 00 00 00 00",
        "88 00 80 00 00 00 00 00 00 00 ff ff ff ff 00 00", "a8 00 00 00 00 00 ff ff ff ff 00 00",
        "08 1f ff ff 01 00", "2f 00 00 00 08 00 00 00 01 00", "8b 00 00 00 00 00 00 00 08 00 00 00 00 01 00 00",
        "89 00 00 00 00 00 00 00 08 00 00 00 00 01 00 00", "41 00 00 00 08 00 00 00 01 00",
        "93 01 00 00 00 00 00 00 07 ff 00 00 00 02 00 00", "9e 12 00 00 00 00 00 00 08 00 00 00 00 18 00 00",
        "34 00 00 00 08 00 00 00 01 00", "91 00 00 00 00 00 00 00 08 01 00 00 00 00 00 00",
    ])
    func blocksThatDoNotExistAreOutOfRange(block: String) {
        let sense = #expect(throws: Sense.self) { try decode(block) }
        #expect(sense?.code == .logicalBlockAddressOutOfRange && sense?.key == .illegalRequest)
    }

    @Test func anEmptyRangeMayStandAtTheEnd() throws {
        #expect(
            try decode("28 00 00 00 08 00 00 00 00 00")
                == .read(BlockRange(lba: 2048, count: 0), forceUnitAccess: false))
    }

    /// The field pointer names the byte, and the bit where there is one.
    @Test(arguments: [
        ("28 20 00 00 00 00 00 00 01 00", UInt16(1), UInt8(7)), ("2a e0 00 00 00 00 00 00 01 00", 1, 7),
        ("2f 04 00 00 00 00 00 00 01 00", 1, 2), ("8e 06 00 00 00 00 00 00 00 00 00 00 00 01 00 00", 1, 2),
        ("41 10 00 00 00 00 00 00 01 00", 1, 4), ("28 00 00 00 00 00 00 00 01 04", 9, 2),
        ("12 02 00 00 24 00", 1, 1), ("15 00 00 00 10 00", 1, 4), ("15 11 00 00 10 00", 1, 0),
        ("1b 00 00 00 02 00", 4, 1), ("9e 1f 00 00 00 00 00 00 00 00 00 00 00 20 00 00", 1, 4),
        ("a3 1f 00 00 00 00 00 00 00 20 00 00", 1, 4), ("5e 04 00 00 00 00 00 00 08 00", 1, 4),
        ("5f 07 01 00 00 00 00 00 18 00", 1, 4), ("5f 01 00 00 00 00 00 00 18 00", 2, 3),
        ("5f 01 11 00 00 00 00 00 18 00", 2, 7), ("42 01 00 00 00 00 00 00 18 00", 1, 0),
    ])
    func fieldsThatAreWrongArePointedAt(block: String, byte: UInt16, bit: UInt8) {
        #expect(throws: Sense.invalidCommandField(byte: byte, bit: bit)) { try decode(block) }
    }

    @Test(arguments: [
        ("12 00 80 00 24 00", UInt16(2)), ("41 00 00 00 00 00 00 00 00 00", 7),
        ("93 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", 10),
    ])
    func wholeBytesThatAreWrongArePointedAt(block: String, byte: UInt16) {
        #expect(throws: Sense.invalidCommandField(byte: byte)) { try decode(block) }
    }

    @Test func transfersAreLimited() throws {
        var profile = UnitScript.profile(blocks: 1 << 20)
        profile.maxTransferBlocks = 128
        profile.maxCompareBlocks = 4
        profile.maxSameBlocks = 1000
        #expect(throws: Sense.invalidCommandField(byte: 7)) { try decode("28 00 00 00 00 00 00 00 81 00", profile) }
        #expect(throws: Sense.invalidCommandField(byte: 6)) {
            try decode("aa 00 00 00 00 00 00 00 00 81 00 00", profile)
        }
        #expect(throws: Sense.invalidCommandField(byte: 13)) {
            try decode("89 00 00 00 00 00 00 00 00 00 00 00 00 05 00 00", profile)
        }
        #expect(throws: Sense.invalidCommandField(byte: 10)) {
            try decode("93 00 00 00 00 00 00 00 00 00 00 00 03 e9 00 00", profile)
        }
    }

    @Test func aFullyProvisionedUnitGivesNothingBack() {
        let full = UnitScript.profile(thin: false)
        #expect(throws: Sense.invalidOpcode) { try decode("42 00 00 00 00 00 00 00 18 00", full) }
        #expect(throws: Sense.invalidCommandField(byte: 1, bit: 3)) {
            try decode("41 08 00 00 00 00 00 00 01 00", full)
        }
    }

    /// What the list of supported opcodes says and what is decoded are the same, for every opcode and service action.
    @Test(arguments: [true, false], [true, false])
    func whatIsListedIsWhatIsThere(thin: Bool, removable: Bool) {
        let profile = UnitScript.profile(thin: thin, removable: removable)
        for opcode in UInt8.min...UInt8.max {
            let entries = SupportedOpcode.all.filter { $0.opcode == opcode && $0.applies(to: profile) }
            for action in entries.contains(where: { $0.serviceAction != nil }) ? 0..<32 : 0..<1 {
                var bytes = [UInt8](repeating: 0, count: 16)
                bytes[0] = opcode
                bytes[1] = UInt8(action)
                // Fields that a plausible command fills: page format, reservation type, a length of one block.
                if opcode == 0x15 || opcode == 0x55 { bytes[1] = 0x10 }
                if opcode == 0x5f { bytes[2] = 0x01 }
                if opcode == 0x41 { bytes[8] = 1 }
                if opcode == 0x93 { bytes[13] = 1 }
                let listed = entries.contains { $0.serviceAction == nil || $0.serviceAction == UInt16(action) }
                let isThere = (try? Command.decode(decoded(bytes, CommandBlock.init), profile)) != nil
                #expect(isThere == listed, "opcode \(String(opcode, radix: 16)), service action \(action)")
            }
        }
    }

    @Test func usageMapsHaveTheLengthOfTheCommand() {
        for entry in SupportedOpcode.all {
            let length = [0: 6, 1: 10, 2: 10, 4: 16, 5: 12][entry.opcode >> 5]
            #expect(entry.usage.count == length, "opcode \(String(entry.opcode, radix: 16))")
            #expect(entry.usage.first == entry.opcode)
            if let action = entry.serviceAction { #expect(entry.usage[1] & 0x1f == UInt8(action)) }
        }
    }

    @Test(arguments: [
        ("2a 00 00 00 00 00 00 00 02 00", UInt32(1024), true), ("2a 00 00 00 00 00 00 00 02 00", 512, true),
        ("2a 00 00 00 00 00 00 00 02 00", 0, true), ("2a 00 00 00 00 00 00 00 01 00", 200, false),
        ("2a 00 00 00 00 00 00 00 01 00", 10_000, true), ("41 00 00 00 00 00 00 00 05 00", 512, true),
        ("41 00 00 00 00 00 00 00 05 00", 256, false), ("41 00 00 00 00 00 00 00 05 00", 1024, false),
        ("93 01 00 00 00 00 00 00 00 00 00 00 00 05 00 00", 0, true),
        ("89 00 00 00 00 00 00 00 00 00 00 00 00 02 00 00", 2048, true),
        ("89 00 00 00 00 00 00 00 00 00 00 00 00 02 00 00", 1024, false),
        ("89 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00", 2048, false),
        ("2f 02 00 00 00 00 00 00 02 00", 512, false), ("28 00 00 00 00 00 00 00 02 00", 0, true),
    ])
    func lengthsThatDoNotSuitTheCommandAreRefused(block: String, expected: UInt32, accepted: Bool) throws {
        let profile = UnitScript.profile()
        #expect(try decode(block, profile).accepts(expected: expected, profile.geometry) == accepted)
        var script = UnitScript(profile)
        let dispatch = script.send(block, expected: expected)
        let refused = dispatch.sense == .invalidTransferLength || dispatch.sense == .invalidCommandField(byte: 13)
        #expect(refused == !accepted)
    }

    @Test func dataSizesFollowTheBlocks() throws {
        let geometry = LogicalUnitGeometry(bytes: 1 << 30, blockBytes: 4096, physicalExponent: 0)
        let range = BlockRange(lba: 3, count: 5)
        #expect(range.byteOffset(geometry) == 12_288 && range.byteCount(geometry) == 20_480)
        #expect(Command.write(range, forceUnitAccess: false).dataOutBytes(geometry) == 20_480)
        #expect(Command.compareAndWrite(range, forceUnitAccess: false).dataOutBytes(geometry) == 40_960)
        #expect(Command.writeSame(range, .block, unmap: false).dataOutBytes(geometry) == 4096)
        #expect(Command.writeSame(range, .zeros, unmap: false).dataOutBytes(geometry) == 0)
        #expect(Command.verify(range, compare: false).dataOutBytes(geometry) == 0)
        #expect(Command.read(range, forceUnitAccess: false).dataOutBytes(geometry) == 0)
    }
}
