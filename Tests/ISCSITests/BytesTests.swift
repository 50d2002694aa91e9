import TestSupport
import Testing

@testable import ISCSI

@Suite struct BytesTests {
    @Test func integersAreReadBigEndian() {
        decoded(hex("01 02 03 04 05 06 07 08 09")) { bytes in
            let reader = ByteReader(bytes)
            #expect(reader.uint8(1) == 0x02)
            #expect(reader.uint16(1) == 0x0203)
            #expect(reader.uint24(1) == 0x02_0304)
            #expect(reader.uint32(1) == 0x0203_0405)
            #expect(reader.uint64(1) == 0x0203_0405_0607_0809)
        }
    }

    @Test(arguments: [-1, 2, 3, Int.max, Int.min])
    func whatDoesNotLieInsideReadsAsZero(offset: Int) {
        decoded([0xff, 0xff]) { bytes in
            let reader = ByteReader(bytes)
            #expect(reader.uint8(offset) == 0)
            #expect(reader.uint16(offset) == 0)
            #expect(reader.uint24(offset) == 0)
            #expect(reader.uint32(offset) == 0)
            #expect(reader.uint64(offset) == 0)
            #expect(reader.slice(at: offset, count: 5).isEmpty)
            #expect(!reader.has(1, at: offset))
        }
    }

    @Test func aFieldThatEndsOneByteLateReadsAsZero() {
        decoded([1, 2, 3, 4, 5, 6, 7, 8]) { bytes in
            #expect(ByteReader(bytes).uint64(0) != 0)
            #expect(ByteReader(bytes).uint64(1) == 0)
            #expect(ByteReader(bytes).uint32(5) == 0)
            #expect(ByteReader(bytes).uint24(6) == 0)
            #expect(ByteReader(bytes).uint16(7) == 0)
        }
    }

    @Test func aSliceIsCutAtTheEnd() {
        decoded([1, 2, 3]) { bytes in
            #expect(Array(ByteReader(bytes).slice(at: 1, count: 1)) == [2])
            #expect(Array(ByteReader(bytes).slice(at: 1, count: Int.max)) == [2, 3])
            #expect(ByteReader(bytes).slice(at: 1, count: -1).isEmpty)
        }
    }

    @Test func theWriterClearsAndWritesBigEndian() {
        var bytes = [UInt8](repeating: 0xee, count: 24)
        bytes.withUnsafeMutableBytes { buffer in
            let writer = ByteWriter(clearing: buffer, count: 20)
            writer.uint8(0, 0x01)
            writer.uint16(1, 0x0203)
            writer.uint24(3, 0x04_0506)
            writer.uint32(6, 0x0708_090a)
            writer.uint64(10, 0x0b0c_0d0e_0f10_1112)
        }
        #expect(words(bytes) == words(hex("01020304 05060708 090a0b0c 0d0e0f10 11120000 eeeeeeee")))
    }

    @Test func serialNumbersWrap() {
        let before = SerialNumber(0xffff_fffe)
        let after = SerialNumber(3)
        #expect(before < after)
        #expect(!(after < before))
        #expect(after.distance(after: before) == 5)
        #expect(before.distance(after: after) == -5)
        #expect(before + 2 == SerialNumber(0))
    }

    @Test func textIsCutPaddedAndMadePrintable() {
        var bytes: [UInt8] = []
        bytes.append(ascii: "ab\u{7}é", width: 6)
        bytes.append(ascii: "abcdef", width: 3)
        #expect(String(decoding: bytes, as: UTF8.self) == "ab??? abc")
    }
}

@Suite struct CRC32CTests {
    /// RFC 7143 appendix A.4, as they stand on the wire.
    @Test(arguments: [
        (String(repeating: "00", count: 32), "aa36918a"),
        (String(repeating: "ff", count: 32), "43aba862"),
        ("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "4e79dd46"),
        ("1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100", "5cdb3f11"),
        (
            "01c00000000000000000000000000000140000000000040000000014000000182800000000000000020000000000"
                + "0000", "563a96d9"
        ),
    ])
    func theVectorsOfTheStandardHold(data: String, digest: String) {
        var onWire = [UInt8](repeating: 0, count: 4)
        let crc = hex(data).withUnsafeBytes { CRC32C.checksum($0) }
        onWire.withUnsafeMutableBytes { CRC32C.store(crc, into: $0) }
        #expect(onWire == hex(digest))
        #expect(onWire.withUnsafeBytes { CRC32C.load($0) } == crc)
        #expect(hex(data).withUnsafeBytes { CRC32C.portableChecksum($0) } == crc)
    }

    /// Lengths around the blocks of 3 x 256 and 3 x 4096 bytes that the instruction's three streams take.
    @Test(arguments: [0, 1, 7, 8, 9, 767, 768, 769, 1535, 1536, 12_287, 12_288, 12_295, 13_057, 65_537])
    func theInstructionAndTheTableAgree(length: Int) {
        var random = SeededGenerator(seed: UInt64(length))
        let bytes = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        bytes.withUnsafeBytes { bytes in
            let whole = CRC32C.checksum(bytes)
            #expect(whole == CRC32C.portableChecksum(bytes))
            let cut = length / 3
            let first = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<cut]))
            #expect(CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[cut...]), continuing: first) == whole)
        }
    }

    @Test func aDigestOutsideTheBytesIsNone() {
        #expect(hex("010203").withUnsafeBytes { CRC32C.load($0) } == nil)
        #expect(hex("01020304").withUnsafeBytes { CRC32C.load($0, at: 1) } == nil)
        #expect(hex("01020304").withUnsafeBytes { CRC32C.load($0, at: -1) } == nil)
    }
}
