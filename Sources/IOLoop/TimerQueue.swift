internal import HeapModule

/// Names a timer that has been set, to cancel it.
public struct TimerID: Equatable, Hashable, Sendable {
    let serial: UInt64
}

/// The timers of a loop by deadline, owned by the loop. Setting and cancelling cost O(log n); there are a few for each
/// connection, none for each command.
struct TimerQueue {
    private struct Entry: Comparable {
        let deadline: UInt64
        let serial: UInt64

        static func < (left: Entry, right: Entry) -> Bool {
            (left.deadline, left.serial) < (right.deadline, right.serial)
        }
    }

    private struct Client {
        let handler: UInt32
        let tag: UInt32
    }

    private var heap = Heap<Entry>()
    // A cancelled timer leaves this map at once and the heap when its time comes.
    private var clients: [UInt64: Client] = [:]
    private var nextSerial: UInt64 = 1

    mutating func set(deadline: UInt64, handler: UInt32, tag: UInt32) -> TimerID {
        let serial = nextSerial
        nextSerial += 1
        heap.insert(Entry(deadline: deadline, serial: serial))
        clients[serial] = Client(handler: handler, tag: tag)
        return TimerID(serial: serial)
    }

    mutating func cancel(_ timer: TimerID) {
        clients[timer.serial] = nil
    }

    mutating func cancelAll(of handler: UInt32) {
        clients = clients.filter { $0.value.handler != handler }
    }

    /// When the next one runs out, in nanoseconds of the monotonic clock.
    mutating func nextDeadline() -> UInt64? {
        while let first = heap.min {
            if clients[first.serial] != nil { return first.deadline }
            heap.removeMin()
        }
        return nil
    }

    /// Takes one that has run out by `now`.
    mutating func takeExpired(now: UInt64) -> (handler: UInt32, tag: UInt32)? {
        guard let deadline = nextDeadline(), deadline <= now else { return nil }
        let entry = heap.removeMin()
        guard let client = clients.removeValue(forKey: entry.serial) else { return nil }
        return (client.handler, client.tag)
    }
}
