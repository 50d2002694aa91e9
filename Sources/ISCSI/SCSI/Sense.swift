/// Why a command failed, as an initiator's driver understands it (SPC-4 section 4.5): key, additional code, and where
/// in the command or its parameters the mistake stands.
public struct Sense: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Key: UInt8, Sendable {
        case noSense = 0x0
        case recoveredError = 0x1
        case notReady = 0x2
        case mediumError = 0x3
        case hardwareError = 0x4
        case illegalRequest = 0x5
        case unitAttention = 0x6
        case dataProtect = 0x7
        case abortedCommand = 0xb
        case miscompare = 0xe
    }

    /// Place of a mistake: a byte, perhaps its highest wrong bit, in the command block or in the parameter list.
    public struct Field: Equatable, Sendable {
        public let byte: UInt16
        public let bit: UInt8?
        public let inCommand: Bool
    }

    public let key: Key
    public let code: AdditionalSense
    public var field: Field?
    /// The INFORMATION field: an LBA, or for a miscompare the offset of the first different byte.
    public var information: UInt64?

    public init(_ key: Key, _ code: AdditionalSense, field: Field? = nil, information: UInt64? = nil) {
        self.key = key
        self.code = code
        self.field = field
        self.information = information
    }

    /// A field of the command descriptor block holds what it must not.
    public static func invalidCommandField(byte: UInt16, bit: UInt8? = nil) -> Sense {
        Sense(
            .illegalRequest, .invalidFieldInCommandBlock, field: Field(byte: byte, bit: bit, inCommand: true))
    }

    /// A field of the parameter list holds what it must not.
    public static func invalidParameterField(byte: UInt16, bit: UInt8? = nil) -> Sense {
        Sense(
            .illegalRequest, .invalidFieldInParameterList, field: Field(byte: byte, bit: bit, inCommand: false))
    }

    public static let invalidOpcode = Sense(
        .illegalRequest, .invalidOperationCode, field: Field(byte: 0, bit: nil, inCommand: true))
    public static let parameterListLength = Sense(.illegalRequest, .parameterListLengthError)
    /// The length of the command's data in the iSCSI header does not fit the command.
    public static let invalidTransferLength = Sense(.illegalRequest, .invalidFieldInInformationUnit)
    public static let writeProtected = Sense(.dataProtect, .writeProtected)
    public static let unsupportedUnit = Sense(.illegalRequest, .logicalUnitNotSupported)

    public static func unitAttention(_ code: AdditionalSense) -> Sense { Sense(.unitAttention, code) }

    /// COMPARE AND WRITE or VERIFY found other bytes. `offset` is that of the first one in the command's data.
    public static func miscompare(offset: UInt64) -> Sense {
        Sense(.miscompare, .miscompareDuringVerify, information: offset)
    }

    /// Sense bytes in the form that the D_SENSE bit of the control mode page selects.
    public func bytes(descriptorFormat: Bool) -> [UInt8] {
        descriptorFormat ? descriptorBytes() : fixedBytes()
    }

    /// Current sense in fixed format, 18 bytes (SPC-4 section 4.5.3).
    private func fixedBytes() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 18)
        bytes[0] = 0x70
        bytes[2] = key.rawValue
        bytes[7] = 10
        bytes.patch(uint16: Int(code.rawValue), at: 12)
        // An INFORMATION of more than 32 bits does not fit; VALID then stays 0.
        if let information, let short = UInt32(exactly: information) {
            bytes[0] |= 0x80
            bytes.patch(uint32: Int(short), at: 3)
        }
        if let field { bytes.replaceSubrange(15..<18, with: pointer(field)) }
        return bytes
    }

    /// Current sense in descriptor format (SPC-4 section 4.5.2).
    private func descriptorBytes() -> [UInt8] {
        var bytes: [UInt8] = [0x72, key.rawValue]
        bytes.append(uint16: code.rawValue)
        bytes.append(zeros: 4)
        if let information {
            bytes += [0x00, 0x0a, 0x80, 0x00]
            bytes.append(uint64: information)
        }
        if let field { bytes += [0x02, 0x06, 0x00, 0x00] + pointer(field) + [0x00] }
        bytes[7] = UInt8(bytes.count - 8)
        return bytes
    }

    /// Sense key specific bytes with a field pointer (SPC-4 section 4.5.2.4.2).
    private func pointer(_ field: Field) -> [UInt8] {
        var bytes: [UInt8] = [0x80 | (field.inCommand ? 0x40 : 0)]
        if let bit = field.bit { bytes[0] |= 0x08 | bit & 7 }
        bytes.append(uint16: field.byte)
        return bytes
    }

    public var description: String {
        let digits = String(code.rawValue, radix: 16)
        var text = "\(key), \(code) (\(String(repeating: "0", count: 4 - digits.count) + digits)h)"
        if let field { text += ", byte \(field.byte) of the \(field.inCommand ? "command" : "parameters")" }
        return text
    }
}

/// Additional sense code in the high byte, its qualifier in the low one (SPC-4 annex F).
public enum AdditionalSense: UInt16, Sendable {
    case noAdditionalSense = 0x0000
    case notReadyInitializingCommandRequired = 0x0402
    case warning = 0x0b00
    case writeError = 0x0c00
    case unexpectedUnsolicitedData = 0x0c0c
    case notEnoughUnsolicitedData = 0x0c0d
    case logicalBlockGuardCheckFailed = 0x1001
    case invalidFieldInInformationUnit = 0x0e03
    case unrecoveredReadError = 0x1100
    case parameterListLengthError = 0x1a00
    case miscompareDuringVerify = 0x1d00
    case invalidOperationCode = 0x2000
    case logicalBlockAddressOutOfRange = 0x2100
    case invalidFieldInCommandBlock = 0x2400
    case logicalUnitNotSupported = 0x2500
    case invalidFieldInParameterList = 0x2600
    case invalidReleaseOfPersistentReservation = 0x2604
    case writeProtected = 0x2700
    case spaceAllocationFailed = 0x2707
    case mediumMayHaveChanged = 0x2800
    case powerOnOrReset = 0x2900
    case powerOn = 0x2901
    case busReset = 0x2902
    case deviceReset = 0x2903
    case nexusLoss = 0x2907
    case modeParametersChanged = 0x2a01
    case reservationsPreempted = 0x2a03
    case reservationsReleased = 0x2a04
    case registrationsPreempted = 0x2a05
    case capacityDataHasChanged = 0x2a09
    case thinProvisioningSoftThresholdReached = 0x3807
    case savingParametersNotSupported = 0x3900
    case mediumNotPresent = 0x3a00
    case inquiryDataHasChanged = 0x3f03
    case reportedLUNsDataHasChanged = 0x3f0e
    case internalTargetFailure = 0x4400
    /// What iSCSI says of lost or damaged data of a command (RFC 7143 section 11.4.7.2).
    case protocolServiceCRCError = 0x4705
    case dataPhaseError = 0x4b00
    case mediumRemovalPrevented = 0x5302
    case insufficientRegistrationResources = 0x5504
}
