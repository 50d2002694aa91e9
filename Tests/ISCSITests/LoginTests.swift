import Testing

@testable import ISCSI

@Suite struct LoginTests {
    /// The offer of the Linux kernel's initiator under open-iscsi 2.1.
    private static let linuxKeys =
        "HeaderDigest=None\0DataDigest=None\0DefaultTime2Wait=2\0DefaultTime2Retain=0\0IFMarker=No\0OFMarker=No\0"
        + "ErrorRecoveryLevel=0\0InitialR2T=No\0ImmediateData=Yes\0MaxBurstLength=16776192\0FirstBurstLength=262144\0"
        + "MaxOutstandingR2T=1\0MaxConnections=1\0DataPDUInOrder=Yes\0DataSequenceInOrder=Yes\0"
        + "MaxRecvDataSegmentLength=262144\0"

    @Test func theLinuxInitiatorComesInByTwoStages() throws {
        var script = LoginScript(alias: "disk of vm1")
        let first = script.send(.security, LoginScript.names + "AuthMethod=None\0")
        #expect(first.keys == ["AuthMethod": "None", "TargetPortalGroupTag": "1"])
        #expect(first.response.transit && first.response.nextStage == .operational)
        #expect(first.response.tsih == 0, "the handle is told with the last answer")

        let second = script.send(LoginScript.Header(), Self.linuxKeys)
        let agreed = try #require(second.parameters)
        #expect(
            second.keys == [
                "HeaderDigest": "None", "DataDigest": "None", "DefaultTime2Wait": "2", "DefaultTime2Retain": "0",
                "IFMarker": "No", "OFMarker": "No", "ErrorRecoveryLevel": "0", "InitialR2T": "No",
                "ImmediateData": "Yes", "MaxBurstLength": "1048576", "FirstBurstLength": "262144",
                "MaxOutstandingR2T": "1", "MaxConnections": "1", "DataPDUInOrder": "Yes",
                "DataSequenceInOrder": "Yes", "MaxRecvDataSegmentLength": "262144", "TargetAlias": "disk of vm1",
            ])
        #expect(second.response.tsih == 0x55)
        #expect(second.response.numbers == StatusNumbers(statSN: 2, expCmdSN: 0x100, maxCmdSN: 0x17f))
        #expect(agreed.targetName == LoginScript.target)
        #expect(agreed.initiatorName == LoginScript.initiator)
        #expect(agreed.tsih == 0x55 && agreed.firstCmdSN == 0x100 && agreed.nextStatSN == 3)
        #expect(agreed.maxSendDataSegment == 262_144 && agreed.maxReceiveDataSegment == 262_144)
        #expect(agreed.maxBurst == 1_048_576 && agreed.firstBurst == 262_144 && agreed.maxOutstandingR2T == 1)
        #expect(!agreed.initialR2T && agreed.immediateData && !agreed.headerDigest && !agreed.dataDigest)
    }

    @Test func whoNegotiatesNothingGetsTheDefaultsOfTheStandard() throws {
        var script = LoginScript()
        let agreed = try #require(script.send(LoginScript.Header(), LoginScript.names).parameters)
        #expect(agreed.transferLimits.initialR2T && agreed.transferLimits.immediateData)
        #expect(agreed.transferLimits.maxSendDataSegment == 8192)
        #expect(agreed.transferLimits.maxBurst == 262_144 && agreed.transferLimits.firstBurst == 65_536)
        #expect(agreed.transferLimits.maxOutstandingR2T == 1)
    }

    @Test func aDiscoverySessionHasNoTarget() throws {
        var script = LoginScript()
        let text =
            "InitiatorName=\(LoginScript.initiator)\0SessionType=Discovery\0MaxBurstLength=65536\0"
            + "HeaderDigest=CRC32C\0"
        let step = script.send(LoginScript.Header(), text)
        let agreed = try #require(step.parameters)
        #expect(agreed.isDiscovery && agreed.headerDigest)
        #expect(step.keys["MaxBurstLength"] == "Irrelevant")
        #expect(step.keys["TargetPortalGroupTag"] == nil)
        #expect(script.asked.map(\.targetName) == [nil])
    }

    /// One offer, the answer to it.
    @Test(arguments: [
        ("HeaderDigest=CRC32C,None", "CRC32C"), ("HeaderDigest=None,CRC32C", "None"),
        ("DataDigest=SHA,CRC32C", "CRC32C"),
        ("DataDigest=SHA", "Reject"), ("InitialR2T=Yes", "Yes"), ("InitialR2T=No", "No"), ("InitialR2T=yes", "Reject"),
        ("ImmediateData=No", "No"), ("ImmediateData=", "Reject"), ("MaxBurstLength=512", "512"),
        ("MaxBurstLength=0x4000", "16384"), ("MaxBurstLength=511", "Reject"), ("MaxBurstLength=16777216", "Reject"),
        ("MaxBurstLength=4k", "Reject"), ("FirstBurstLength=1048576", "262144"), ("MaxOutstandingR2T=64", "8"),
        ("MaxOutstandingR2T=0", "Reject"), ("MaxConnections=16", "1"), ("MaxConnections=70000", "Reject"),
        ("ErrorRecoveryLevel=2", "0"), ("ErrorRecoveryLevel=3", "Reject"), ("DefaultTime2Wait=30", "30"),
        ("DefaultTime2Wait=0", "2"), ("DefaultTime2Retain=60", "0"), ("DefaultTime2Retain=3601", "Reject"),
        ("DataPDUInOrder=No", "Yes"), ("DataSequenceInOrder=No", "Yes"), ("OFMarker=Yes", "No"),
        ("IFMarkInt=1~65535", "Reject"), ("iSCSIProtocolLevel=2", "1"), ("TaskReporting=FastAbort,RFC3720", "RFC3720"),
        ("TaskReporting=FastAbort", "Reject"), ("X-com.example.wish=1", "NotUnderstood"), ("Wish=1", "NotUnderstood"),
        ("SendTargets=All", "Reject"), ("MaxRecvDataSegmentLength=511", "Reject"),
    ])
    func everyKeyIsSettledByItsRule(offer: String, answer: String) throws {
        var script = LoginScript()
        let step = script.send(LoginScript.Header(), LoginScript.names + offer + "\0")
        let key = try #require(offer.split(separator: "=").first.map(String.init))
        let expected = key == "MaxRecvDataSegmentLength" ? "Reject twice" : answer
        #expect(step.keys[key] == expected)
        #expect(step.parameters != nil)
    }

    @Test func theFirstBurstIsNeverAboveTheBurst() throws {
        var script = LoginScript()
        let step = script.send(
            LoginScript.Header(), LoginScript.names + "FirstBurstLength=65536\0MaxBurstLength=8192\0")
        #expect(step.keys["FirstBurstLength"] == "8192")
        #expect(step.parameters?.transferLimits.firstBurst == 8192)
    }

    @Test func cutsFallBetweenSectors() {
        var script = LoginScript()
        let step = script.send(
            LoginScript.Header(), LoginScript.names + "MaxRecvDataSegmentLength=1000\0MaxBurstLength=70001\0")
        #expect(step.keys["MaxBurstLength"] == "70001")
        #expect(step.parameters?.transferLimits.maxSendDataSegment == 512)
        #expect(step.parameters?.transferLimits.maxBurst == 69_632)
        #expect(step.parameters?.transferLimits.firstBurst == 65_536)
    }

    @Test func anAnswerToWhatWeNeverOfferedIsNotAnswered() {
        var script = LoginScript()
        let step = script.send(LoginScript.Header(), LoginScript.names + "TargetAlias=NotUnderstood\0")
        #expect(step.keys["TargetAlias"] == nil)
        #expect(step.parameters != nil)
    }

    @Test func textGoesOnOverSeveralRequests() throws {
        var script = LoginScript()
        let whole = LoginScript.names + "InitialR2T=Yes\0"
        let cut = whole.index(whole.startIndex, offsetBy: 17)
        let more = LoginScript.Header(transit: false, continues: true)
        let first = script.send(more, String(whole[..<cut]))
        #expect(first.keys.isEmpty && first.response.transit == false && first.parameters == nil)
        #expect(script.asked.isEmpty, "nothing is judged before the text is whole")
        let last = script.send(LoginScript.Header(), String(whole[cut...]))
        #expect(last.keys["InitialR2T"] == "Yes")
        #expect(last.parameters?.initialR2T == true)
    }

    @Test func aDeclarationMayBeRepeatedButNotChanged() {
        var script = LoginScript()
        _ = script.send(.security, LoginScript.names + "AuthMethod=None\0")
        #expect(script.send(LoginScript.Header(), LoginScript.names).parameters != nil)
        var other = LoginScript()
        _ = other.send(.security, LoginScript.names + "AuthMethod=None\0")
        let changed = other.send(LoginScript.Header(), "InitiatorName=iqn.2026-11.org.example:other\0")
        #expect(changed.status == .initiatorError)
    }

    @Test(arguments: [
        (LoginScript.Header(versionMin: 1), LoginScript.names, LoginStatus.unsupportedVersion),
        (LoginScript.Header(current: 2), LoginScript.names, .initiatorError),
        (LoginScript.Header(current: 3), LoginScript.names, .initiatorError),
        (LoginScript.Header(current: 1, next: 1), LoginScript.names, .initiatorError),
        (LoginScript.Header(current: 1, next: 0), LoginScript.names, .initiatorError),
        (LoginScript.Header(current: 0, next: 2), LoginScript.names, .initiatorError),
        (LoginScript.Header(transit: true, continues: true), LoginScript.names, .initiatorError),
        (LoginScript.Header(), "TargetName=\(LoginScript.target)\0", .missingParameter),
        (LoginScript.Header(), "InitiatorName=\(LoginScript.initiator)\0", .missingParameter),
        (LoginScript.Header(), "InitiatorName=bob\0TargetName=\(LoginScript.target)\0", .missingParameter),
        (LoginScript.Header(), LoginScript.names + "SessionType=Normal\0SessionType=Discovery\0", .initiatorError),
        (LoginScript.Header(), "InitiatorName=\(LoginScript.initiator)\0SessionType=Party\0", .sessionTypeNotSupported),
        (LoginScript.Header(), LoginScript.names + "InitialR2T\0", .initiatorError),
        (LoginScript.Header(), LoginScript.names + "=No\0", .initiatorError),
        (LoginScript.Header(), LoginScript.names + "InitialR2T=No\0InitialR2T=No\0", .initiatorError),
        (LoginScript.Header(), String(repeating: "a=1\0", count: 65), .initiatorError),
        (LoginScript.Header(), String(repeating: "x", count: 8193), .initiatorError),
        (LoginScript.Header(), LoginScript.names + String(repeating: "k", count: 64) + "=1\0", .initiatorError),
    ])
    func whatIsWrongIsRefused(header: LoginScript.Header, text: String, status: LoginStatus) {
        var script = LoginScript()
        #expect(script.send(header, text).status == status)
    }

    @Test func theTextOfAStrangerIsBounded() {
        var script = LoginScript()
        let more = LoginScript.Header(transit: false, continues: true)
        let part = String(repeating: "a", count: 4096)
        #expect(script.send(more, part).status == nil)
        #expect(script.send(more, part).status == nil)
        #expect(script.send(more, "a").status == .initiatorError)
    }

    @Test(arguments: [
        (LoginScript.Header(), "SessionType=", LoginStatus.sessionTypeNotSupported),
        (.security, "TargetName=\(LoginScript.target)\0AuthMethod=CHAP\0CHAP_A=", .authenticationFailure),
    ])
    func theWordsOnAStrangersTextAreShort(header: LoginScript.Header, text: String, status: LoginStatus) {
        var script = LoginScript(access: TargetAccess(credentials: [CHAPCredential(name: "vm1", secret: [1])]))
        let long = text + String(repeating: "x", count: 4096)
        guard
            case .refuse(let response, let reason) = script.send(
                header, "InitiatorName=\(LoginScript.initiator)\0" + long)
        else {
            Issue.record("it was not refused")
            return
        }
        #expect(response.status == status)
        #expect(reason.contains(String(repeating: "x", count: 60)) && reason.utf8.count < 160, "\(reason)")
    }

    @Test func aLoginThatDoesNotEndIsEnded() {
        var script = LoginScript()
        let wait = LoginScript.Header(transit: false)
        for round in 0..<32 {
            #expect(script.send(wait, round == 0 ? LoginScript.names : "").status == nil)
        }
        #expect(script.send(wait, "").status == .initiatorError)
    }

    @Test(arguments: [
        LoginScript.Header(isid: 1), LoginScript.Header(tsih: 1), LoginScript.Header(tag: 2),
        LoginScript.Header(connectionID: 2), LoginScript.Header.security,
    ])
    func aLoginKeepsItsIdentifiersAndItsStage(second: LoginScript.Header) {
        var script = LoginScript()
        _ = script.send(LoginScript.Header(transit: false), LoginScript.names)
        #expect(script.send(second, "").status == .initiatorError)
    }

    @Test(arguments: [
        LoginStatus.notFound, .targetRemoved, .tooManyConnections, .sessionDoesNotExist, .outOfResources,
    ])
    func theCallerRefuses(status: LoginStatus) {
        var script = LoginScript()
        script.admission = .refuse(status)
        #expect(script.send(LoginScript.Header(), LoginScript.names).status == status)
        #expect(script.asked.count == 1)
    }

    @Test func onlyListedInitiatorsComeIn() {
        var script = LoginScript(access: TargetAccess(initiators: ["iqn.1993-08.org.debian:01:other"]))
        #expect(script.send(LoginScript.Header(), LoginScript.names).status == .authorizationFailure)
        var listed = LoginScript(access: TargetAccess(initiators: [LoginScript.initiator.uppercased()]))
        #expect(listed.send(LoginScript.Header(), LoginScript.names).parameters != nil)
        var nobody = LoginScript(access: TargetAccess(initiators: []))
        #expect(nobody.send(LoginScript.Header(), LoginScript.names).status == .authorizationFailure)
    }

    @Test func namesAreComparedWithoutCase() throws {
        var script = LoginScript()
        let text = "InitiatorName=IQN.1993-08.org.Debian:01:ABC\0TargetName=iqn.2026-11.ORG.example:VM1\0"
        let agreed = try #require(script.send(LoginScript.Header(), text).parameters)
        #expect(agreed.targetName == LoginScript.target)
        #expect(agreed.identity.initiatorName == LoginScript.initiator)
    }

    @Test func aFurtherConnectionKeepsItsHandle() {
        var script = LoginScript()
        let step = script.send(LoginScript.Header(tsih: 9), LoginScript.names)
        #expect(step.parameters?.tsih == 9)
        #expect(script.asked.first?.tsih == 9)
    }
}
