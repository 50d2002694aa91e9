import TestSupport
import Testing

@testable import ISCSI

/// A write command's header, as far as transfers look at it.
func writeCommand(expected: UInt32, immediate: UInt32 = 0, final: Bool = true) -> SCSICommand {
    var bytes = [UInt8](repeating: 0, count: 48)
    bytes[0] = 0x01
    bytes[1] = (final ? 0x80 : 0) | 0x21
    bytes.patch(uint32: Int(immediate), at: 4)
    bytes.patch(uint32: 5, at: 16)
    bytes.patch(uint32: Int(expected), at: 20)
    return decoded(bytes, SCSICommand.init)
}

func dataOut(_ length: UInt32, at offset: UInt32, sn: UInt32, tag: UInt32 = .max, final: Bool = false) -> DataOut {
    var bytes = [UInt8](repeating: 0, count: 48)
    bytes[0] = 0x05
    bytes[1] = final ? 0x80 : 0
    bytes.patch(uint32: Int(length), at: 4)
    bytes.patch(uint32: Int(tag), at: 20)
    bytes.patch(uint32: Int(sn), at: 36)
    bytes.patch(uint32: Int(offset), at: 40)
    return decoded(bytes, DataOut.init)
}

@Suite struct WriteTransferTests {
    private let limits = TransferLimits(
        maxSendDataSegment: 4096, maxBurst: 16_384, firstBurst: 8192, initialR2T: false, immediateData: true,
        maxOutstandingR2T: 2)

    private func transfer(
        expected: UInt32, required: UInt64? = nil, immediate: UInt32 = 0, final: Bool = true,
        _ change: (inout TransferLimits) -> Void = { _ in }
    ) throws(TransferFault) -> WriteTransfer {
        var limits = self.limits
        change(&limits)
        return try WriteTransfer(
            writeCommand(expected: expected, immediate: immediate, final: final),
            required: required ?? UInt64(expected), limits: limits, tagBase: 0x300)
    }

    /// The next R2T, which must be there.
    private func ask(_ write: inout WriteTransfer) throws -> WriteTransfer.Request {
        let request = write.nextRequest()
        return try #require(request)
    }

    /// The next Data-Out, which must land there.
    private func take(
        _ write: inout WriteTransfer, _ data: DataOut, offset: UInt32, keep: UInt32,
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let place = try write.receive(data)
        #expect(place == WriteTransfer.Placement(offset: offset, keep: keep), sourceLocation: location)
    }

    @Test func burstsEndWhereTheRoomEnds() throws {
        // 196 bytes of immediate data would put every burst across the end of the room.
        var write = try transfer(expected: 65536, immediate: 196)
        let first = write.nextRequest(upTo: 32768)
        #expect(first?.offset == 196 && first?.length == 16_384)
        let second = write.nextRequest(upTo: 32768)
        #expect(second?.offset == 16_580 && second?.length == 16_188)
        #expect(write.nextRequest(upTo: 32768) == nil && !write.isIdle)
        let tags = [first, second].map { $0?.targetTransferTag ?? 0 }
        try take(&write, dataOut(16_384, at: 196, sn: 0, tag: tags[0], final: true), offset: 196, keep: 16_384)
        try take(&write, dataOut(16_188, at: 16_580, sn: 0, tag: tags[1], final: true), offset: 16_580, keep: 16_188)
        #expect(write.isIdle && !write.isComplete && write.fault == nil)
        #expect(write.nextRequest(upTo: 32768) == nil)
        let third = write.nextRequest(upTo: 65536)
        #expect(third?.offset == 32768 && third?.length == 16_384)
    }

    @Test func immediateDataAloneCompletes() throws {
        var write = try transfer(expected: 4096, immediate: 4096)
        #expect(write.isComplete && write.immediateKeep == 4096 && write.residual == .none)
        #expect(write.nextRequest() == nil)
        #expect(write.r2tCount == 0)
    }

