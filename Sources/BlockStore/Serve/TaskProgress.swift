internal import IOLoop
internal import ISCSI
internal import Logging
internal import SystemPackage

/// What moves a task on: data that has arrived, a disk that has answered, a send that has ended. And its end.
extension Connection {
    /// Data of a write has arrived.
    func arrived(_ data: DataOut, _ basic: BasicHeader) {
        // Data of a task that was aborted meanwhile passes unseen.
        guard let slot = tasks.find(data.initiatorTaskTag), tasks[slot].pointee.write != nil else {
            return drop(basic)
        }
        let task = tasks[slot]
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
        guard !task.pointee.isAborted else { return endIfIdle(slot) }
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
        guard var write = task.pointee.write, let request = write.nextRequest(upTo: room(of: task)) else { return nil }
        task.pointee.write = write
        return request
    }

    /// The R2Ts have gone; perhaps the data has overtaken this news.
    func asked(_ slot: UInt16) {
        let task = tasks[slot]
        if task.pointee.stage == .sends { task.pointee.stage = .receives }
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
        if let error, task.pointee.sense == nil {
            let reads = if case .read = task.pointee.work { true } else { false }
            if let unit = task.pointee.unit?.takeUnretainedValue(), let count = unit.failures.note(at: loop.now) {
                let name = "\(unit.server.profile.targetName) LUN \(unit.number)"
                registry.log.error("\(name) (\(unit.disk.health.name)): \(error); commands failed: \(count)")
            }
            task.pointee.status = .checkCondition
            task.pointee.sense = LogicalUnit.sense(error, writing: !reads)
        }
        guard task.pointee.diskRequests == 0 else { return }
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

    // MARK: The end

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

    /// The unit is being taken away: tasks on it that wait for their data fail; those at work come to their end.
    func leave(_ unit: LogicalUnit) {
        for slot in tasks.slots where tasks.contains(slot) && tasks[slot].pointee.isOn(unit) {
            let stage = tasks[slot].pointee.stage
            guard stage == .receives || stage == .awaitsBuffer, !tasks[slot].pointee.isQueued else { continue }
            var isReceived = false
            if case .data(let sink) = incoming { isReceived = sink.task == slot }
            if stage == .receives, !isReceived {
                respond(slot, failing: .unsupportedUnit)
            } else {
                abort(slot)
            }
        }
    }

    /// Has a task end without an answer: at once, or when the disk and the kernel have let go of its memory.
    func abort(_ slot: UInt16, _ quiesce: Quiesce? = nil) {
        let task = tasks[slot]
        if let quiesce {
            quiesce.add()
            quiescing[slot, default: []].append(quiesce)
        }
        task.pointee.isAborted = true
        if task.pointee.stage == .awaitsBuffer {
            waitingForBuffers.removeAll { $0 == slot }
            if case .stalled(slot) = incoming {
                incoming = .header
                drop(BasicHeader(pendingHeaderBytes))
                answer.removeAll(keepingCapacity: true)
                endIfIdle(slot)
                return parse()
            }
        }
        endIfIdle(slot)
    }

    /// Ends an aborted task if nothing holds its memory.
    func endIfIdle(_ slot: UInt16) {
        let task = tasks[slot]
        guard task.pointee.isAborted, task.pointee.diskRequests == 0 else { return }
        if phase == .closing {
            guard !isSending else { return }
        } else {
            guard !task.pointee.isQueued, task.pointee.stage != .sends else { return }
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
        retire(task)
        if task.pointee.hold == .none {
            task.pointee.unit?._withUnsafeGuaranteedRef { $0.gate.withdraw(self, slot) }
        }
        leaveGate(task)
        if let buffer = task.pointee.buffer { loop.buffers.give(buffer) }
        if let buffer = task.pointee.second { loop.buffers.give(buffer) }
        let unit = task.pointee.unit
        tasks.remove(slot)
        unit?._withUnsafeGuaranteedRef { $0.taskEnded() }
        if !quiescing.isEmpty {
            for quiesce in quiescing.removeValue(forKey: slot) ?? [] { quiesce.taskEnded() }
        }
        if phase == .closing { taskEnded() } else if isDraining { closeIfDrained() }
    }
}
