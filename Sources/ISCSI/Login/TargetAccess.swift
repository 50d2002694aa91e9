/// A name and a secret for CHAP. Owned by whoever read the secret's file; never printed.
public struct CHAPCredential: Equatable, Sendable, CustomStringConvertible {
    public let name: String
    let secret: [UInt8]

    /// - Parameter secret: the bytes as both sides know them; RFC 7143 section 9.2.1 asks for 12 at least.
    public init(name: String, secret: [UInt8]) {
        self.name = name
        self.secret = secret
    }

    public var description: String { "credential of \(name)" }
}

/// Who may log in, and how they prove who they are: to one target, or for discovery. A value that the caller looks up.
public struct TargetAccess: Equatable, Sendable {
    /// Names of the initiators that may log in; nil lets every one in.
    public var initiators: [String]?
    /// Any of these opens the door. Empty: no authentication is asked for.
    public var credentials: [CHAPCredential]
    /// What the target proves itself with. When it is there, an initiator that does not ask for it is refused.
    public var mutual: CHAPCredential?

    public init(initiators: [String]? = nil, credentials: [CHAPCredential] = [], mutual: CHAPCredential? = nil) {
        self.initiators = initiators
        self.credentials = credentials
        self.mutual = mutual
    }

    /// Whether the initiator of that name may log in. Names are compared without regard to case (RFC 3722).
    public func admits(_ initiatorName: String) -> Bool {
        guard let initiators else { return true }
        let wanted = initiatorName.lowercased()
        return initiators.contains { $0.lowercased() == wanted }
    }
}

/// Who asks to log in, as the caller sees it when it decides.
public struct LoginSubject: Equatable, Sendable {
    public let initiatorName: String
    public let isid: InitiatorSessionID
    /// Nil in a discovery session.
    public let targetName: String?
    /// Not zero when the initiator wants a further connection in that session.
    public let tsih: UInt16
    public let connectionID: UInt16
}

/// What the caller decides about a login before any secret is exchanged.
public enum LoginAdmission: Equatable, Sendable {
    /// There is such a target (or discovery is open), with these rules; its portal group and its alias are told.
    case open(TargetAccess, portalGroupTag: UInt16, alias: String?)
    /// Refused with a status: not found, removed, no session of that handle, too many connections, out of resources.
    case refuse(LoginStatus)
}
