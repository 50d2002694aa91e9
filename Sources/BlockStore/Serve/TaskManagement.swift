internal import ISCSI

/// Task management (RFC 7143 section 11.5): every function is answered only when the tasks it concerns have come to
/// rest, so that nothing of them is written afterwards.
///
/// Tasks of the nexus that asks end without a word. Those of others end with the status TASK ABORTED, as the TAS bit of
/// the control mode page says (SAM-5 section 5.6): their initiators would wait for nothing otherwise.
extension Connection {
    func perform(_ request: TaskManagementRequest) {
        if let refusal = request.refusal { return answer(request, refusal) }
        switch request.function {
        case .abortTask:
            abortTask(request)
        case .abortTaskSet, .clearTaskSet, .logicalUnitReset:
            guard let link = request.lun.number.flatMap({ session?.unit($0) }) else {
                return answer(request, .lunDoesNotExist)
            }
            onUnit(request, link)
        case .targetWarmReset, .targetColdReset:
            resetTarget(request)
        case .clearACA, .taskReassign, nil:
            answer(request, .notSupported)
        }
    }

    private func answer(_ request: TaskManagementRequest, _ outcome: TaskManagementOutcome) {
        let response = TaskManagementResponse(
            outcome: outcome, initiatorTaskTag: request.initiatorTaskTag, numbers: window.numbers(statSN: 0))
        enqueue(ControlPDU(kind: .taskManagement(response), retires: request.immediate))
    }

    private func abortTask(_ request: TaskManagementRequest) {
        let found = tasks.find(request.referencedTaskTag) ?? tasks.findAborted(request.referencedTaskTag)
        guard let slot = found, tasks[slot].pointee.command.lun == request.lun else {
            // A task that has not come yet must not run when it comes; on one connection it cannot come any more
            // unless it is ahead of the request, and then it counts as aborted (section 11.5.5).
            let ahead = SerialNumber(request.refCmdSN).distance(after: window.expCmdSN)
            return answer(request, ahead >= 0 && !request.immediate ? .complete : .taskDoesNotExist)
        }
        let quiesce = Quiesce { [self] in answer(request, .complete) }
        abort(slot, quiesce)
        quiesce.begin()
    }

    private func onUnit(_ request: TaskManagementRequest, _ link: Session.Link) {
        let quiesce = Quiesce { [self] in answer(request, .complete) }
        let sessions = session?.target.map { registry.sessions(of: $0) } ?? []
        for other in sessions {
            if other === session {
                abortTasks(on: link.unit, quiesce)
            } else if request.function != .abortTaskSet {
                // ABORT TASK SET concerns the own nexus only; the others everyone's tasks.
                other.connection.terminateTasks(on: link.unit, quiesce)
            }
        }
        if request.function == .logicalUnitReset { link.unit.server.reset() }
        quiesce.begin()
    }

    private func resetTarget(_ request: TaskManagementRequest) {
        guard let target = session?.target else { return answer(request, .complete) }
        let isCold = request.function == .targetColdReset
        let sessions = registry.sessions(of: target)
        let quiesce = Quiesce { [self] in
            answer(request, .complete)
            // A cold reset ends every session, this one after the answer.
            guard isCold else { return }
            for other in sessions where other !== session { other.connection.close() }
            enqueue(
                ControlPDU(
                    kind: .asynchronous(
                        AsyncMessage(event: .dropSession(wait: 0, retain: 0), numbers: window.numbers(statSN: 0))),
                    sequel: .closes))
        }
        for other in sessions {
            for unit in target.units.values {
                if other === session {
                    abortTasks(on: unit, quiesce)
                } else {
                    other.connection.terminateTasks(on: unit, quiesce)
                }
            }
        }
        for unit in target.units.values { unit.server.reset() }
        quiesce.begin()
    }

    /// Aborts this connection's tasks on a unit.
    private func abortTasks(on unit: LogicalUnit, _ quiesce: Quiesce) {
        for slot in tasks.slots where tasks.contains(slot) && tasks[slot].pointee.isOn(unit) {
            abort(slot, quiesce)
        }
    }

    /// Another nexus has this connection's tasks on a unit aborted.
    private func terminateTasks(on unit: LogicalUnit, _ quiesce: Quiesce) {
        for slot in tasks.slots where tasks.contains(slot) && tasks[slot].pointee.isOn(unit) {
            terminate(slot, .taskAborted, nil, quiesce)
        }
    }

    /// PREEMPT AND ABORT: the tasks of these nexuses of the unit end, and the command with the last of them: whoever
    /// has its answer relies on nothing of them being written any more.
    func endPreempting(_ slot: UInt16, _ nexuses: [Int], on unit: LogicalUnit) {
        tasks[slot].pointee.diskRequests += 1
        let quiesce = Quiesce { [self] in diskAnswered(slot, nil) }
        for other in session?.target.map({ registry.sessions(of: $0) }) ?? [] {
            guard let link = other.unit(unit.number), nexuses.contains(link.nexus) else { continue }
            other.connection.terminateTasks(on: unit, quiesce)
        }
        quiesce.begin()
    }
}
