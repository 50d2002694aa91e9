import Testing

@testable import ISCSI

/// Headers of the target, byte by byte as RFC 7143 section 11 draws them.
@Suite struct ResponsePDUTests {
    private let numbers = StatusNumbers(statSN: 0x11, expCmdSN: 0x12, maxCmdSN: 0x91)

    @Test func aLoginResponse() {
        let response = LoginResponse(
            transit: true, continues: false, currentStage: .operational, nextStage: .fullFeature,
            isid: InitiatorSessionID(raw: 0x0002_3d01_0005), tsih: 7, initiatorTaskTag: 0x1122_3344, numbers: numbers,
            status: .success)
        let expected = hex(
            """
            23 87 00 00  // T, CSG 1, NSG 3
            00 00 00 21  // 33 bytes of text
            00 02 3d 01  00 05 00 07  // ISID, TSIH
            11 22 33 44  // initiator task tag
            00 00 00 00
            00 00 00 11  00 00 00 12  00 00 00 91  // StatSN, ExpCmdSN, MaxCmdSN
            00 00 00 00  // status class, detail
            00 00 00 00  00 00 00 00
            """)
        #expect(words(encoded { response.encode(dataBytes: 33, into: $0) }) == words(expected))
    }

    @Test func aRefusedLogin() {
        let response = LoginResponse(
            transit: false, continues: false, currentStage: .security, nextStage: .operational,
            isid: InitiatorSessionID(raw: 1), tsih: 0, initiatorTaskTag: 1, numbers: numbers,
            status: .authenticationFailure)
        let bytes = encoded { response.encode(dataBytes: 0, into: $0) }
        #expect(bytes[1] == 0x00, "without T the next stage is reserved")
        #expect(bytes[36] == 0x02 && bytes[37] == 0x01)
    }

    @Test func aSCSIResponseWithSense() {
        let response = SCSIResponse(
            initiatorTaskTag: 5, status: .checkCondition, residual: .underflow(512), expDataSN: 2, numbers: numbers)
        let expected = hex(
            """
            21 82 00 02  // underflow; completed at target; CHECK CONDITION
            00 00 00 14  // SenseLength and 18 bytes of sense
            00 00 00 00  00 00 00 00
            00 00 00 05  // initiator task tag
            00 00 00 00
            00 00 00 11  00 00 00 12  00 00 00 91
            00 00 00 02  // ExpDataSN
            00 00 00 00
            00 00 02 00  // residual count
            """)
        #expect(words(encoded { response.encode(dataBytes: 20, into: $0) }) == words(expected))
    }

    @Test func aDataInWithStatus() {
        let data = DataIn(
            final: true, ending: DataIn.Ending(status: .good, residual: .overflow(0x200)),
            lun: LogicalUnitNumber(number: 1), initiatorTaskTag: 5, numbers: numbers, dataSN: 3, bufferOffset: 0x3000)
        let expected = hex(
            """
            25 85 00 00  // F, overflow, S; GOOD
            00 00 10 00  // 4096 bytes
            00 01 00 00  00 00 00 00  // LUN
            00 00 00 05  // initiator task tag
            ff ff ff ff  // target transfer tag
            00 00 00 11  00 00 00 12  00 00 00 91
            00 00 00 03  // DataSN
            00 00 30 00  // buffer offset
            00 00 02 00  // residual count
            """)
        #expect(words(encoded { data.encode(dataBytes: 4096, into: $0) }) == words(expected))
    }

    @Test func aDataInWithoutStatusUsesNoStatSN() {
        let data = DataIn(
            final: false, ending: nil, lun: LogicalUnitNumber(number: 0), initiatorTaskTag: 5, numbers: numbers,
            dataSN: 0, bufferOffset: 0)
        let bytes = encoded { data.encode(dataBytes: 8, into: $0) }
        #expect(bytes[1] == 0)
        #expect(Array(bytes[24..<36]) == hex("00000000 00000012 00000091"))
    }

    @Test func anR2T() {
        let request = ReadyToTransfer(
            lun: LogicalUnitNumber(number: 1), initiatorTaskTag: 5, targetTransferTag: 0x102, numbers: numbers,
            r2tSN: 2, bufferOffset: 0x4_0000, desiredLength: 0x10_0000)
        let expected = hex(
            """
            31 80 00 00  00 00 00 00
            00 01 00 00  00 00 00 00  // LUN
            00 00 00 05  00 00 01 02  // initiator task tag, target transfer tag
            00 00 00 11  00 00 00 12  00 00 00 91
            00 00 00 02  // R2TSN
            00 04 00 00  00 10 00 00  // buffer offset, desired length
            """)
        #expect(words(encoded { request.encode(into: $0) }) == words(expected))
    }

