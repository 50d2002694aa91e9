/// The order of a session's commands (RFC 7143 section 4.2.2.1): which may run now, which wait for an earlier one,
/// which are not to be heard of. Owned by the session.
///
/// The window is a credit: it opens by one when a command has been answered (`retire`), not when it has arrived, so
/// that never more than `limit` commands of one session are under way.
public struct CommandWindow: Equatable, Sendable {
    /// Commands that one session may have under way, and the number of slots that a caller keeps for held ones.
    public static let limit = 128
    /// Immediate commands that one session may have under way; they pass outside the window.
    public static let immediateLimit = 16

    /// What to do with a command that has arrived.
    public enum Admission: Equatable, Sendable {
        /// Run it; then ask `takeHeld` until it gives nil.
        case deliver
        /// An earlier one is missing: keep the command in this slot (0 to 127), it is free.
        case hold(slot: Int)
        /// Outside the window, or seen already: drop it and say nothing (section 4.2.2.1).
        case ignore
        /// Too many immediate commands under way: answer with a reject of that reason.
        case refuse
    }

    /// The next command in order.
    public private(set) var expCmdSN: SerialNumber
    /// The last command that the initiator may send. Never goes back.
    public private(set) var maxCmdSN: SerialNumber
    /// The last MaxCmdSN that the initiator was told.
    private var toldCmdSN: SerialNumber
    private var immediateCount = 0
    // One bit for each slot, at CmdSN modulo 128.
    private var heldLow: UInt64 = 0
    private var heldHigh: UInt64 = 0

    /// - Parameter first: CmdSN of the login that opened the session.
    public init(first: UInt32) {
        expCmdSN = SerialNumber(first)
        maxCmdSN = SerialNumber(first &+ UInt32(Self.limit - 1))
        // The login's answers carry it.
        toldCmdSN = maxCmdSN
    }

    /// Judges a command by its number.
    public mutating func admit(cmdSN: UInt32, immediate: Bool) -> Admission {
        if immediate {
            guard immediateCount < Self.immediateLimit else { return .refuse }
            immediateCount += 1
            return .deliver
        }
        let number = SerialNumber(cmdSN)
        let ahead = number.distance(after: expCmdSN)
        guard ahead >= 0, number.distance(after: maxCmdSN) <= 0 else { return .ignore }
        if ahead == 0 {
            expCmdSN = expCmdSN + 1
            return .deliver
        }
        let slot = Int(cmdSN % UInt32(Self.limit))
        guard !isHeld(slot) else { return .ignore }
        setHeld(slot, true)
        return .hold(slot: slot)
    }

    /// The slot of the held command whose turn it is now; it is free afterwards.
    public mutating func takeHeld() -> Int? {
        let slot = Int(expCmdSN.value % UInt32(Self.limit))
        guard isHeld(slot) else { return nil }
        setHeld(slot, false)
        expCmdSN = expCmdSN + 1
        return slot
    }

    /// A command has been answered or dropped for good: the initiator may send one more.
    /// - Parameter immediate: as it was admitted.
    public mutating func retire(immediate: Bool) {
        if immediate {
            precondition(immediateCount > 0, "an immediate command ended twice")
            immediateCount -= 1
        } else {
            precondition(maxCmdSN.distance(after: expCmdSN) < Self.limit - 1, "a command ended twice")
            maxCmdSN = maxCmdSN + 1
        }
    }

    /// The initiator has used up all that it was told of, and there is room: if no answer tells it, it waits for ever.
    public var isSecretlyOpen: Bool { toldCmdSN < expCmdSN && toldCmdSN < maxCmdSN }

    /// The numbers for a PDU that goes out now: the initiator learns of the room that there is.
    public mutating func tell(statSN: UInt32) -> StatusNumbers {
        toldCmdSN = maxCmdSN
        return numbers(statSN: statSN)
    }

    /// The numbers for an answer that carries `statSN`.
    public func numbers(statSN: UInt32) -> StatusNumbers {
        StatusNumbers(statSN: statSN, expCmdSN: expCmdSN.value, maxCmdSN: maxCmdSN.value)
    }

    private func isHeld(_ slot: Int) -> Bool {
        (slot < 64 ? heldLow >> UInt64(slot) : heldHigh >> UInt64(slot - 64)) & 1 != 0
    }

    private mutating func setHeld(_ slot: Int, _ held: Bool) {
        let bit = UInt64(1) << UInt64(slot & 63)
        if slot < 64 {
            heldLow = held ? heldLow | bit : heldLow & ~bit
        } else {
            heldHigh = held ? heldHigh | bit : heldHigh & ~bit
        }
    }
}
