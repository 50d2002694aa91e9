/// What an initiator sends (RFC 7143 section 11.2.1.2), by the low six bits of a header's first byte.
public enum InitiatorOpcode: UInt8, Sendable, CaseIterable {
    case nopOut = 0x00
    case scsiCommand = 0x01
    case taskManagement = 0x02
    case login = 0x03
    case text = 0x04
    case dataOut = 0x05
    case logout = 0x06
    case snack = 0x10
}

/// What a target sends.
public enum TargetOpcode: UInt8, Sendable, CaseIterable {
    case nopIn = 0x20
    case scsiResponse = 0x21
    case taskManagement = 0x22
    case login = 0x23
    case text = 0x24
    case dataIn = 0x25
    case logout = 0x26
    case readyToTransfer = 0x31
    case asyncMessage = 0x32
    case reject = 0x3f
}
