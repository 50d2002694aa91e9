import Testing

@testable import ISCSI

/// Headers of an initiator, byte by byte as RFC 7143 section 11 draws them.
@Suite struct RequestPDUTests {
    @Test func aBasicHeaderTellsWhereThePDUEnds() {
        let bytes = hex(
            """
            41 81 00 00  // immediate SCSI command, F
            02 00 01 01  // two words of additional header, 257 bytes of data
            00 03 00 00  00 00 00 00  // LUN 3
            00 00 00 2a  // initiator task tag
            """ + String(repeating: "00000000", count: 7))
        let header = decoded(bytes, BasicHeader.init)
        #expect(header.opcode == 0x01)
        #expect(header.initiatorOpcode == .scsiCommand)
        #expect(header.immediate && header.final)
        #expect(header.additionalBytes == 8)
        #expect(header.dataBytes == 257)
        #expect(header.padding == 3)
        #expect(header.lun.number == 3)
        #expect(header.initiatorTaskTag == 42)
        var framing = Framing(headerDigest: false, dataDigest: false, maxReceiveData: 8192)
        #expect(header.pduLength(framing) == 48 + 8 + 260)
        framing.headerDigest = true
        framing.dataDigest = true
        #expect(header.headerLength(framing) == 48 + 8 + 4)
        #expect(header.pduLength(framing) == 48 + 8 + 4 + 260 + 4)
    }

    @Test func noDataHasNoDataDigest() {
        let header = decoded([UInt8](repeating: 0, count: 48), BasicHeader.init)
        #expect(header.pduLength(Framing(headerDigest: true, dataDigest: true, maxReceiveData: 0)) == 52)
    }

    @Test func aLoginRequest() {
        let bytes = hex(
            """
            43 87 00 00  // login, immediate; T, CSG 1, NSG 3; versions 0 to 0
            00 00 00 31  // 49 bytes of text
            00 02 3d 01  00 05 00 07  // ISID, TSIH 7
            11 22 33 44  // initiator task tag
            00 01 00 00  // CID 1
            00 00 00 09  // CmdSN
            00 00 00 05  // ExpStatSN
            """ + String(repeating: "00000000", count: 4))
        let login = decoded(bytes, LoginRequest.init)
        #expect(login.transit && !login.continues)
        #expect(login.currentStage == .operational && login.nextStage == .fullFeature)
        #expect(login.isid == InitiatorSessionID(raw: 0x0002_3d01_0005))
        #expect(login.isid.description == "0x00023d010005")
        #expect(login.tsih == 7)
        #expect(login.initiatorTaskTag == 0x1122_3344)
        #expect(login.connectionID == 1)
        #expect(login.cmdSN == 9)
        #expect(login.expStatSN == 5)
    }

    @Test func theStageTwoIsNoStage() {
        var bytes = [UInt8](repeating: 0, count: 48)
        bytes[1] = 0x8a
        let login = decoded(bytes, LoginRequest.init)
        #expect(login.currentStage == nil && login.nextStage == nil)
    }

    @Test func aSCSICommand() {
        let bytes = hex(
            """
            01 a1 00 00  // F, W, simple
            00 00 02 00  // 512 bytes of immediate data
            00 01 00 00  00 00 00 00  // LUN 1
            00 00 00 05  // initiator task tag
            00 00 10 00  // expected data transfer length
            00 00 00 0c  // CmdSN
            00 00 00 0d  // ExpStatSN
            2a 08 01 02  03 04 00 00  08 00 00 00  00 00 00 00  // WRITE (10), FUA
            """)
        let command = decoded(bytes, SCSICommand.init)
        #expect(command.final && command.writes && !command.reads && !command.immediate)
        #expect(command.attribute == .simple)
        #expect(command.dataBytes == 512)
        #expect(command.lun.number == 1)
        #expect(command.initiatorTaskTag == 5)
        #expect(command.expectedDataTransferLength == 4096)
        #expect(command.cmdSN == 12)
        #expect(command.expStatSN == 13)
        #expect(command.block.opcode == 0x2a)
        #expect(command.block[1] == 0x08)
        #expect(command.block[15] == 0)
        #expect(command.block.description == "2a 08 01 02 03 04 00 00 08 00 00 00 00 00 00 00")
    }

    @Test func aDataOut() {
        let bytes = hex(
            """
            05 80 00 00  // F
            00 00 20 00  // 8192 bytes
            00 00 00 00  00 00 00 00  // LUN 0
            00 00 00 05  // initiator task tag
            00 00 01 02  // target transfer tag
            00 00 00 00
            00 00 00 0d  // ExpStatSN
            00 00 00 00
            00 00 00 03  // DataSN
            00 00 60 00  // buffer offset
            00 00 00 00
            """)
        let data = decoded(bytes, DataOut.init)
        #expect(data.final && !data.isUnsolicited)
        #expect(data.dataBytes == 8192)
        #expect(data.initiatorTaskTag == 5)
        #expect(data.targetTransferTag == 0x102)
        #expect(data.expStatSN == 13)
        #expect(data.dataSN == 3)
        #expect(data.bufferOffset == 0x6000)
    }

