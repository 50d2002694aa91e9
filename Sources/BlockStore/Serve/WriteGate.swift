internal import DequeModule

/// Keeps commands that read, decide and write (COMPARE AND WRITE, ORWRITE) apart from other writes to the same unit.
/// Owned by the unit.
///
/// Any number of writers, or one that is alone; who cannot enter waits in line.
struct WriteGate {
    /// How a task stands to the gate.
    enum Hold: UInt8 {
        case none
        case shared
        case alone
    }

    struct Waiter {
        let connection: Connection
        let slot: UInt16
    }

    private var writers = 0
    private var isTaken = false
    private var line = Deque<Waiter>()

    /// Enters, or joins the line. A write that nobody disturbs costs two comparisons.
    mutating func enter(_ hold: Hold, _ connection: Connection, _ slot: UInt16) -> Bool {
        guard line.isEmpty, mayEnter(hold) else {
            line.append(Waiter(connection: connection, slot: slot))
            return false
        }
        take(hold)
        return true
    }

    private func mayEnter(_ hold: Hold) -> Bool {
        hold == .alone ? writers == 0 && !isTaken : !isTaken
    }

    private mutating func take(_ hold: Hold) {
        if hold == .alone { isTaken = true } else { writers += 1 }
    }

    mutating func leave(_ hold: Hold) {
        if hold == .alone { isTaken = false } else { writers -= 1 }
    }

    /// The next in line, if it may enter now; it has entered then.
    mutating func next(wanting: (Waiter) -> Hold) -> Waiter? {
        guard let first = line.first, mayEnter(wanting(first)) else { return nil }
        take(wanting(first))
        return line.removeFirst()
    }

    /// Leaves the line.
    mutating func withdraw(_ connection: Connection, _ slot: UInt16) {
        guard !line.isEmpty else { return }
        line.removeAll { $0.connection === connection && $0.slot == slot }
    }
}
