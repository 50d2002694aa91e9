import TestSupport
import Testing

@testable import ISCSI

@Suite struct CHAPTests {
    private static let user = CHAPCredential(name: "alice", secret: Array("secretsecret12".utf8))
    private static let mutual = CHAPCredential(name: "vm1-target", secret: Array("anothersecret34".utf8))
    private static let access = TargetAccess(credentials: [user])
    private static let bothWays = TargetAccess(credentials: [user], mutual: mutual)

    /// Computed with Python: hashlib.new(name, bytes([0x27]) + b"secretsecret12" + bytes(range(0x10, 0x30))).
    @Test(arguments: [
        (CHAPAlgorithm.md5, "f32b9adb98337fb593371e1af6c9d82d"),
        (.sha1, "7eeb77cd3794b394e233270ca4e38fff98b0ac72"),
        (.sha256, "63618f9bb284130b0dcddea83a0202d07cb90b19d54db19d2d04dba4c66a000b"),
        (.sha3, "49280260fe221da93ad83f4e96fdf0477fb1a0a2c5dcb37a5459db0cc6c0570c"),
    ])
    func theResponseIsTheHashOfIdentifierSecretAndChallenge(algorithm: CHAPAlgorithm, digest: String) {
        let response = algorithm.response(
            identifier: 0x27, secret: Array("secretsecret12".utf8), challenge: Array(0x10..<0x30))
        #expect(response == hex(digest))
        #expect(response.count == algorithm.size)
    }

    /// Comes as far as our challenge; gives algorithm, identifier and challenge.
    private func challenge(
        _ script: inout LoginScript, algorithms: String = "5"
    ) throws -> (CHAPAlgorithm, UInt8, [UInt8]) {
        let offer = script.send(.security, LoginScript.names + "AuthMethod=CHAP,None\0")
        #expect(offer.keys["AuthMethod"] == "CHAP")
        #expect(!offer.response.transit, "no way past the authentication")
        let wait = LoginScript.Header(transit: false, current: 0, next: 0)
        let keys = script.send(wait, "CHAP_A=\(algorithms)\0").keys
        let algorithm = try #require(keys["CHAP_A"].flatMap { UInt8($0) }.flatMap(CHAPAlgorithm.init))
        let identifier = try #require(keys["CHAP_I"].flatMap { UInt8($0) })
        let bytes = try #require(keys["CHAP_C"].flatMap { TextValue.binary($0, limit: 1024) })
        #expect(bytes.count == 32)
        return (algorithm, identifier, bytes)
    }

    private func proof(_ name: String, _ response: [UInt8], _ more: String = "") -> String {
        "CHAP_N=\(name)\0CHAP_R=\(TextValue.hexadecimal(of: response))\0" + more
    }

    @Test(arguments: ["5", "6", "7", "8", "8,7,6,5", "99,x,7"])
    func whoKnowsTheSecretComesIn(algorithms: String) throws {
        var script = LoginScript(access: Self.access)
        let (algorithm, identifier, challenge) = try challenge(&script, algorithms: algorithms)
        let response = algorithm.response(
            identifier: identifier, secret: Array("secretsecret12".utf8), challenge: challenge)
        let step = script.send(.security, proof("alice", response))
        #expect(step.response.transit && step.status == nil)
        #expect(script.send(LoginScript.Header(), "").parameters != nil)
    }

    @Test func aResponseInBase64IsRead() throws {
        var script = LoginScript(access: Self.access)
        let (algorithm, identifier, challenge) = try challenge(&script)
        let response = algorithm.response(
            identifier: identifier, secret: Array("secretsecret12".utf8), challenge: challenge)
        #expect(script.send(.security, "CHAP_N=alice\0CHAP_R=\(base64(response))\0").status == nil)
    }

