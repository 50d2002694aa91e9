/// What to send after a login request, and what then becomes of the connection.
public enum LoginStep: Equatable, Sendable {
    /// Send the answer with its text and wait for the next request.
    case answer(LoginResponse, text: [UInt8])
    /// Send the answer; the full feature phase begins with these parameters. A session of the same identity ends first.
    case established(LoginResponse, text: [UInt8], SessionParameters)
    /// Send the answer, which has no text, and close. The words are for the operator's log.
    case refuse(LoginResponse, reason: String)
}

/// A login that cannot go on: what the initiator is told, and why in words.
struct LoginRefusal: Error, Equatable {
    let status: LoginStatus
    let reason: String

    init(_ status: LoginStatus, _ reason: String) {
        self.status = status
        self.reason = reason
    }
}
