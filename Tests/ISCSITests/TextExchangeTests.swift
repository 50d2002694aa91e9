import Testing

@testable import ISCSI

@Suite struct TextExchangeTests {
    private let numbers = StatusNumbers(statSN: 1, expCmdSN: 2, maxCmdSN: 3)
    private let targets = [
        DiscoveredTarget(
            name: "iqn.2026-11.org.example:a",
            portals: [
                DiscoveredTarget.Portal(address: "192.0.2.1:3260", groupTag: 1),
                DiscoveredTarget.Portal(address: "[2001:db8::1]:3260", groupTag: 1),
            ]),
        DiscoveredTarget(
            name: "iqn.2026-11.org.example:b",
            portals: [DiscoveredTarget.Portal(address: "192.0.2.1:3260", groupTag: 2)]),
    ]
    private static let listA =
        "TargetName=iqn.2026-11.org.example:a\0TargetAddress=192.0.2.1:3260,1\0TargetAddress=[2001:db8::1]:3260,1\0"
    private static let listB = "TargetName=iqn.2026-11.org.example:b\0TargetAddress=192.0.2.1:3260,2\0"

    private func session(target: String?, segment: UInt32 = 8192) -> SessionParameters {
        var parameters = SessionParameters()
        parameters.targetName = target
        parameters.maxSendDataSegment = segment
        return parameters
    }

    private func ask(
        _ exchange: inout TextExchange, _ text: String, tag: UInt32 = .max, final: Bool = true, continues: Bool = false
    ) -> TextExchange.Step {
        var bytes = [UInt8](repeating: 0, count: 48)
        bytes[0] = 0x04
        bytes[1] = (final ? 0x80 : 0) | (continues ? 0x40 : 0)
        bytes.patch(uint32: 9, at: 16)
        bytes.patch(uint32: Int(tag), at: 20)
        let request = decoded(bytes, TextRequest.init)
        return Array(text.utf8).withUnsafeBytes { [targets, numbers] text in
            exchange.receive(request, text: text, numbers: numbers, targets: { targets })
        }
    }

    private func text(_ step: TextExchange.Step) -> String? {
        if case .respond(_, let text) = step { String(decoding: text, as: UTF8.self) } else { nil }
    }

    @Test func discoveryListsAllTargetsOrOne() {
        var exchange = TextExchange(session(target: nil))
        let all = ask(&exchange, "SendTargets=All\0")
        #expect(text(all) == Self.listA + Self.listB)
        guard case .respond(let response, _) = all else { return }
        #expect(response.final && !response.continues && response.targetTransferTag == .max)
        #expect(text(ask(&exchange, "SendTargets=IQN.2026-11.org.example:B\0")) == Self.listB)
        #expect(text(ask(&exchange, "SendTargets=iqn.2026-11.org.example:c\0")) == "")
        #expect(text(ask(&exchange, "SendTargets=\0")) == "SendTargets=Reject\0")
    }

    @Test func aSessionKnowsItsOwnTargetOnly() {
        var exchange = TextExchange(session(target: "iqn.2026-11.org.example:b"))
        #expect(text(ask(&exchange, "SendTargets=\0")) == Self.listB)
        #expect(text(ask(&exchange, "SendTargets=iqn.2026-11.org.example:b\0")) == Self.listB)
        #expect(text(ask(&exchange, "SendTargets=iqn.2026-11.org.example:a\0")) == "")
        #expect(text(ask(&exchange, "SendTargets=All\0")) == Self.listB)
        #expect(text(ask(&exchange, "SendTargets=Alle\0")) == "SendTargets=Reject\0")
    }

    @Test func aLongListComesInParts() {
        var exchange = TextExchange(session(target: nil, segment: 50))
        var whole = ""
        var step = ask(&exchange, "SendTargets=All\0")
        var parts = 0
        while case .respond(let response, let part) = step {
            #expect(part.count <= 50)
            whole += String(decoding: part, as: UTF8.self)
            parts += 1
            guard response.continues else {
                #expect(response.final && response.targetTransferTag == .max)
                break
            }
            #expect(!response.final && response.targetTransferTag != .max)
            step = ask(&exchange, "", tag: response.targetTransferTag)
        }
        #expect(whole == Self.listA + Self.listB)
        #expect(parts == (whole.utf8.count + 49) / 50)
    }

    @Test func aLongQuestionComesInParts() throws {
        var exchange = TextExchange(session(target: nil))
        guard case .respond(let open, let nothing) = ask(&exchange, "SendTar", final: false, continues: true) else {
            Issue.record("the first part was refused")
            return
        }
        #expect(nothing.isEmpty && !open.final && open.targetTransferTag != .max)
        #expect(text(ask(&exchange, "gets=All\0", tag: open.targetTransferTag)) == Self.listA + Self.listB)
    }

    @Test func otherKeysAreAnswered() {
        var exchange = TextExchange(session(target: nil))
        #expect(text(ask(&exchange, "X-wish=1\0InitiatorAlias=me\0")) == "X-wish=NotUnderstood\0")
    }

    @Test func nonsenseIsRejectedAndForgotten() {
        var exchange = TextExchange(session(target: nil))
        #expect(ask(&exchange, "SendTargets\0") == .reject(.protocolError))
        #expect(ask(&exchange, "", tag: 77) == .reject(.invalidPDUField))
        #expect(ask(&exchange, "a=1\0", final: true, continues: true) == .reject(.protocolError))
        #expect(text(ask(&exchange, "SendTargets=All\0")) == Self.listA + Self.listB)
    }

    @Test func aQuestionIsBounded() {
        var exchange = TextExchange(session(target: nil))
        var step = ask(&exchange, String(repeating: "x", count: 8000), final: false, continues: true)
        guard case .respond(let open, _) = step else {
            Issue.record("the first part was refused")
            return
        }
        let more = String(repeating: "x", count: 193)
        step = ask(&exchange, more, tag: open.targetTransferTag, final: false, continues: true)
        #expect(step == .reject(.protocolError))
    }
}
