internal import IOLoop
internal import ISCSI

/// How tasks end that do not end by themselves: aborted without an answer, or terminated with one; and the end itself.
extension Connection {
    /// Takes no further request, lets running tasks end and answer, and closes then. Tasks that wait for the initiator
    /// end at once.
    func drain() {
        guard phase == .fullFeature, !isDraining else { return phase == .login ? close() : () }
        isDraining = true
        phase = .leaving
        for slot in tasks.slots where tasks.contains(slot) {
            let stage = tasks[slot].pointee.stage
            if stage == .receives || stage == .awaitsBuffer { abort(slot) }
        }
        closeIfDrained()
    }

    /// Closes a draining connection once no task of it has anything to say. One that is still here may wait for the
    /// rest of a segment, which the initiator need never send: only the closing ends that.
    private func closeIfDrained() {
        if tasks.slots.allSatisfy({ tasks[$0].pointee.isAborted }) { close() }
    }

    /// The unit is being taken away: tasks on it that need data from the initiator fail; those at work come to their
    /// end.
    func leave(_ unit: LogicalUnit) {
        for slot in tasks.slots where tasks.contains(slot) && tasks[slot].pointee.isOn(unit) {
            let task = tasks[slot]
            let stage = task.pointee.stage
            let isWaiting = stage == .awaitsBuffer || stage == .receives || isBeingReceived(slot)
            guard isWaiting || task.pointee.write?.isComplete == false else { continue }
            terminate(slot, .checkCondition, .unsupportedUnit)
        }
    }

    /// Settles the status of a task from without. It answers as soon as the disk has let go of its memory and the
    /// segment that is being received for it is through.
    /// - Parameter quiesce: hears when the disk does nothing for it any more. It does not wait for the initiator, which
    ///   may have fallen silent.
    func terminate(_ slot: UInt16, _ status: SCSIStatus, _ sense: Sense? = nil, _ quiesce: Quiesce? = nil) {
        let task = tasks[slot]
        if let quiesce, task.pointee.diskRequests > 0 {
            quiesce.add()
            quiescing[slot, default: []].append(quiesce)
        }
        let hasAnswer = task.pointee.isRetired || task.pointee.isQueued && task.pointee.output == .response
        guard !task.pointee.isAborted, !task.pointee.isTerminated, !hasAnswer else { return }
        task.pointee.isTerminated = true
        task.pointee.status = status
        task.pointee.sense = sense
        guard task.pointee.diskRequests == 0, !isBeingReceived(slot) else { return }
        switch task.pointee.stage {
        case .awaitsBuffer:
            leaveLine(slot)
            respond(slot)
        case .receives: respond(slot)
        case .works:
            task.pointee.unit?._withUnsafeGuaranteedRef { $0.gate.withdraw(self, slot) }
            respond(slot)
        // The end of the send brings it on.
        case .sends, .free: break
        }
    }

    /// The rest of a segment of the task's data is to come, or is on its way into the task's buffer.
    func isBeingReceived(_ slot: UInt16) -> Bool {
        if case .data(let sink) = incoming { sink.task == slot } else { false }
    }

    /// Nothing is done for the task's data any more.
    func comesToRest(_ slot: UInt16) {
        guard !quiescing.isEmpty else { return }
        for quiesce in quiescing.removeValue(forKey: slot) ?? [] { quiesce.taskEnded() }
    }

    /// Has a task end without an answer: at once, or when the disk and the kernel have let go of its memory.
    func abort(_ slot: UInt16, _ quiesce: Quiesce? = nil) {
        let task = tasks[slot]
        if let quiesce {
            quiesce.add()
            quiescing[slot, default: []].append(quiesce)
        }
        task.pointee.isAborted = true
        if task.pointee.stage == .awaitsBuffer { leaveLine(slot) }
        endIfIdle(slot)
    }

    /// Waits for a buffer no more. Where the connection has waited with it, it lets the data pass and reads on.
    private func leaveLine(_ slot: UInt16) {
        waitingForBuffers.removeAll { $0 == slot }
        tasks[slot].pointee.stage = .works
        guard case .stalled(slot) = incoming else { return }
        incoming = .header
        drop(BasicHeader(pendingHeaderBytes))
        loop.callAtBatchEnd(self)
    }

    /// Ends an aborted task if nothing holds its memory.
    func endIfIdle(_ slot: UInt16) {
        let task = tasks[slot]
        guard task.pointee.isAborted, task.pointee.diskRequests == 0 else { return }
        if phase == .closing {
            guard !isSending else { return }
        } else {
            guard !task.pointee.isQueued, !task.pointee.isInFlight else { return }
        }
        // While the connection reads, the rest of the segment goes where its first bytes went; afterwards only a
        // receive in flight can still write there.
        if case .data(let sink) = incoming, sink.task == slot {
            guard phase != .fullFeature, !isReceiving else { return }
        }
        end(slot)
    }

    /// Takes the task out of the table and gives back all that it has.
    func end(_ slot: UInt16) {
        let task = tasks[slot]
        // Without an answer nobody tells the initiator of its place in the window.
        if !task.pointee.isRetired { loop.callAtBatchEnd(self) }
        retire(task)
        if task.pointee.hold == .none {
            task.pointee.unit?._withUnsafeGuaranteedRef { $0.gate.withdraw(self, slot) }
        }
        leaveGate(task)
        if let buffer = task.pointee.buffer { loop.buffers.give(buffer, to: &lent) }
        if let buffer = task.pointee.second { loop.buffers.give(buffer) }
        if !keptAnswers.isEmpty { keptAnswers[slot] = nil }
        let unit = task.pointee.unit
        tasks.remove(slot)
        unit?._withUnsafeGuaranteedRef { $0.taskEnded() }
        comesToRest(slot)
        if phase == .closing { taskEnded() } else if isDraining { closeIfDrained() }
    }
}