    @Test func burstsAreAskedForInTurn() throws {
        var write = try transfer(expected: 50_000, immediate: 4096)
        let first = try ask(&write)
        let second = try ask(&write)
        #expect(first == WriteTransfer.Request(r2tSN: 0, targetTransferTag: 0x300, offset: 4096, length: 16_384))
        #expect(second == WriteTransfer.Request(r2tSN: 1, targetTransferTag: 0x301, offset: 20_480, length: 16_384))
        #expect(write.nextRequest() == nil, "two are open, and no more than two may be")

        try take(&write, dataOut(10_000, at: 4096, sn: 0, tag: 0x300), offset: 4096, keep: 10_000)
        try take(&write, dataOut(6384, at: 14_096, sn: 1, tag: 0x300, final: true), offset: 14_096, keep: 6384)
        let third = try ask(&write)
        #expect(third == WriteTransfer.Request(r2tSN: 2, targetTransferTag: 0x302, offset: 36_864, length: 13_136))
        _ = try write.receive(dataOut(16_384, at: 20_480, sn: 0, tag: 0x301, final: true))
        #expect(write.nextRequest() == nil)
        #expect(!write.isComplete)
        _ = try write.receive(dataOut(13_136, at: 36_864, sn: 0, tag: 0x302, final: true))
        #expect(write.isComplete && write.r2tCount == 3)
    }

    @Test func unsolicitedDataComesBeforeAnyR2T() throws {
        var write = try transfer(expected: 20_000, immediate: 1024, final: false)
        #expect(write.nextRequest() == nil)
        #expect(!write.isComplete)
        try take(&write, dataOut(4096, at: 1024, sn: 0), offset: 1024, keep: 4096)
        _ = try write.receive(dataOut(3072, at: 5120, sn: 1, final: true))
        let request = try ask(&write)
        #expect(request.offset == 8192)
    }

    @Test func anInitiatorMaySendLessThanTheFirstBurst() throws {
        var write = try transfer(expected: 20_000, final: false)
        _ = try write.receive(dataOut(100, at: 0, sn: 0, final: true))
        let request = try ask(&write)
        #expect(request.offset == 100)
    }

    @Test func whatTheCommandDoesNotWantIsDropped() throws {
        var write = try transfer(expected: 8192, required: 512, final: false)
        #expect(write.wanted == 512 && write.residual == .underflow(7680))
        try take(&write, dataOut(300, at: 0, sn: 0), offset: 0, keep: 300)
        try take(&write, dataOut(4000, at: 300, sn: 1), offset: 300, keep: 212)
        #expect(!write.isComplete, "the rest of the burst is still to pass")
        try take(&write, dataOut(3892, at: 4300, sn: 2, final: true), offset: 4300, keep: 0)
        #expect(write.nextRequest() == nil)
        #expect(write.isComplete)
    }

    @Test func whatTheInitiatorDoesNotHaveIsNotAskedFor() throws {
        var write = try transfer(expected: 512, required: 1024)
        #expect(write.wanted == 512 && write.residual == .overflow(512))
        let request = try ask(&write)
        #expect(request.length == 512)
        var none = try transfer(expected: 0, required: 512)
        #expect(none.nextRequest() == nil)
        #expect(none.isComplete && none.residual == .overflow(512))
    }

    @Test func aCommandThatFailsStillLetsItsDataPass() throws {
        var write = try transfer(expected: 4096, required: 0, immediate: 1024, final: false)
        #expect(!write.isComplete && write.immediateKeep == 0)
        let place = try write.receive(dataOut(3072, at: 1024, sn: 0, final: true))
        #expect(place.keep == 0)
        #expect(write.isComplete)
    }

    @Test func theTagsOfR2TsGoRound() throws {
        var write = try transfer(expected: 512 * 600) { limits in
            limits.maxBurst = 512
            limits.maxOutstandingR2T = 1
        }
        var offset: UInt32 = 0
        while let request = write.nextRequest() {
            #expect(request.targetTransferTag == 0x300 | request.r2tSN & 0xff && request.offset == offset)
            _ = try write.receive(
                dataOut(512, at: offset, sn: 0, tag: request.targetTransferTag, final: true))
            offset += 512
        }
        #expect(write.isComplete && write.r2tCount == 600)
    }

