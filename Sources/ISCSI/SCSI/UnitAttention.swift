/// What a logical unit has to tell each nexus once (SAM-5 section 5.14). The order is the order of telling: what makes
/// an initiator forget everything comes before what changes a detail.
public enum UnitAttention: UInt8, Sendable, CaseIterable {
    case powerOn
    case logicalUnitReset
    case nexusLoss
    case mediumMayHaveChanged
    case reservationsPreempted
    case reservationsReleased
    case registrationsPreempted
    case modeParametersChanged
    case capacityChanged
    case inquiryDataChanged
    case reportedLUNsChanged
    case thinThresholdReached

    public var code: AdditionalSense {
        switch self {
        case .powerOn: .powerOnOrReset
        case .logicalUnitReset: .deviceReset
        case .nexusLoss: .nexusLoss
        case .mediumMayHaveChanged: .mediumMayHaveChanged
        case .reservationsPreempted: .reservationsPreempted
        case .reservationsReleased: .reservationsReleased
        case .registrationsPreempted: .registrationsPreempted
        case .modeParametersChanged: .modeParametersChanged
        case .capacityChanged: .capacityDataHasChanged
        case .inquiryDataChanged: .inquiryDataHasChanged
        case .reportedLUNsChanged: .reportedLUNsDataHasChanged
        case .thinThresholdReached: .thinProvisioningSoftThresholdReached
        }
    }
}

/// The attentions that one nexus has not heard yet: a set of bits, so that the question "any?" costs nothing.
public struct UnitAttentions: Equatable, Sendable {
    private var bits: UInt32 = 0

    public init(_ attentions: [UnitAttention] = []) {
        for attention in attentions { raise(attention) }
    }

    public var isEmpty: Bool { bits == 0 }

    /// A reset supersedes what was to be told about the state before it.
    public mutating func raise(_ attention: UnitAttention) {
        if attention == .powerOn { bits = 0 }
        bits |= 1 << UInt32(attention.rawValue)
    }

    /// The next to be told; it is told now.
    public mutating func take() -> UnitAttention? {
        guard let attention = UnitAttention(rawValue: UInt8(bits.trailingZeroBitCount)) else { return nil }
        bits &= bits - 1
        return attention
    }

    public mutating func withdraw(_ attention: UnitAttention) {
        bits &= ~(1 << UInt32(attention.rawValue))
    }
}
