/// The target's half of one authentication by CHAP (RFC 7143 section 12.1.3). Owned by a login; used once.
struct CHAPExchange {
    /// Why an exchange fails; the wrong secret and the wrong name look alike to the other side.
    enum Failure: Error, Equatable {
        /// Keys missing, unreadable or out of turn.
        case malformed(String)
        /// The initiator, or the request to prove ourselves, is not as it should be.
        case refused(String)
    }

    private enum Phase {
        case algorithm
        case response(CHAPAlgorithm, identifier: UInt8, challenge: [UInt8])
        case done
    }

    /// Longest challenge that a peer may give us (section 12.1.3).
    private static let maxChallenge = 1024
    private static let challengeBytes = 32

    private let access: TargetAccess
    private var phase = Phase.algorithm

    init(access: TargetAccess) {
        self.access = access
    }

    var isDone: Bool {
        if case .done = phase { true } else { false }
    }

    /// Takes the CHAP keys of one request; gives the keys of the answer.
    mutating func receive<Source: RandomNumberGenerator>(
        _ keys: [String: String], random: inout Source
    ) throws(Failure) -> [TextPair] {
        switch phase {
        case .algorithm:
            return try choose(keys, random: &random)
        case .response(let algorithm, let identifier, let challenge):
            return try verify(keys, algorithm, identifier, challenge)
        case .done:
            guard keys.isEmpty else { throw .malformed("CHAP keys after the authentication") }
            return []
        }
    }

    /// The first step: the initiator names algorithms, we take the first that we have and set the challenge.
    private mutating func choose<Source: RandomNumberGenerator>(
        _ keys: [String: String], random: inout Source
    ) throws(Failure) -> [TextPair] {
        guard let offered = keys["CHAP_A"] else {
            guard keys.isEmpty else { throw .malformed("CHAP begins without CHAP_A") }
            return []
        }
        guard keys.count == 1 else { throw .malformed("CHAP_A with other CHAP keys") }
        let known = TextValue.list(offered).lazy.compactMap { name in
            TextValue.number(name).flatMap { UInt8(exactly: $0) }.flatMap(CHAPAlgorithm.init)
        }
        guard let algorithm = known.first else {
            throw .refused("none of the CHAP algorithms \(TextValue.shown(offered)) is known")
        }
        let identifier = UInt8.random(in: .min ... .max, using: &random)
        let challenge = (0..<Self.challengeBytes).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        phase = .response(algorithm, identifier: identifier, challenge: challenge)
        return [
            TextPair(key: "CHAP_A", value: String(algorithm.rawValue)),
            TextPair(key: "CHAP_I", value: String(identifier)),
            TextPair(key: "CHAP_C", value: TextValue.hexadecimal(of: challenge)),
        ]
    }

    /// The second step: the initiator's proof, and perhaps its challenge to us.
    private mutating func verify(
        _ keys: [String: String], _ algorithm: CHAPAlgorithm, _ identifier: UInt8, _ challenge: [UInt8]
    ) throws(Failure) -> [TextPair] {
        guard let name = keys["CHAP_N"], let text = keys["CHAP_R"] else {
            throw .malformed("CHAP_N or CHAP_R is missing")
        }
        guard let proof = TextValue.binary(text, limit: algorithm.size) else {
            throw .malformed("CHAP_R is not a binary value of at most \(algorithm.size) bytes")
        }
        // An unknown name takes the same time as a wrong secret.
        let credential = access.credentials.first { $0.name == name }
        let expected = algorithm.response(
            identifier: identifier, secret: credential?.secret ?? [0], challenge: challenge)
        guard equalInConstantTime(proof, expected), let credential else {
            throw .refused("wrong CHAP name or secret")
        }
        let answer = try proveOurselves(keys, algorithm, credential, challenge)
        phase = .done
        return answer
    }

    private func proveOurselves(
        _ keys: [String: String], _ algorithm: CHAPAlgorithm, _ credential: CHAPCredential, _ ours: [UInt8]
    ) throws(Failure) -> [TextPair] {
        guard keys["CHAP_I"] != nil || keys["CHAP_C"] != nil else {
            guard access.mutual == nil else {
                throw .refused("this target authenticates itself too, and the initiator did not ask for it")
            }
            return []
        }
        guard let identifier = keys["CHAP_I"].flatMap(TextValue.number).flatMap({ UInt8(exactly: $0) }),
            let challenge = keys["CHAP_C"].flatMap({ TextValue.binary($0, limit: Self.maxChallenge) })
        else { throw .malformed("CHAP_I or CHAP_C of the initiator cannot be read") }
        guard let mutual = access.mutual else {
            throw .refused("the initiator asks the target to authenticate itself, which has no credential")
        }
        // RFC 7143 section 9.2.1: our challenge sent back, or one secret for both ways, lets a peer that knows nothing
        // answer with what we compute for it.
        guard challenge != ours else { throw .refused("the initiator sent our own challenge back") }
        guard !equalInConstantTime(mutual.secret, credential.secret) else {
            throw .refused("the secrets of initiator and target are the same")
        }
        let proof = algorithm.response(identifier: identifier, secret: mutual.secret, challenge: challenge)
        return [
            TextPair(key: "CHAP_N", value: mutual.name),
            TextPair(key: "CHAP_R", value: TextValue.hexadecimal(of: proof)),
        ]
    }
}
