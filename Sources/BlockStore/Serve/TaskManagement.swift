internal import ISCSI

/// Task management (RFC 7143 section 11.5): every function is answered only when the tasks it concerns have come to
/// rest, so that nothing of them is written afterwards.
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
        guard let slot = tasks.find(request.referencedTaskTag), tasks[slot].pointee.command.lun == request.lun else {
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
            let own = other === session
            // ABORT TASK SET concerns the own nexus only; the others everyone's tasks.
            guard own || request.function != .abortTaskSet else { continue }
            let aborted = other.connection.abortTasks(on: link.unit, quiesce)
            if !own, aborted, request.function == .clearTaskSet, let nexus = other.unit(link.unit.number)?.nexus {
                link.unit.server.raise(.commandsCleared, for: nexus)
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
            for unit in target.units.values { _ = other.connection.abortTasks(on: unit, quiesce) }
        }
        for unit in target.units.values { unit.server.reset() }
        quiesce.begin()
    }

    /// Aborts this connection's tasks on a unit. True if there were any.
    func abortTasks(on unit: LogicalUnit, _ quiesce: Quiesce?) -> Bool {
        var found = false
        for slot in tasks.slots where tasks.contains(slot) && tasks[slot].pointee.isOn(unit) {
            found = true
            abort(slot, quiesce)
        }
        return found
    }

    /// PREEMPT AND ABORT: the tasks of these nexuses of the unit end.
    func abortTasks(of nexuses: [Int], on unit: LogicalUnit) {
        guard let target = session?.target else { return }
        for other in registry.sessions(of: target) {
            guard let link = other.unit(unit.number), nexuses.contains(link.nexus) else { continue }
            _ = other.connection.abortTasks(on: unit, nil)
        }
    }
}
