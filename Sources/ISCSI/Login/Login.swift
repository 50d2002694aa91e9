/// A login from its first request to the full feature phase (RFC 7143 sections 6.3 and 11.12): who it is, whether it
/// may enter, what both sides agree on. Owned by a connection; pure: requests in, answers out.
///
/// Everything that a stranger can make it hold is bounded: 8 KiB of text, 64 keys, 32 requests.
public struct Login: Sendable {
    private static let maxRequests = 32

    private let offers: TargetOffers
    private let newTSIH: UInt16
    private var statSN: UInt32
    private var requests = 0
    private var stage: LoginStage?
    private var first: LoginRequest?
    private var text: [UInt8] = []
    /// What has been agreed so far; the names are what the initiator says of itself, from its first complete text on.
    public private(set) var parameters = SessionParameters()
    private var identity: [String: String] = [:]
    private var settled: Set<String> = []
    private var chap: CHAPExchange?
    private var authenticated = false
    private var alias: String?
    private var access: TargetAccess?
    private var portalGroupTold = false
    private var segmentDeclared = false

    /// - Parameters:
    ///   - tsih: the handle, not zero and not in use, that a new session gets.
    ///   - firstStatSN: number of the first answer.
    public init(offers: TargetOffers, tsih: UInt16, firstStatSN: UInt32 = 1) {
        precondition(tsih != 0, "a session handle is not zero")
        self.offers = offers
        newTSIH = tsih
        statSN = firstStatSN
    }

    /// Takes a login request with its data segment, without padding.
    /// - Parameter admit: decides about the initiator, once, as soon as its first text is complete.
    public mutating func receive(
        _ request: LoginRequest, text segment: UnsafeRawBufferPointer, admit: (LoginSubject) -> LoginAdmission
    ) -> LoginStep {
        var random = SystemRandomNumberGenerator()
        return receive(request, text: segment, random: &random, admit: admit)
    }

    /// The same with a source of randomness of the caller's; tests give a fixed one.
    mutating func receive<Source: RandomNumberGenerator>(
        _ request: LoginRequest, text segment: UnsafeRawBufferPointer, random: inout Source,
        admit: (LoginSubject) -> LoginAdmission
    ) -> LoginStep {
        do throws(LoginRefusal) {
            let current = try check(request)
            guard segment.count <= TextKeys.maxBytes - text.count else {
                throw LoginRefusal(.initiatorError, TextError.tooLong.description)
            }
            text.append(contentsOf: segment)
            if request.continues {
                return .answer(response(to: request, current, transit: false), text: [])
            }
            let pairs = try parsedText()
            if access == nil { try identify(request, pairs, admit) }
            return try proceed(request, current, pairs, &random)
        } catch {
            return .refuse(refusal(of: request, error.status), reason: error.reason)
        }
    }

    /// What must hold for every request (sections 11.12.1 to 11.12.9).
    private mutating func check(_ request: LoginRequest) throws(LoginRefusal) -> LoginStage {
        requests += 1
        guard requests <= Self.maxRequests else { throw LoginRefusal(.initiatorError, "the login does not end") }
        guard request.versionMin == 0 else {
            throw LoginRefusal(.unsupportedVersion, "the initiator wants version \(request.versionMin) at least")
        }
        guard let current = request.currentStage, current != .fullFeature else {
            throw LoginRefusal(.initiatorError, "a login request in no stage of the login")
        }
        if request.transit {
            guard let next = request.nextStage, next.rawValue > current.rawValue, !request.continues else {
                throw LoginRefusal(.initiatorError, "a login request with an impossible next stage")
            }
        }
        if let first {
            guard request.isid == first.isid, request.tsih == first.tsih, request.connectionID == first.connectionID,
                request.initiatorTaskTag == first.initiatorTaskTag
            else { throw LoginRefusal(.initiatorError, "a login that changes its own identifiers") }
        } else {
            first = request
        }
        guard stage == nil || stage == current else {
            throw LoginRefusal(.initiatorError, "a login request in another stage than was agreed")
        }
        stage = current
        return current
    }