    @Test func aTaskManagementRequest() {
        let bytes = hex(
            """
            42 81 00 00  // immediate, ABORT TASK
            00 00 00 00
            00 02 00 00  00 00 00 00  // LUN 2
            00 00 00 06  // initiator task tag
            00 00 00 05  // referenced task tag
            00 00 00 0e  // CmdSN
            00 00 00 0f  // ExpStatSN
            00 00 00 0c  // RefCmdSN
            00 00 00 04  // ExpDataSN
            00 00 00 00  00 00 00 00
            """)
        let request = decoded(bytes, TaskManagementRequest.init)
        #expect(request.function == .abortTask)
        #expect(request.immediate)
        #expect(request.lun.number == 2)
        #expect(request.referencedTaskTag == 5)
        #expect(request.refCmdSN == 12)
        #expect(request.expDataSN == 4)
        #expect(request.refusal == nil)
    }

    @Test(arguments: [
        (UInt8(8), TaskManagementOutcome.reassignmentNotSupported), (3, .notSupported), (0, .rejected), (99, .rejected),
    ])
    func functionsThatWeHaveNotAreRefused(function: UInt8, outcome: TaskManagementOutcome) {
        var bytes = [UInt8](repeating: 0, count: 48)
        bytes[1] = 0x80 | function
        #expect(decoded(bytes, TaskManagementRequest.init).refusal == outcome)
    }

    @Test func aLogoutNamesItsConnection() {
        let bytes = hex(
            """
            46 81 00 00  // immediate, close the connection
            00 00 00 00  00 00 00 00  00 00 00 00
            00 00 00 07  // initiator task tag
            00 02 00 00  // CID 2
            00 00 00 10  // CmdSN
            00 00 00 11  // ExpStatSN
            """ + String(repeating: "00000000", count: 4))
        let logout = decoded(bytes, LogoutRequest.init)
        #expect(logout.reason == .closeConnection)
        #expect(logout.connectionID == 2)
        #expect(logout.outcome(connectionID: 2) == .closed)
        #expect(logout.outcome(connectionID: 1) == .connectionNotFound)
    }

    @Test func aPingWantsAnAnswerOnlyWithATag() {
        var bytes = [UInt8](repeating: 0, count: 48)
        bytes.replaceSubrange(16..<20, with: [0xff, 0xff, 0xff, 0xff])
        #expect(!decoded(bytes, NopOut.init).wantsAnswer)
        bytes[19] = 0xfe
        #expect(decoded(bytes, NopOut.init).wantsAnswer)
    }

    @Test func whatNoInitiatorSendsIsRefused() {
        for opcode in UInt8.min...0x3f where InitiatorOpcode(rawValue: opcode) == nil {
            var bytes = [UInt8](repeating: 0, count: 48)
            bytes[0] = opcode
            #expect(throws: PDUError.unknownOpcode(opcode)) {
                try bytes.withUnsafeBytes { bytes throws(PDUError) in try InitiatorPDU(bytes, framing: .login) }
            }
        }
    }

    @Test func dataBeyondWhatWeDeclaredIsRefused() {
        var bytes = [UInt8](repeating: 0, count: 48)
        bytes.replaceSubrange(5..<8, with: [0x00, 0x20, 0x01])
        #expect(throws: PDUError.dataTooLong(bytes: 8193, limit: 8192)) {
            try bytes.withUnsafeBytes { bytes throws(PDUError) in try InitiatorPDU(bytes, framing: .login) }
        }
        #expect(throws: PDUError.truncated(bytes: 47)) {
            try [UInt8](repeating: 0, count: 47).withUnsafeBytes { bytes throws(PDUError) in
                try InitiatorPDU(bytes, framing: .login)
            }
        }
    }

    @Test func logicalUnitNumbersHaveTwoForms() {
        #expect(LogicalUnitNumber(raw: 0x0005 << 48).number == 5)
        #expect(LogicalUnitNumber(raw: 0x4105 << 48).number == 0x105)
        #expect(LogicalUnitNumber(raw: 0x0105 << 48).number == nil, "bus 1 does not exist")
        #expect(LogicalUnitNumber(raw: 0x0005_0001 << 32).number == nil, "a second level does not exist")
        #expect(LogicalUnitNumber(raw: 0xc101 << 48).number == nil)
        for number in [0, 1, 255, 256, 0x3fff] as [UInt16] {
            #expect(LogicalUnitNumber(number: number).number == number)
        }
    }
}