    @Test func whatWasNotNegotiatedIsAFault() {
        #expect(throws: TransferFault.immediateNotNegotiated) {
            _ = try transfer(expected: 512, immediate: 512) { $0.immediateData = false }
        }
        #expect(throws: TransferFault.unsolicitedNotNegotiated) {
            _ = try transfer(expected: 512, final: false) { $0.initialR2T = true }
        }
        #expect(throws: TransferFault.beyondFirstBurst) {
            _ = try transfer(expected: 65_536, immediate: 8196)
        }
        #expect(throws: TransferFault.beyondExpectedLength) {
            _ = try transfer(expected: 512, immediate: 516)
        }
    }

    @Test(arguments: [
        (dataOut(512, at: 0, sn: 1), TransferFault.unexpectedDataSN(1, wanted: 0)),
        (dataOut(512, at: 0, sn: 27), .unexpectedDataSN(27, wanted: 0)),
        (dataOut(512, at: 0, sn: .max), .unexpectedDataSN(.max, wanted: 0)),
        (dataOut(512, at: 512, sn: 0), .unexpectedOffset(512, wanted: 0)),
        (dataOut(512, at: .max, sn: 0), .unexpectedOffset(.max, wanted: 0)),
        (dataOut(8196, at: 0, sn: 0), .beyondFirstBurst),
        (dataOut(8192, at: 0, sn: 0), .notFinal),
    ])
    func unsolicitedDataIsChecked(data: DataOut, fault: TransferFault) throws {
        var write = try transfer(expected: 20_000, final: false)
        try take(&write, data, offset: 0, keep: 0)
        #expect(write.fault == fault && !write.isComplete, "the rest is still to pass")
        try take(&write, dataOut(8192, at: 0, sn: 0), offset: 0, keep: 0)
        try take(&write, dataOut(4, at: 99, sn: 7, final: true), offset: 0, keep: 0)
        #expect(write.nextRequest() == nil)
        #expect(write.fault == fault && write.isComplete)
    }

    @Test func dataSNCountsWithinABurst() throws {
        var write = try transfer(expected: 1024, final: false)
        try take(&write, dataOut(512, at: 0, sn: 0), offset: 0, keep: 512)
        try take(&write, dataOut(512, at: 512, sn: 0, final: true), offset: 0, keep: 0)
        #expect(write.fault == .unexpectedDataSN(0, wanted: 1) && write.isComplete)
        #expect(write.fault?.sense.code == .protocolServiceCRCError)
    }

    @Test(arguments: [
        (dataOut(512, at: 0, sn: 1, tag: 0x300), TransferFault.unexpectedDataSN(1, wanted: 0)),
        (dataOut(512, at: 4, sn: 0, tag: 0x300), .unexpectedOffset(4, wanted: 0)),
        (dataOut(16_388, at: 0, sn: 0, tag: 0x300), .burstTooLong),
        (dataOut(16_384, at: 0, sn: 0, tag: 0x300), .notFinal),
    ])
    func solicitedDataIsChecked(data: DataOut, fault: TransferFault) throws {
        var write = try transfer(expected: 40_000)
        while write.nextRequest() != nil {}
        try take(&write, data, offset: 0, keep: 0)
        #expect(write.fault == fault && !write.isComplete)
        try take(&write, dataOut(16_384, at: 0, sn: 0, tag: 0x300, final: true), offset: 0, keep: 0)
        #expect(!write.isComplete, "the other burst is still to pass")
        try take(&write, dataOut(16_384, at: 16_384, sn: 0, tag: 0x301, final: true), offset: 0, keep: 0)
        #expect(write.isComplete && write.fault == fault)
    }

    @Test func aBurstThatEndsEarlyIsAFault() throws {
        var write = try transfer(expected: 4096)
        _ = try ask(&write)
        try take(&write, dataOut(512, at: 0, sn: 0, tag: 0x300, final: true), offset: 0, keep: 0)
        #expect(write.fault == .burstTooShort && write.isComplete)
        #expect(write.fault?.sense.code == .notEnoughUnsolicitedData)
    }

    @Test(arguments: [
        (dataOut(512, at: 0, sn: 0, tag: 0x301), TransferFault.unexpectedTransferTag(0x301)),
        (dataOut(512, at: 0, sn: 0, tag: 0x302), .unexpectedTransferTag(0x302)),
        (dataOut(512, at: 0, sn: 0), .unsolicitedNotNegotiated),
    ])
    func dataThatNothingAskedForCostsTheSession(data: DataOut, fault: TransferFault) throws {
        var write = try transfer(expected: 40_000)
        while write.nextRequest() != nil {}
        #expect(throws: fault) { _ = try write.receive(data) }
    }

    @Test func dataWithoutAnR2TIsAFault() throws {
        var write = try transfer(expected: 512)
        #expect(throws: TransferFault.unexpectedTransferTag(0x300)) {
            _ = try write.receive(dataOut(512, at: 0, sn: 0, tag: 0x300, final: true))
        }
    }

    /// Whatever an initiator sends, the account never wants a byte outside of what it asked for.
    @Test(arguments: [11, 12, 13] as [UInt64])
    func hostileDataStaysInBounds(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<5000 {
            let expected = UInt32.random(in: 0...70_000, using: &random)
            let immediate = UInt32.random(in: 0...9000, using: &random)
            let command = writeCommand(
                expected: expected, immediate: immediate, final: Bool.random(using: &random))
            guard
                var write = try? WriteTransfer(
                    command, required: UInt64.random(in: 0...70_000, using: &random), limits: limits, tagBase: 0x300)
            else { continue }
            var next = write.immediateKeep
            for _ in 0..<20 {
                let request = write.nextRequest()
                let tag = Bool.random(using: &random) ? request?.targetTransferTag ?? 0x300 : .max
                let data = dataOut(
                    UInt32.random(in: 0...20_000, using: &random), at: Bool.random(using: &random) ? next : 7,
                    sn: UInt32.random(in: 0...2, using: &random), tag: tag, final: Bool.random(using: &random))
                guard let place = try? write.receive(data) else { break }
                #expect(place.keep == 0 || place.offset == next)
                #expect(UInt64(place.offset) + UInt64(place.keep) <= UInt64(max(write.wanted, place.offset)))
                next += place.keep
            }
        }
    }
}