    private mutating func parsedText() throws(LoginRefusal) -> [TextPair] {
        defer { text.removeAll(keepingCapacity: false) }
        do throws(TextError) {
            return OperationalKeys.ordered(try TextKeys.parse(text))
        } catch {
            throw LoginRefusal(.initiatorError, error.description)
        }
    }

    /// Who is it, where does it want to go, and may it? (section 6.3)
    private mutating func identify(
        _ request: LoginRequest, _ pairs: [TextPair], _ admit: (LoginSubject) -> LoginAdmission
    ) throws(LoginRefusal) {
        let declared = Dictionary(pairs.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        guard let initiator = declared["InitiatorName"], ISCSIName.isValid(initiator) else {
            throw LoginRefusal(.missingParameter, "InitiatorName is missing or not a name")
        }
        let target: String?
        switch declared["SessionType"] ?? "Normal" {
        case "Normal":
            guard let name = declared["TargetName"], ISCSIName.isValid(name) else {
                throw LoginRefusal(.missingParameter, "TargetName is missing or not a name")
            }
            target = name.lowercased()
        case "Discovery":
            target = nil
        case let other:
            throw LoginRefusal(.sessionTypeNotSupported, "session type \(TextValue.shown(other)) is not known")
        }
        let subject = LoginSubject(
            initiatorName: initiator, isid: request.isid, targetName: target, tsih: request.tsih,
            connectionID: request.connectionID)
        parameters.initiatorName = initiator
        parameters.targetName = target
        switch admit(subject) {
        case .refuse(let status):
            throw LoginRefusal(status, status.words)
        case .open(let access, let portalGroupTag, let alias):
            guard access.admits(initiator) else {
                throw LoginRefusal(.authorizationFailure, "it may not log in here")
            }
            self.access = access
            self.alias = alias
            parameters.portalGroupTag = portalGroupTag
            authenticated = access.credentials.isEmpty
        }
        identity = declared.filter { Self.identityKeys.contains($0.key) }
        parameters.initiatorAlias = declared["InitiatorAlias"]
        parameters.isid = request.isid
        parameters.connectionID = request.connectionID
        parameters.firstCmdSN = request.cmdSN
    }

    /// Settles the keys of a complete request and decides about the next stage.
    private mutating func proceed<Source: RandomNumberGenerator>(
        _ request: LoginRequest, _ current: LoginStage, _ pairs: [TextPair], _ random: inout Source
    ) throws(LoginRefusal) -> LoginStep {
        guard authenticated || current == .security else {
            throw LoginRefusal(.authenticationFailure, "it skipped the authentication")
        }
        var answers = try settle(pairs, current, &random)
        var transit = request.transit
        if current == .security, !authenticated { transit = false }
        let next = request.nextStage ?? current
        if current == .operational || (transit && next == .fullFeature) { answers += declarations() }
        if !portalGroupTold, parameters.targetName != nil {
            answers.append(TextPair(key: "TargetPortalGroupTag", value: String(parameters.portalGroupTag)))
            portalGroupTold = true
        }
        var answer = response(to: request, current, transit: transit)
        let text = TextKeys.bytes(answers)
        guard transit else { return .answer(answer, text: text) }
        stage = next
        guard next == .fullFeature else { return .answer(answer, text: text) }
        parameters.tsih = request.tsih == 0 ? newTSIH : request.tsih
        parameters.maxReceiveDataSegment = offers.maxReceiveDataSegment
        parameters.nextStatSN = statSN
        answer.tsih = parameters.tsih
        return .established(answer, text: text, parameters)
    }

    private mutating func settle<Source: RandomNumberGenerator>(
        _ pairs: [TextPair], _ current: LoginStage, _ random: inout Source
    ) throws(LoginRefusal) -> [TextPair] {
        let keys = OperationalKeys(offers: offers, discovery: parameters.targetName == nil)
        var answers: [TextPair] = []
        var chapKeys: [String: String] = [:]
        for pair in pairs {
            if Self.identityKeys.contains(pair.key) {
                try declare(pair)
                continue
            }
            // The words that answer an offer need no answer themselves (section 6.2).
            guard
                ![OperationalKeys.reject, OperationalKeys.notUnderstood, OperationalKeys.irrelevant]
                    .contains(pair.value)
            else { continue }
            guard settled.insert(pair.key).inserted else {
                throw LoginRefusal(.initiatorError, "\(pair.key) is negotiated twice")
            }
            if current == .security, pair.key == "AuthMethod" {
                answers.append(TextPair(key: pair.key, value: try chooseMethod(pair.value)))
            } else if current == .security, pair.key.hasPrefix("CHAP_") {
                chapKeys[pair.key] = pair.value
            } else if let answer = keys.settle(pair, &parameters) {
                answers.append(TextPair(key: pair.key, value: answer))
            }
        }
        return answers + (try authenticate(chapKeys, &random))
    }

    private static let identityKeys: Set<String> = ["InitiatorName", "InitiatorAlias", "SessionType", "TargetName"]

    /// A declaration may stand in several requests, but always the same (some initiators repeat their names).
    private mutating func declare(_ pair: TextPair) throws(LoginRefusal) {
        guard let before = identity[pair.key] else {
            guard pair.key == "InitiatorAlias" else {
                throw LoginRefusal(.initiatorError, "\(pair.key) comes too late")
            }
            identity[pair.key] = pair.value
            parameters.initiatorAlias = pair.value
            return
        }
        guard before == pair.value else { throw LoginRefusal(.initiatorError, "\(pair.key) is declared twice") }
    }

    private mutating func chooseMethod(_ offered: String) throws(LoginRefusal) -> String {
        let methods = TextValue.list(offered)
        guard let access, !authenticated else {
            guard methods.contains("None") else {
                throw LoginRefusal(.authenticationFailure, "it asks for CHAP, and the target has no secret")
            }
            return "None"
        }
        guard methods.contains("CHAP") else {
            throw LoginRefusal(.authenticationFailure, "it does not offer CHAP")
        }
        chap = CHAPExchange(access: access)
        return "CHAP"
    }

    private mutating func authenticate<Source: RandomNumberGenerator>(
        _ keys: [String: String], _ random: inout Source
    ) throws(LoginRefusal) -> [TextPair] {
        guard var exchange = chap else {
            guard keys.isEmpty else { throw LoginRefusal(.initiatorError, "CHAP keys before AuthMethod=CHAP") }
            return []
        }
        do throws(CHAPExchange.Failure) {
            let answers = try exchange.receive(keys, random: &random)
            chap = exchange
            authenticated = exchange.isDone
            return answers
        } catch {
            switch error {
            case .malformed(let words): throw LoginRefusal(.initiatorError, words)
            case .refused(let words):
                throw LoginRefusal(.authenticationFailure, words)
            }
        }
    }

    /// What we tell of ourselves, once, after the authentication.
    private mutating func declarations() -> [TextPair] {
        guard !segmentDeclared else { return [] }
        segmentDeclared = true
        var pairs = [TextPair(key: "MaxRecvDataSegmentLength", value: String(offers.maxReceiveDataSegment))]
        if let alias, parameters.targetName != nil { pairs.append(TextPair(key: "TargetAlias", value: alias)) }
        return pairs
    }

    private mutating func response(to request: LoginRequest, _ current: LoginStage, transit: Bool) -> LoginResponse {
        let numbers = StatusNumbers(
            statSN: statSN, expCmdSN: request.cmdSN,
            maxCmdSN: request.cmdSN &+ UInt32(CommandWindow.limit - 1))
        statSN &+= 1
        return LoginResponse(
            transit: transit, continues: false, currentStage: current, nextStage: request.nextStage ?? current,
            isid: request.isid, tsih: request.tsih, initiatorTaskTag: request.initiatorTaskTag, numbers: numbers,
            status: .success)
    }

    private mutating func refusal(of request: LoginRequest, _ status: LoginStatus) -> LoginResponse {
        var answer = response(to: request, request.currentStage ?? .security, transit: false)
        answer.status = status
        return answer
    }
}
