internal import IOLoop
internal import ISCSI
internal import Logging
internal import SystemPackage

/// What moves a task on: data that has arrived, a disk that has answered, a send that has ended.
extension Connection {
    /// Data of a write has arrived.
    func arrived(_ data: DataOut, _ basic: BasicHeader) {
        // Data of a task that was aborted meanwhile passes unseen.
        guard let slot = tasks.find(data.initiatorTaskTag), tasks[slot].pointee.write != nil else {
            return drop(basic)
        }
        let task = tasks[slot]
        // The answer is on its way; what was asked for before passes unseen.
        guard !task.pointee.isTerminated else { return drop(basic) }
        task.pointee.isSolicited = !data.isUnsolicited
        guard !task.pointee.hasLostData else {
            drop(basic)
            if data.final { respond(slot) }
            return
        }
        do throws(TransferFault) {
            guard let place = try task.pointee.write?.receive(data) else { return drop(basic) }
            let from = Int(place.offset &- task.pointee.bufferBase)
            let keep = Int(place.keep)
            guard keep == 0 || from + keep <= task.pointee.buffer?.capacity ?? 0 else { throw .burstTooLong }
            task.pointee.bufferEnd = max(task.pointee.bufferEnd, place.offset &+ place.keep)
            guard basic.dataBytes > 0 else { return segmentEnded(slot, final: data.final) }
            incoming = .data(
                DataSink(
                    target: keep > 0 ? task.pointee.buffer.map { $0.start + from } : nil, keep: keep,
                    drop: basic.dataBytes - keep, trailer: basic.dataLength(framing) - basic.dataBytes,
                    padding: basic.padding, task: slot, final: data.final))
        } catch {
            refuse(.protocolError, pendingHeaderBytes, closing: "\(error)")
        }
    }

    /// The command fails for want of its data. What still comes of it is dropped; with the end of the burst it answers.
    func loseData(_ slot: UInt16) {
        let task = tasks[slot]
        task.pointee.hasLostData = true
        task.pointee.status = .checkCondition
        task.pointee.sense = Sense(.abortedCommand, .protocolServiceCRCError)
    }

    /// A data segment of the task is complete.
    func segmentEnded(_ slot: UInt16, final: Bool) {
        let task = tasks[slot]
        task.pointee.movedAt = loop.now
        guard !task.pointee.isAborted else { return endIfIdle(slot) }
        guard !task.pointee.isTerminated else { return respond(slot) }
        if task.pointee.hasLostData {
            if final || task.pointee.command.final && !task.pointee.isSolicited { respond(slot) }
            return
        }
        proceed(slot)
    }

    /// Goes on with a task whose buffer is there: asks for its data, or runs it.
    func proceed(_ slot: UInt16) {
        let task = tasks[slot]
        guard !task.pointee.isAborted else { return endIfIdle(slot) }
        guard var write = task.pointee.write, !write.isComplete else {
            guard let fault = task.pointee.write?.fault else { return run(slot) }
            task.pointee.stage = .works
            return respond(slot, failing: fault.sense)
        }
        task.pointee.stage = .receives
        if write.nextRequest(upTo: room(of: task)) != nil {
            enqueue(slot, .requests)
        } else if write.isIdle {
            // The buffer is full, to whole blocks: it goes to the disk before the next burst comes.
            run(slot)
        }
    }

    /// Where, in the command's data, the task's buffer ends.
    private func room(of task: UnsafeMutablePointer<ServedTask>) -> UInt32 {
        task.pointee.bufferBase &+ UInt32(clamping: task.pointee.buffer?.capacity ?? 0)
    }

    /// The next burst to ask for, as far as the buffer has room.
    func nextRequest(_ task: UnsafeMutablePointer<ServedTask>) -> WriteTransfer.Request? {
        guard !task.pointee.isTerminated, var write = task.pointee.write,
            let request = write.nextRequest(upTo: room(of: task))
        else { return nil }
        task.pointee.write = write
        return request
    }

    /// The R2Ts have gone; perhaps the data has overtaken this news.
    func asked(_ slot: UInt16) {
        let task = tasks[slot]
        task.pointee.movedAt = loop.now
        if task.pointee.stage == .sends { task.pointee.stage = .receives }
        if task.pointee.isTerminated, !task.pointee.isAborted, task.pointee.stage == .receives {
            return isBeingReceived(slot) ? () : respond(slot)
        }
        // What a draining connection has asked for, it does not read any more.
        if isDraining, task.pointee.stage == .receives { task.pointee.isAborted = true }
        if task.pointee.isAborted { endIfIdle(slot) }
    }

    /// All that the buffer held has been sent.
    func drained(_ slot: UInt16) {
        let task = tasks[slot]
        task.pointee.stage = .works
        guard !task.pointee.isAborted else { return endIfIdle(slot) }
        var read = task.pointee.read
        if task.pointee.status == .good, read.next() != nil {
            run(slot)
        } else {
            enqueue(slot, .response)
        }
    }

    /// The disk has answered a request of the task.
    func diskAnswered(_ slot: UInt16, _ error: Errno?) {
        let task = tasks[slot]
        task.pointee.diskRequests -= 1
        if let error, task.pointee.sense == nil, !task.pointee.isTerminated {
            let reads = if case .read = task.pointee.work { true } else { false }
            if let unit = task.pointee.unit?.takeUnretainedValue(), let count = unit.failures.note(at: loop.now) {
                let what = task.pointee.work?.words ?? "command"
                let others = count > 1 ? "; \(count) commands have failed since the last line" : ""
                registry.log.error("\(who): \(unit.words): \(what) failed: \(error)\(others)")
            }
            task.pointee.status = .checkCondition
            task.pointee.sense = LogicalUnit.sense(error, writing: !reads)
        }
        guard task.pointee.diskRequests == 0 else { return }
        if task.pointee.isTerminated { comesToRest(slot) }
        if task.pointee.isAborted {
            leaveGate(task)
            endIfIdle(slot)
        } else if task.pointee.status == .good {
            advance(slot)
        } else {
            respond(slot)
        }
    }

    /// Ends the work with the task's status.
    func respond(_ slot: UInt16) {
        leaveGate(tasks[slot])
        enqueue(slot, .response)
    }

    /// Ends the work with a failure that the command itself has found.
    func respond(_ slot: UInt16, failing sense: Sense) {
        tasks[slot].pointee.status = .checkCondition
        tasks[slot].pointee.sense = sense
        respond(slot)
    }
}
