/// How a login ended, or that it goes on (RFC 7143 section 11.13.5): class in the high byte, detail in the low one.
public enum LoginStatus: UInt16, Sendable, CaseIterable {
    case success = 0x0000
    case targetMovedTemporarily = 0x0101
    case targetMovedPermanently = 0x0102
    case initiatorError = 0x0200
    case authenticationFailure = 0x0201
    case authorizationFailure = 0x0202
    case notFound = 0x0203
    case targetRemoved = 0x0204
    case unsupportedVersion = 0x0205
    case tooManyConnections = 0x0206
    case missingParameter = 0x0207
    case cannotIncludeInSession = 0x0208
    case sessionTypeNotSupported = 0x0209
    case sessionDoesNotExist = 0x020a
    case invalidDuringLogin = 0x020b
    case targetError = 0x0300
    case serviceUnavailable = 0x0301
    case outOfResources = 0x0302

    /// Why a target refuses, for its log.
    var words: String {
        switch self {
        case .notFound: "no such target answers here"
        case .targetRemoved: "the target is being taken away"
        case .tooManyConnections: "the session has its only connection already"
        case .sessionDoesNotExist: "there is no such session"
        case .serviceUnavailable: "the target is not up yet"
        default: "status \(String(rawValue, radix: 16))h"
        }
    }
}

/// The target's answer to a login request (RFC 7143 section 11.13).
public struct LoginResponse: Equatable, Sendable {
    public var transit: Bool
    public var continues: Bool
    public var currentStage: LoginStage
    public var nextStage: LoginStage
    public var isid: InitiatorSessionID
    public var tsih: UInt16
    public var initiatorTaskTag: UInt32
    public var numbers: StatusNumbers
    public var status: LoginStatus

    /// Writes the 48 bytes of the header; `dataBytes` of text keys follow it.
    public func encode(dataBytes: Int, into bytes: UnsafeMutableRawBufferPointer) {
        let writer = ByteWriter(clearing: bytes, count: BasicHeader.size)
        writer.uint8(0, TargetOpcode.login.rawValue)
        // The next stage is reserved when no transit happens.
        let stages = currentStage.rawValue << 2 | (transit ? nextStage.rawValue : 0)
        writer.uint8(1, (transit ? 0x80 : 0) | (continues ? 0x40 : 0) | stages)
        // Bytes 2 and 3: the highest version we speak and the one in use, both zero.
        writer.uint24(5, UInt32(truncatingIfNeeded: dataBytes))
        writer.uint32(8, UInt32(truncatingIfNeeded: isid.raw >> 16))
        writer.uint16(12, UInt16(truncatingIfNeeded: isid.raw))
        writer.uint16(14, tsih)
        writer.uint32(16, initiatorTaskTag)
        numbers.write(writer)
        writer.uint16(36, status.rawValue)
    }
}