@Suite struct ReadTransferTests {
    private func limits(segment: UInt32, burst: UInt32) -> TransferLimits {
        TransferLimits(
            maxSendDataSegment: segment, maxBurst: burst, firstBurst: 8192, initialR2T: false, immediateData: true,
            maxOutstandingR2T: 1)
    }

    @Test func aShortReadIsOnePDU() {
        var read = ReadTransfer(available: 4096, expected: 4096, limits: limits(segment: 8192, burst: 65_536))
        #expect(
            read.next()
                == ReadTransfer.Segment(offset: 0, length: 4096, dataSN: 0, final: true, last: true))
        #expect(read.next() == nil)
        #expect(read.segmentCount == 1 && read.residual == .none)
    }

    @Test func segmentsAndBurstsCutTheData() {
        var read = ReadTransfer(available: 10_000, expected: 10_000, limits: limits(segment: 3000, burst: 4000))
        var segments: [ReadTransfer.Segment] = []
        while let segment = read.next() { segments.append(segment) }
        #expect(segments.map(\.length) == [3000, 1000, 3000, 1000, 2000])
        #expect(segments.map(\.offset) == [0, 3000, 4000, 7000, 8000])
        #expect(segments.map(\.dataSN) == [0, 1, 2, 3, 4])
        #expect(segments.map(\.final) == [false, true, false, true, true])
        #expect(segments.map(\.last) == [false, false, false, false, true])
    }

    @Test func theInitiatorsBufferIsNeverOverrun() {
        var less = ReadTransfer(available: 512, expected: 200, limits: limits(segment: 8192, burst: 65_536))
        #expect(less.residual == .overflow(312))
        #expect(less.next()?.length == 200)
        #expect(less.next() == nil)
        var more = ReadTransfer(available: 512, expected: 10_000, limits: limits(segment: 8192, burst: 65_536))
        #expect(more.residual == .underflow(9488))
        #expect(more.next()?.length == 512)
        #expect(more.next() == nil)
        var none = ReadTransfer(available: 512, expected: 0, limits: limits(segment: 8192, burst: 65_536))
        #expect(none.next() == nil)
        #expect(none.residual == .overflow(512))
    }

    @Test func theLargestReadEnds() {
        var read = ReadTransfer(available: .max, expected: .max, limits: limits(segment: 0xff_ffff, burst: 0xff_ffff))
        var bytes: UInt64 = 0
        while let segment = read.next() {
            #expect(UInt64(segment.offset) == bytes)
            bytes += UInt64(segment.length)
        }
        #expect(bytes == UInt64(UInt32.max))
    }
}
