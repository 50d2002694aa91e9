internal import CNetlink
internal import SystemPackage

extension NetlinkSocket {
    /// Sends messages one after the other, and reads the kernel's outcome of each.
    ///
    /// They are pipelined in windows whose acknowledgements fit the receive buffer. Each message stands for itself: the
    /// kernel goes on after a failure.
    /// - Parameter onReply: gets each message of data that answers a request (a `get` of one object), with the index of
    ///   that request.
    /// - Returns: one entry per message, in order; nil where it succeeded.
    /// - Throws: what befalls the socket as a whole; outcomes of the messages are then unknown.
    public mutating func request(
        _ batch: MessageWriter, onReply: (Int, Message) -> Void = { _, _ in }
    ) throws(NetlinkError) -> [NetlinkError?] {
        var batch = batch
        let first = takeSequences(batch.count)
        for index in 0..<batch.count { batch.stamp(index, sequence: first + UInt32(index), acknowledge: true) }
        var replies = Replies(first: first, count: batch.count)
        var sent = 0
        while sent < batch.count {
            let part = nextWindow(of: batch, from: sent)
            let operation = batch.marks[sent].operation
            try send(batch, part, operation)
            while replies.open(in: part) {
                try receive(operation: operation) { (message) throws(NetlinkError) in
                    try replies.note(message, of: batch, onReply)
                }
            }
            sent = part.upperBound
        }
        return replies.outcomes
    }

    /// Sends one message; throws if the kernel refuses it.
    public mutating func request(one batch: MessageWriter, about subject: String = "") throws(NetlinkError) {
        for case let error? in try request(batch) { throw error.about(subject) }
    }

    /// Sends a batch that the kernel commits as a whole or not at all (nfnetlink), as one datagram.
    ///
    /// The batch begins with NFNL_MSG_BATCH_BEGIN and ends with NFNL_MSG_BATCH_END; messages lie between. Success is
    /// not acknowledged message by message: the last message between them is marked, and the kernel answers it last.
    /// Refused messages are answered each. Refusal of the whole (ERESTART of a stale generation id, EPERM, a failed
    /// commit) comes for the begin message.
    /// - Parameter isEnded: whether the batch has an end. Without one the kernel checks every message, and answers, but
    ///   commits nothing.
    /// - Returns: the refusals by index of the message, in order; empty if the batch was committed.
    public mutating func transaction(
        _ batch: MessageWriter, isEnded: Bool = true
    ) throws(NetlinkError) -> [(index: Int, error: NetlinkError)] {
        precondition(batch.count >= (isEnded ? 3 : 2), "a transaction has a begin, an end and something between")
        var batch = batch
        let first = takeSequences(batch.count)
        let last = batch.count - (isEnded ? 2 : 1)
        for index in 0..<batch.count {
            batch.stamp(index, sequence: first + UInt32(index), acknowledge: index == last)
        }
        let operation = batch.marks[1].operation
        if batch.bytes.count > window.bytes { growSendBuffer(to: batch.bytes.count) }
        try send(batch, 0..<batch.count, operation)
        var replies = Replies(first: first, count: batch.count)
        while !replies.isAnswered(last), !replies.isAnswered(0) {
            try receive(operation: operation) { (message) throws(NetlinkError) in
                try replies.note(message, of: batch) { _, _ in }
            }
        }
        // The kernel queued all answers within the send, so what is left is there already.
        try drain(into: &replies, of: batch, operation)
        return replies.outcomes.enumerated().compactMap { index, error in error.map { (index, $0) } }
    }

    private mutating func drain(
        into replies: inout Replies, of batch: MessageWriter, _ operation: StaticString
    ) throws(NetlinkError) {
        while true {
            do throws(NetlinkError) {
                try receive(operation: operation, timeout: 0) { (message) throws(NetlinkError) in
                    try replies.note(message, of: batch) { _, _ in }
                }
            } catch {
                if error.cause == .timedOut { return }
                throw error
            }
        }
    }

    private func nextWindow(of batch: MessageWriter, from start: Int) -> Range<Int> {
        var end = start
        var bytes = 0
        while end < batch.count, end - start < window.messages {
            bytes += batch.range(of: end).count
            if bytes > window.bytes, end > start { break }
            end += 1
        }
        return start..<end
    }

    private func send(_ batch: MessageWriter, _ part: Range<Int>, _ operation: StaticString) throws(NetlinkError) {
        let range = batch.range(of: part.lowerBound).lowerBound..<batch.range(of: part.upperBound - 1).upperBound
        do throws(Errno) {
            try send(batch.bytes, range)
        } catch {
            throw NetlinkError(operation: "\(operation)", cause: .system(error))
        }
    }
}

/// The answers to one batch, matched by sequence number.
private struct Replies {
    let first: UInt32
    private(set) var outcomes: [NetlinkError?]
    private var answered: [Bool]
    private var answeredCount = 0

    init(first: UInt32, count: Int) {
        self.first = first
        outcomes = Array(repeating: nil, count: count)
        answered = Array(repeating: false, count: count)
    }

    func isAnswered(_ index: Int) -> Bool { answered[index] }

    /// Whether a message up to the end of this window is unanswered. Windows are answered in order.
    func open(in window: Range<Int>) -> Bool { answeredCount < window.upperBound }

    mutating func note(
        _ message: Message, of batch: MessageWriter, _ onReply: (Int, Message) -> Void
    ) throws(NetlinkError) {
        // An answer to an earlier request that timed out, or a notification: not ours.
        guard message.sequence >= first else { return }
        let index = Int(message.sequence - first)
        guard index < outcomes.count else { return }
        guard message.type == UInt16(NLMSG_ERROR) else {
            onReply(index, message)
            return
        }
        guard let answer = Acknowledgement(message) else {
            throw NetlinkError(operation: "\(batch.marks[index].operation)", cause: .malformed)
        }
        if !answered[index] {
            answered[index] = true
            answeredCount += 1
        }
        if let cause = answer.cause {
            outcomes[index] = NetlinkError(operation: "\(batch.marks[index].operation)", cause: cause)
        }
    }
}
