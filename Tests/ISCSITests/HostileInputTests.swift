import TestSupport
import Testing

@testable import ISCSI

/// Random and mutated bytes into every decoder: whatever comes, nothing traps and nothing leaves its bounds. The seed
/// of a run is printed, and a run can be repeated from it.
@Suite struct HostileInputTests {
    private static let seed = UInt64.random(in: .min ... .max)

    private func generator(_ name: String) -> SeededGenerator {
        print("\(name): seed \(Self.seed)")
        return SeededGenerator(seed: Self.seed)
    }

    /// Mostly plausible headers: a known opcode, small fields, then some bits turned.
    private func header(_ random: inout SeededGenerator) -> [UInt8] {
        var bytes = (0..<48).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        if Bool.random(using: &random) {
            bytes[0] = UInt8.random(in: 0...0x10, using: &random)
            for index in [4, 5, 8, 9] { bytes[index] = 0 }
        }
        return bytes
    }

    @Test func anyHeaderIsDecodedOrRefused() {
        var random = generator("headers")
        var decodedCount = 0
        for _ in 0..<100_000 {
            var bytes = header(&random)
            bytes.removeLast(Int.random(in: 0..<50, using: &random) == 0 ? Int.random(in: 1...48, using: &random) : 0)
            let framing = Framing(
                headerDigest: Bool.random(using: &random), dataDigest: Bool.random(using: &random),
                maxReceiveData: 262_144)
            bytes.withUnsafeBytes { bytes in
                let basic = BasicHeader(bytes)
                #expect(basic.pduLength(framing) >= 48 && basic.pduLength(framing) < 1 << 25)
                if (try? InitiatorPDU(bytes, framing: framing)) != nil { decodedCount += 1 }
            }
        }
        #expect(decodedCount > 1000)
    }

    @Test func anyCommandIsDecodedOrRefused() {
        var random = generator("commands")
        let profiles = [
            UnitScript.profile(), UnitScript.profile(thin: false), UnitScript.profile(removable: true),
            UnitScript.profile(blocks: .max >> 9), UnitScript.profile(blocks: 0),
        ]
        let known = SupportedOpcode.all.map(\.opcode)
        for round in 0..<100_000 {
            var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            if round % 4 != 0 { bytes[0] = known.randomElement(using: &random) ?? 0 }
            if round % 2 == 0 { for index in 2..<16 where Bool.random(using: &random) { bytes[index] = 0 } }
            let profile = profiles[round % profiles.count]
            let block = decoded(bytes, CommandBlock.init)
            guard let command = try? Command.decode(block, profile) else { continue }
            if case .read(let range, _) = command { #expect(profile.geometry.contains(range)) }
            if case .write(let range, _) = command { #expect(profile.geometry.contains(range)) }
            _ = command.dataOutBytes(profile.geometry)
            _ = command.accepts(expected: UInt32.random(in: .min ... .max, using: &random), profile.geometry)
        }
    }

    @Test func aUnitSurvivesAnySequenceOfCommands() {
        var random = generator("units")
        var script = UnitScript(UnitScript.profile(removable: true), nexuses: 3)
        let known = SupportedOpcode.all.filter { $0.opcode >= 0x30 || $0.opcode < 0x20 }
        for round in 0..<50_000 {
            let entry = known.randomElement(using: &random) ?? SupportedOpcode.all[0]
            var cdb = entry.usage.map { $0 & UInt8.random(in: .min ... .max, using: &random) }
            cdb[0] = entry.opcode
            if let action = entry.serviceAction { cdb[1] = UInt8(action) }
            let text = cdb.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            let nexus = Int.random(in: 0..<4, using: &random)
            let count = [0, 4, 8, 16, 24, 64].randomElement(using: &random) ?? 0
            let parameters = (0..<count).map { _ in
                Bool.random(using: &random) ? 0 : UInt8.random(in: .min ... .max, using: &random)
            }
            switch script.send(text, parameters: parameters, from: nexus) {
            case .failed(let sense):
                #expect(sense.bytes(descriptorFormat: false).count == 18)
                #expect(sense.bytes(descriptorFormat: true).count <= 28)
            case .good: #expect(script.answer.count <= 65_535)
            default: break
            }
            if round % 1000 == 0 { script.server.reset() }
        }
        _ = script.send("00")
        #expect(script.server.reservations.registrants.count <= 3)
    }

    @Test func anyParameterListIsReadOrRefused() {
        var random = generator("parameter lists")
        let profile = UnitScript.profile()
        for _ in 0..<50_000 {
            var bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ in
                UInt8.random(in: .min ... .max, using: &random)
            }
            if bytes.count > 8, Bool.random(using: &random) {
                bytes.replaceSubrange(0..<8, with: [0, 0, 0, UInt8(bytes.count - 8) & 0xf0, 0, 0, 0, 0])
            }
            bytes.withUnsafeBytes { bytes in
                for range in (try? UnmapList.parse(bytes, profile)) ?? [] { #expect(profile.geometry.contains(range)) }
                for long in [true, false] {
                    let request = ModeSelectRequest(longForm: long, parameterBytes: UInt32(bytes.count))
                    _ = try? ModeSelect.parse(request, bytes, ModeSettings(), profile.geometry)
                }
            }
        }
    }

    @Test func aLoginSurvivesAnyText() {
        var random = generator("logins")
        let words = [
            "InitiatorName=iqn.x:a\0", "TargetName=iqn.x:t\0", "SessionType=Discovery\0", "AuthMethod=CHAP,None\0",
            "CHAP_A=5\0", "CHAP_A=7,5\0", "CHAP_N=alice\0", "CHAP_R=0x00\0", "CHAP_R=0b====\0", "CHAP_I=300\0",
            "CHAP_C=0x" + String(repeating: "ff", count: 1025) + "\0", "MaxBurstLength=0x\0", "InitialR2T=\0",
            "FirstBurstLength=99999999999999999999\0", "=\0", "\0\0\0", "HeaderDigest=,,\0", "X-\u{301}=é\0", "a",
        ]
        let access = TargetAccess(credentials: [CHAPCredential(name: "alice", secret: [1, 2, 3])])
        for _ in 0..<4000 {
            var script = LoginScript(access: Bool.random(using: &random) ? access : TargetAccess())
            script.random = random
            for _ in 0..<4 {
                var header = LoginScript.Header()
                header.current = UInt8.random(in: 0...3, using: &random)
                header.next = UInt8.random(in: 0...3, using: &random)
                header.transit = Bool.random(using: &random)
                header.continues = Int.random(in: 0..<4, using: &random) == 0
                var text = ""
                for _ in 0..<Int.random(in: 0...6, using: &random) { text += words.randomElement(using: &random) ?? "" }
                let step = script.send(header, text)
                if step.parameters != nil { #expect(script.asked.count == 1) }
                if case .refuse = step { break }
            }
        }
    }

    @Test func textOfAnyBytesIsReadOrRefused() {
        var random = generator("texts")
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ -> UInt8 in
                let any = UInt8.random(in: .min ... .max, using: &random)
                return [0, 0x3d, 0x61, any].randomElement(using: &random) ?? 0
            }
            for pair in (try? TextKeys.parse(bytes)) ?? [] {
                _ = TextValue.number(pair.value)
                _ = TextValue.binary(pair.value, limit: 16)
                #expect(!pair.key.isEmpty)
            }
        }
    }
}
