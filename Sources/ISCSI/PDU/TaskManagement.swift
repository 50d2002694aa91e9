/// What a task management request asks for (RFC 7143 section 11.5.1).
public enum TaskManagementFunction: UInt8, Sendable, CaseIterable {
    case abortTask = 1
    case abortTaskSet = 2
    case clearACA = 3
    case clearTaskSet = 4
    case logicalUnitReset = 5
    case targetWarmReset = 6
    case targetColdReset = 7
    case taskReassign = 8
}

/// How it went (RFC 7143 section 11.6.1).
public enum TaskManagementOutcome: UInt8, Sendable {
    case complete = 0
    case taskDoesNotExist = 1
    case lunDoesNotExist = 2
    case taskStillAllegiant = 3
    case reassignmentNotSupported = 4
    case notSupported = 5
    case authorizationFailed = 6
    case rejected = 255
}

/// Asks to end tasks or to reset a unit or the target (RFC 7143 section 11.5).
public struct TaskManagementRequest: Equatable, Sendable {
    public let immediate: Bool
    /// Nil for a function that RFC 7143 does not define.
    public let function: TaskManagementFunction?
    public let lun: LogicalUnitNumber
    public let initiatorTaskTag: UInt32
    /// The task to abort or to reassign; all ones otherwise.
    public let referencedTaskTag: UInt32
    public let cmdSN: UInt32
    public let expStatSN: UInt32
    /// CmdSN of the referenced task: if it is not before our ExpCmdSN, that task has never arrived.
    public let refCmdSN: UInt32
    public let expDataSN: UInt32

    public init(_ bytes: UnsafeRawBufferPointer) {
        let reader = ByteReader(bytes)
        immediate = reader.uint8(0) & 0x40 != 0
        function = TaskManagementFunction(rawValue: reader.uint8(1) & 0x7f)
        lun = LogicalUnitNumber(raw: reader.uint64(8))
        initiatorTaskTag = reader.uint32(16)
        referencedTaskTag = reader.uint32(20)
        cmdSN = reader.uint32(24)
        expStatSN = reader.uint32(28)
        refCmdSN = reader.uint32(32)
        expDataSN = reader.uint32(36)
    }

    /// The answer that needs no look at the tasks: functions that error recovery level 0 does not have.
    public var refusal: TaskManagementOutcome? {
        switch function {
        case .abortTask, .abortTaskSet, .clearTaskSet, .logicalUnitReset, .targetWarmReset, .targetColdReset: nil
        case .taskReassign: .reassignmentNotSupported
        case .clearACA: .notSupported
        case nil: .rejected
        }
    }
}

/// The target's answer, sent when the affected tasks have come to rest (RFC 7143 section 11.6).
public struct TaskManagementResponse: Equatable, Sendable {
    public var outcome: TaskManagementOutcome
    public var initiatorTaskTag: UInt32
    public var numbers: StatusNumbers

    public init(outcome: TaskManagementOutcome, initiatorTaskTag: UInt32, numbers: StatusNumbers) {
        self.outcome = outcome
        self.initiatorTaskTag = initiatorTaskTag
        self.numbers = numbers
    }

    /// Writes the 48 bytes of the header; no data follows.
    public func encode(into bytes: UnsafeMutableRawBufferPointer) {
        let writer = ByteWriter(clearing: bytes, count: BasicHeader.size)
        writer.uint8(0, TargetOpcode.taskManagement.rawValue)
        writer.uint8(1, 0x80)
        writer.uint8(2, outcome.rawValue)
        writer.uint32(16, initiatorTaskTag)
        numbers.write(writer)
    }
}
