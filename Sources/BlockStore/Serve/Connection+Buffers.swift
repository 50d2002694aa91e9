internal import IOLoop
internal import ISCSI
internal import Logging

/// Where tasks get their buffers, and how they wait for one: in line, or with the whole connection. Every wait ends: by
/// the connection's own tasks, by those of others, by a peer that is shown out for keeping what others need.
extension Connection {
    /// How often a connection that waits looks how long it has waited, and for whom.
    private static let lookInterval = Duration.milliseconds(500)

    var isStalled: Bool {
        if case .stalled = incoming { true } else { false }
    }

    /// Lends the task the buffer that it needs. False if it has to wait: the connection with it, when data for the task
    /// may come unasked.
    ///
    /// The connection must not wait while another of its tasks waits for data, which would come behind: then the
    /// command is turned away, and the initiator tries again.
    func provideBuffer(_ slot: UInt16, mayStall: Bool) -> Bool {
        let task = tasks[slot]
        // Who came before and waits has the first claim; only what needs less passes by.
        let bytes = bufferBytes(slot)
        let isFirst = waitingForBuffers.allSatisfy { bufferBytes($0) > bytes }
        if bytes == 0 || isFirst && takeBuffer(slot) { return true }
        if !answer.isEmpty, task.pointee.work == nil {
            // The place where answers are made is needed for the next.
            keptAnswers[slot] = answer
            answer.removeAll(keepingCapacity: true)
        }
        if mayStall {
            guard !expectsData(besides: slot) else {
                turnAway(slot, .taskSetFull)
                return true
            }
            incoming = .stalled(slot)
            stalledSince = loop.now
        } else {
            waitingForBuffers.append(slot)
        }
        task.pointee.stage = .awaitsBuffer
        beginWait()
        return false
    }

    /// Some task holds a buffer and has not all of its data, even if it is at work on the first of it.
    private func expectsData(besides own: UInt16) -> Bool {
        tasks.slots.contains { slot in
            let task = tasks[slot]
            guard slot != own, task.pointee.stage != .awaitsBuffer, let write = task.pointee.write else { return false }
            return !write.isComplete
        }
    }

    /// Gives a command up that has not begun; its data passes unseen.
    func turnAway(_ slot: UInt16, _ status: SCSIStatus) {
        let task = tasks[slot]
        task.pointee.status = status
        task.pointee.work = nil
        answer.removeAll(keepingCapacity: true)
        keptAnswers[slot] = nil
        task.pointee.read = ReadTransfer(task.pointee.command, available: 0, limits: transferLimits)
        guard task.pointee.write != nil else { return }
        // The same account, of a command that wants nothing: it was opened once without a fault.
        task.pointee.write = try? WriteTransfer(
            task.pointee.command, required: 0, limits: transferLimits, tagBase: UInt32(slot) << 8)
    }

    /// Bytes of the buffer that the task needs; 0 for none.
    private func bufferBytes(_ slot: UInt16) -> Int {
        let task = tasks[slot]
        if !keptAnswers.isEmpty, let kept = keptAnswers[slot] { return kept.count }
        if !answer.isEmpty, task.pointee.work == nil { return answer.count }
        if let write = task.pointee.write, write.wanted > 0 { return Int(write.wanted) }
        return Int(task.pointee.read.total)
    }

    /// Takes a buffer from the pool, within the connection's share; true also if none is needed.
    func takeBuffer(_ slot: UInt16) -> Bool {
        let bytes = bufferBytes(slot)
        guard bytes > 0 else { return true }
        let task = tasks[slot]
        guard let buffer = loop.buffers.take(min(bytes, loop.buffers.largest), of: &lent) else { return false }
        task.pointee.buffer = buffer
        task.pointee.movedAt = loop.now
        if !keptAnswers.isEmpty, let kept = keptAnswers.removeValue(forKey: slot) {
            buffer.bytes().copyBytes(from: kept)
            task.pointee.bufferEnd = UInt32(kept.count)
        } else if !answer.isEmpty, task.pointee.work == nil {
            buffer.bytes().copyBytes(from: answer)
            task.pointee.bufferEnd = UInt32(answer.count)
            answer.removeAll(keepingCapacity: true)
        }
        return true
    }

    // MARK: Waiting

    private func beginWait() {
        loop.callWhenBuffersReturn(self)
        guard lookTimer == nil else { return }
        starvingSince = loop.now
        lookTimer = loop.setTimer(after: Self.lookInterval, for: self, tag: Tag.look)
    }

    /// Buffers have come back to the pool: those who wait for one go on, in their order.
    func takeReturnedBuffers() {
        guard phase == .fullFeature else { return }
        // The connection first: data of those who wait in line would come behind what it waits with.
        if case .stalled(let slot) = incoming {
            guard takeBuffer(slot) else { return loop.callWhenBuffersReturn(self) }
            starvingSince = loop.now
            endStall(slot)
        }
        let line = waitingForBuffers
        waitingForBuffers.removeAll()
        var refused = Int.max
        for slot in line {
            let bytes = bufferBytes(slot)
            if bytes < refused, !isStalled, takeBuffer(slot) {
                starvingSince = loop.now
                proceed(slot)
            } else {
                refused = min(refused, bytes)
                waitingForBuffers.append(slot)
            }
        }
        if !waitingForBuffers.isEmpty { loop.callWhenBuffersReturn(self) }
    }

    /// The connection reads on, with the data of the task that it has waited with.
    private func endStall(_ slot: UInt16) {
        incoming = .header
        receiveImmediate(slot, BasicHeader(pendingHeaderBytes))
        deliverHeld()
        loop.callAtBatchEnd(self)
    }

    /// A connection that waits looks around: it must not be deaf for long, since pings and aborts come behind what it
    /// waits with; and nobody may keep for himself what it waits for.
    func lookAround() {
        lookTimer = nil
        guard phase == .fullFeature, isStalled || !waitingForBuffers.isEmpty else { return }
        if case .stalled(let slot) = incoming, hasPassed(registry.limits.deafness, since: stalledSince) {
            turnAway(slot, .taskSetFull)
            endStall(slot)
        } else if hasPassed(registry.limits.stall, since: starvingSince) {
            registry.closeStuck(besides: self)
        }
        lookTimer = loop.setTimer(after: Self.lookInterval, for: self, tag: Tag.look)
    }

    private func hasPassed(_ limit: Duration, since time: UInt64) -> Bool {
        Duration.nanoseconds(Int64(clamping: loop.now &- min(time, loop.now))) >= limit
    }

    /// It holds buffers whose contents its initiator does not fetch, or for which it does not send: a task has not
    /// moved for so long, and it is not the disk that keeps it.
    func isStuck(for limit: Duration) -> Bool {
        guard phase == .fullFeature || phase == .leaving, !lent.isEmpty else { return false }
        if isSending, hasPassed(limit, since: sentAt) { return true }
        return tasks.slots.contains { slot in
            let task = tasks[slot]
            guard task.pointee.stage == .receives, task.pointee.buffer != nil else { return false }
            return hasPassed(limit, since: task.pointee.movedAt)
        }
    }
}
