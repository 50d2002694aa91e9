/// A target as discovery tells of it.
public struct DiscoveredTarget: Equatable, Sendable {
    public let name: String
    /// Where it can be reached: `address:port`, an IPv6 address in brackets, and the portal group's tag.
    public let portals: [Portal]

    public struct Portal: Equatable, Sendable {
        public let address: String
        public let groupTag: UInt16

        public init(address: String, groupTag: UInt16) {
            self.address = address
            self.groupTag = groupTag
        }
    }

    public init(name: String, portals: [Portal]) {
        self.name = name
        self.portals = portals
    }
}

/// The text requests of a session in the full feature phase: SendTargets, and an answer to every other key
/// (RFC 7143 sections 6.2 and C). Owned by a connection; one exchange at a time.
public struct TextExchange: Equatable, Sendable {
    /// What to do after a text request.
    public enum Step: Equatable, Sendable {
        case respond(TextResponse, text: [UInt8])
        case reject(RejectReason)
    }

    /// Text that one exchange may answer with.
    static let maxAnswerBytes = 1 << 20

    private let isDiscovery: Bool
    private let targetName: String?
    private let segmentLimit: Int
    private var question: [UInt8] = []
    private var answer: [UInt8] = []
    private var sent = 0
    private var tag = BasicHeader.reservedTag
    private var nextTag: UInt32 = 1

    public init(_ session: SessionParameters) {
        isDiscovery = session.isDiscovery
        targetName = session.targetName
        segmentLimit = Int(session.maxSendDataSegment)
    }

    /// Takes a text request with its data segment, without padding.
    /// - Parameter targets: what this initiator may know of, asked only when it wants the list.
    public mutating func receive(
        _ request: TextRequest, text: UnsafeRawBufferPointer, numbers: StatusNumbers, targets: () -> [DiscoveredTarget]
    ) -> Step {
        // A new exchange ends the one before; a continued one must name it.
        if request.targetTransferTag == BasicHeader.reservedTag {
            if tag != BasicHeader.reservedTag { forget() }
        } else if request.targetTransferTag != tag {
            return .reject(.invalidPDUField)
        }
        guard !(request.final && request.continues) else { return .reject(.protocolError) }
        if !answer.isEmpty {
            guard text.isEmpty else { return .reject(.protocolError) }
            return .respond(nextPart(of: request, numbers), text: takePart())
        }
        guard text.count <= TextKeys.maxBytes - question.count else {
            forget()
            return .reject(.protocolError)
        }
        question.append(contentsOf: text)
        guard !request.continues else {
            return .respond(open(request, numbers), text: [])
        }
        do throws(TextError) {
            answer = try answers(to: TextKeys.parse(question), targets)
        } catch {
            forget()
            return .reject(.protocolError)
        }
        question = []
        return .respond(nextPart(of: request, numbers), text: takePart())
    }

    private mutating func forget() {
        question = []
        answer = []
        sent = 0
        tag = BasicHeader.reservedTag
    }

    private func answers(to pairs: [TextPair], _ targets: () -> [DiscoveredTarget]) throws(TextError) -> [UInt8] {
        var answers: [TextPair] = []
        for pair in pairs {
            switch pair.key {
            case "SendTargets": answers += list(pair.value, targets)
            // Declarations that initiators may repeat in the full feature phase; the segment length is per login here.
            case "InitiatorAlias": continue
            case "MaxRecvDataSegmentLength", "InitiatorName", "TargetName", "SessionType":
                answers.append(TextPair(key: pair.key, value: OperationalKeys.reject))
            default: answers.append(TextPair(key: pair.key, value: OperationalKeys.notUnderstood))
            }
        }
        let bytes = TextKeys.bytes(answers)
        guard bytes.count <= Self.maxAnswerBytes else { throw .tooLong }
        return bytes
    }

    /// All asks for every target; a name for that one's portals; nothing for those of the session's own target
    /// (RFC 7143 appendix C). A session with a target is told of that one only; All, which such a session has no right
    /// to, is read as nothing, because initiators send it.
    private func list(_ value: String, _ targets: () -> [DiscoveredTarget]) -> [TextPair] {
        let wanted: String?
        switch (value, isDiscovery) {
        case ("All", true): wanted = nil
        case ("All", false), ("", false): wanted = targetName
        case _ where ISCSIName.isValid(value): wanted = value.lowercased()
        default: return [TextPair(key: "SendTargets", value: OperationalKeys.reject)]
        }
        // In a session with a target only that target can be asked for.
        if !isDiscovery, wanted != targetName { return [] }
        var pairs: [TextPair] = []
        for target in targets() where wanted == nil || target.name == wanted {
            pairs.append(TextPair(key: "TargetName", value: target.name))
            for portal in target.portals {
                pairs.append(TextPair(key: "TargetAddress", value: "\(portal.address),\(portal.groupTag)"))
            }
        }
        return pairs
    }

    private var rest: Int { answer.count - sent }

    /// The header of the next part: as long as something is left the exchange stays open under a tag.
    private mutating func nextPart(of request: TextRequest, _ numbers: StatusNumbers) -> TextResponse {
        let more = rest > segmentLimit
        if more {
            return open(request, numbers, continues: true)
        }
        tag = BasicHeader.reservedTag
        return TextResponse(
            final: request.final, continues: false, initiatorTaskTag: request.initiatorTaskTag,
            targetTransferTag: request.final ? BasicHeader.reservedTag : newTag(), numbers: numbers)
    }

    private mutating func open(
        _ request: TextRequest, _ numbers: StatusNumbers, continues: Bool = false
    ) -> TextResponse {
        TextResponse(
            final: false, continues: continues, initiatorTaskTag: request.initiatorTaskTag,
            targetTransferTag: newTag(), numbers: numbers)
    }

    private mutating func newTag() -> UInt32 {
        if tag == BasicHeader.reservedTag {
            tag = nextTag
            nextTag = nextTag == 0x7fff_ffff ? 1 : nextTag + 1
        }
        return tag
    }

    private mutating func takePart() -> [UInt8] {
        let part = Array(answer[sent..<sent + min(rest, segmentLimit)])
        sent += part.count
        if rest == 0 {
            answer = []
            sent = 0
        }
        return part
    }
}