    @Test func aTextResponse() {
        let response = TextResponse(
            final: false, continues: true, initiatorTaskTag: 5, targetTransferTag: 9, numbers: numbers)
        let expected = hex(
            """
            24 40 00 00  00 00 02 00  // C; 512 bytes
            00 00 00 00  00 00 00 00
            00 00 00 05  00 00 00 09  // initiator task tag, target transfer tag
            00 00 00 11  00 00 00 12  00 00 00 91
            00 00 00 00  00 00 00 00  00 00 00 00
            """)
        #expect(words(encoded { response.encode(dataBytes: 512, into: $0) }) == words(expected))
    }

    @Test func aPingAndItsAnswer() {
        let ping = NopIn(
            lun: LogicalUnitNumber(number: 0), initiatorTaskTag: BasicHeader.reservedTag, targetTransferTag: 0x77,
            numbers: numbers)
        let bytes = encoded { ping.encode(dataBytes: 0, into: $0) }
        #expect(Array(bytes[0..<2]) == [0x20, 0x80])
        #expect(Array(bytes[16..<24]) == hex("ffffffff 00000077"))

        var request = [UInt8](repeating: 0, count: 48)
        request.replaceSubrange(16..<24, with: hex("00000031 ffffffff"))
        let answer = NopIn(answering: decoded(request, NopOut.init), numbers: numbers)
        let back = encoded { answer.encode(dataBytes: 5, into: $0) }
        #expect(Array(back[16..<24]) == hex("00000031 ffffffff"))
        #expect(back[7] == 5)
    }

    @Test func theEndsOfTasksAndConnections() {
        let management = TaskManagementResponse(outcome: .taskDoesNotExist, initiatorTaskTag: 6, numbers: numbers)
        #expect(Array(encoded { management.encode(into: $0) }[0..<4]) == hex("22 80 01 00"))
        let logout = LogoutResponse(
            outcome: .closed, initiatorTaskTag: 7, numbers: numbers, time2Wait: 2, time2Retain: 20)
        let bytes = encoded { logout.encode(into: $0) }
        #expect(Array(bytes[0..<4]) == hex("26 80 00 00"))
        #expect(Array(bytes[36..<48]) == hex("00000000 00020014 00000000"))
    }

    @Test func aReject() {
        let reject = Reject(reason: .protocolError, numbers: numbers)
        let expected = hex(
            """
            3f 80 04 00  00 00 00 30  // protocol error; the refused header follows
            00 00 00 00  00 00 00 00
            ff ff ff ff  00 00 00 00
            00 00 00 11  00 00 00 12  00 00 00 91
            00 00 00 00  00 00 00 00  00 00 00 00
            """)
        #expect(words(encoded { reject.encode(into: $0) }) == words(expected))
    }

    @Test(arguments: [
        (AsyncEvent.requestLogout(seconds: 10), "01000000 0000000a"),
        (.dropConnection(connectionID: 3, wait: 2, retain: 20), "02000003 00020014"),
        (.dropSession(wait: 2, retain: 0), "03000000 00020000"),
        (.sense(LogicalUnitNumber(number: 1)), "00000000 00000000"),
    ])
    func anAsyncMessage(event: AsyncEvent, parameters: String) {
        let message = AsyncMessage(event: event, numbers: numbers)
        let bytes = encoded { message.encode(dataBytes: 0, into: $0) }
        #expect(Array(bytes[0..<2]) == [0x32, 0x80])
        #expect(Array(bytes[16..<20]) == hex("ffffffff"))
        #expect(Array(bytes[36..<44]) == hex(parameters))
    }

    @Test func residualsSayWhichSideHadLess() {
        #expect(Residual(available: 512, expected: 512) == .none)
        #expect(Residual(available: 512, expected: 10_000) == .underflow(9488))
        #expect(Residual(available: 1024, expected: 512) == .overflow(512))
        #expect(Residual(available: .max, expected: 0) == .overflow(.max))
    }
}