    private func base64(_ bytes: [UInt8]) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = "0b"
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let part = Array(bytes[start..<min(start + 3, bytes.count)])
            let bits = (part + [0, 0]).prefix(3).reduce(0) { $0 << 8 | Int($1) }
            for index in 0..<4 {
                text.append(index <= part.count ? digits[bits >> (18 - index * 6) & 63] : "=")
            }
        }
        return text
    }

    @Test(arguments: ["bob", "alice "])
    func theWrongNameStaysOut(name: String) throws {
        var script = LoginScript(access: Self.access)
        let (algorithm, identifier, challenge) = try challenge(&script)
        let response = algorithm.response(
            identifier: identifier, secret: Array("secretsecret12".utf8), challenge: challenge)
        #expect(script.send(.security, proof(name, response)).status == .authenticationFailure)
    }

    @Test func theWrongSecretStaysOut() throws {
        var script = LoginScript(access: Self.access)
        let (algorithm, identifier, challenge) = try challenge(&script)
        let response = algorithm.response(
            identifier: identifier, secret: Array("secretsecret13".utf8), challenge: challenge)
        #expect(script.send(.security, proof("alice", response)).status == .authenticationFailure)
    }

    @Test func anUnknownNameDoesNotOpenWithTheStandInSecret() throws {
        var script = LoginScript(access: Self.access)
        let (algorithm, identifier, challenge) = try challenge(&script)
        let response = algorithm.response(identifier: identifier, secret: [0], challenge: challenge)
        #expect(script.send(.security, proof("nobody", response)).status == .authenticationFailure)
    }

    @Test func everyLoginHasItsOwnChallenge() throws {
        var first = LoginScript(access: Self.access)
        var second = LoginScript(access: Self.access)
        second.random = SeededGenerator(seed: 2)
        #expect(try challenge(&first).2 != challenge(&second).2)
    }

    @Test(arguments: ["AuthMethod=None\0", "AuthMethod=SRP,None\0"])
    func authenticationCannotBeDeclined(offer: String) {
        var script = LoginScript(access: Self.access)
        #expect(script.send(.security, LoginScript.names + offer).status == .authenticationFailure)
    }

    @Test func authenticationCannotBeSkipped() {
        var direct = LoginScript(access: Self.access)
        #expect(direct.send(LoginScript.Header(), LoginScript.names).status == .authenticationFailure)
        var silent = LoginScript(access: Self.access)
        #expect(silent.send(.security, LoginScript.names).response.transit == false)
        var eager = LoginScript(access: Self.access)
        let straight = LoginScript.Header(current: 0, next: 3)
        #expect(eager.send(straight, LoginScript.names + "AuthMethod=CHAP\0").parameters == nil)
    }

    @Test(arguments: [
        ("CHAP_N=alice\0", LoginStatus.initiatorError), ("CHAP_R=0x00\0", .initiatorError),
        ("CHAP_N=alice\0CHAP_R=00\0", .initiatorError), ("CHAP_N=alice\0CHAP_R=0x\0", .initiatorError),
        ("CHAP_N=alice\0CHAP_R=0xzz\0", .initiatorError), ("CHAP_N=alice\0CHAP_R=0b###=\0", .initiatorError),
        ("CHAP_N=alice\0CHAP_R=0x00112233445566778899aabbccddeeff00\0", .initiatorError),
        ("CHAP_N=alice\0CHAP_R=0x00\0", .authenticationFailure), ("", .initiatorError),
    ])
    func aMalformedProofIsRefused(text: String, status: LoginStatus) throws {
        var script = LoginScript(access: Self.access)
        _ = try challenge(&script)
        #expect(script.send(.security, text).status == status)
    }

    @Test func algorithmsThatNobodyHasAreRefused() {
        var script = LoginScript(access: Self.access)
        _ = script.send(.security, LoginScript.names + "AuthMethod=CHAP\0")
        #expect(script.send(.security, "CHAP_A=1,2\0").status == .authenticationFailure)
    }

    @Test func theTargetProvesItself() throws {
        var script = LoginScript(access: Self.bothWays)
        let (algorithm, identifier, challenge) = try challenge(&script, algorithms: "7")
        let response = algorithm.response(
            identifier: identifier, secret: Array("secretsecret12".utf8), challenge: challenge)
        let ours = "CHAP_I=5\0CHAP_C=0x0102030405060708090a0b0c0d0e0f10\0"
        let step = script.send(.security, proof("alice", response, ours))
        let expected = CHAPAlgorithm.sha256.response(
            identifier: 5, secret: Array("anothersecret34".utf8), challenge: Array(1...16))
        #expect(step.keys["CHAP_N"] == "vm1-target")
        #expect(step.keys["CHAP_R"] == TextValue.hexadecimal(of: expected))
        #expect(step.response.transit)
    }

    @Test(arguments: ["reflected", "absent", "half", "one way only", "one secret"])
    func mutualAuthenticationIsNotTricked(way: String) throws {
        var access = Self.bothWays
        if way == "one way only" { access = Self.access }
        if way == "one secret" { access.mutual = CHAPCredential(name: "t", secret: Array("secretsecret12".utf8)) }
        var script = LoginScript(access: access)
        let (algorithm, identifier, challenge) = try challenge(&script)
        let response = algorithm.response(
            identifier: identifier, secret: Array("secretsecret12".utf8), challenge: challenge)
        let more =
            switch way {
            case "reflected": "CHAP_I=5\0CHAP_C=\(TextValue.hexadecimal(of: challenge))\0"
            case "absent": ""
            case "half": "CHAP_I=5\0"
            default: "CHAP_I=5\0CHAP_C=0x01020304\0"
            }
        let step = script.send(.security, proof("alice", response, more))
        #expect(step.status == (way == "half" ? .initiatorError : .authenticationFailure))
    }

    @Test func aTargetWithoutSecretsCannotDoCHAP() {
        var script = LoginScript()
        #expect(script.send(.security, LoginScript.names + "AuthMethod=CHAP\0").status == .authenticationFailure)
        var either = LoginScript()
        #expect(either.send(.security, LoginScript.names + "AuthMethod=CHAP,None\0").keys["AuthMethod"] == "None")
    }

    @Test func secretsAreNotPrinted() {
        #expect(!"\(Self.bothWays.credentials)".contains("secretsecret12"))
        #expect(!String(reflecting: Self.user).contains("115"))
    }
}
