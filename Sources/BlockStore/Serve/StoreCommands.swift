internal import IOLoop
internal import ISCSI
internal import SystemPackage

/// The commands that the disk performs: what each asks of it, and how it goes on when the disk has answered.
extension Connection {
    /// Runs a task whose buffer holds the data that the step needs.
    func run(_ slot: UInt16) {
        let task = tasks[slot]
        task.pointee.stage = .works
        guard let work = task.pointee.work, let unit = task.pointee.unit?.takeUnretainedValue() else {
            // The device server has answered already.
            return enqueue(slot, task.pointee.read.total > 0 && task.pointee.status == .good ? .data : .response)
        }
        if task.pointee.isParameters { return finishParameters(slot, work, unit) }
        let wanted = gate(for: work)
        if wanted != .none, task.pointee.hold == .none {
            guard unit.gate.enter(wanted, self, slot) else { return }
            task.pointee.hold = wanted
        }
        perform(slot, work, unit)
    }

    /// How a command stands to the unit's gate. Like the switches below it names every command, so that a new one
    /// cannot be left out.
    private func gate(for work: Command) -> WriteGate.Hold {
        switch work {
        case .write, .writeSame, .unmap, .writeAndVerify: .shared
        case .compareAndWrite, .orWrite: .alone
        case .read, .verify, .synchronizeCache, .preFetch, .getLBAStatus: .none
        case .testUnitReady, .requestSense, .inquiry, .readCapacity10, .readCapacity16, .reportLUNs, .modeSense,
            .startStopUnit, .preventAllow, .reserve, .release, .persistentReserveIn, .reportSupportedOpcodes,
            .reportSupportedTaskManagement, .reportTargetPortGroups, .modeSelect,
            .persistentReserveOut:
            .none
        }
    }

    private func perform(_ slot: UInt16, _ work: Command, _ unit: LogicalUnit) {
        let task = tasks[slot]
        let geometry = unit.geometry
        switch work {
        case .read(let range, _):
            readChunk(slot, range.byteOffset(geometry), unit)
        case .write(let range, let durable):
            writeWindow(slot, range.byteOffset(geometry), durable: durable, unit)
        case .writeAndVerify(let range, _):
            writeWindow(slot, range.byteOffset(geometry), durable: true, unit)
        case .synchronizeCache:
            submit(slot, .flush, 0, 0, nil, unit)
        case .preFetch:
            // The page cache reads ahead by itself; nothing more is promised.
            enqueue(slot, .response)
        case .getLBAStatus(let lba, let allocation):
            reportStatus(slot, lba, allocation, unit)
        case .verify(let range, let compare):
            compare
                ? readSecond(slot, range.byteOffset(geometry) + UInt64(task.pointee.bufferBase), unit)
                : verifyChunk(slot, range, unit)
        case .compareAndWrite(let range, _):
            guard range.count > 0 else { return respond(slot) }
            readSecond(slot, range.byteOffset(geometry), unit, count: Int(range.byteCount(geometry)))
        case .orWrite(let range, _):
            readSecond(slot, range.byteOffset(geometry) + UInt64(task.pointee.bufferBase), unit)
        case .writeSame(let range, let content, _):
            writeSame(slot, range, content, unit)
        case .unmap:
            unmap(slot, unit)
        case .testUnitReady, .requestSense, .inquiry, .readCapacity10, .readCapacity16, .reportLUNs, .modeSense,
            .startStopUnit, .preventAllow, .reserve, .release, .persistentReserveIn, .reportSupportedOpcodes,
            .reportSupportedTaskManagement, .reportTargetPortGroups, .modeSelect,
            .persistentReserveOut:
            // The device server answers these.
            respond(slot, failing: .invalidOpcode)
        }
    }

    /// The disk has done what the step asked for.
    func advance(_ slot: UInt16) {
        let task = tasks[slot]
        guard let work = task.pointee.work, let unit = task.pointee.unit?.takeUnretainedValue() else {
            return respond(slot)
        }
        switch work {
        case .read:
            enqueue(slot, .data)
        case .write:
            windowWritten(slot)
        case .writeAndVerify(let range, let compare):
            if compare, task.pointee.step == .first {
                task.pointee.step = .second
                let offset = range.byteOffset(unit.geometry) + UInt64(task.pointee.bufferBase)
                return readSecond(slot, offset, unit)
            }
            guard !compare || checkEqual(slot) else { return }
            task.pointee.step = .first
            windowWritten(slot)
        case .verify(let range, let compare):
            if compare {
                if checkEqual(slot) { windowWritten(slot) }
            } else {
                verifyChunk(slot, range, unit)
            }
        case .compareAndWrite(let range, let durable):
            compared(slot, range, durable, unit)
        case .orWrite(let range, let durable):
            combined(slot, range, durable, unit)
        case .writeSame(let range, let content, _):
            content == .zeros || task.pointee.buffer == nil || task.pointee.step == .second
                ? respond(slot) : writeSame(slot, range, content, unit)
        case .synchronizeCache, .preFetch, .getLBAStatus, .unmap:
            respond(slot)
        case .testUnitReady, .requestSense, .inquiry, .readCapacity10, .readCapacity16, .reportLUNs, .modeSense,
            .startStopUnit, .preventAllow, .reserve, .release, .persistentReserveIn, .reportSupportedOpcodes,
            .reportSupportedTaskManagement, .reportTargetPortGroups, .modeSelect,
            .persistentReserveOut:
            respond(slot)
        }
    }

    /// Hands a request to the unit's disk.
    func submit(
        _ slot: UInt16, _ operation: DiskRequest.Operation, _ offset: UInt64, _ length: Int,
        _ buffer: UnsafeMutableRawPointer?, durable: Bool = false, _ unit: LogicalUnit
    ) {
        tasks[slot].pointee.diskRequests += 1
        unit.disk.submit(
            DiskRequest(
                operation: operation, offset: offset, length: length, buffer: buffer, durable: durable,
                tag: UInt32(slot)),
            for: self)
    }

    /// Reads the next part of a READ, as much as the buffer holds.
    private func readChunk(_ slot: UInt16, _ start: UInt64, _ unit: LogicalUnit) {
        let task = tasks[slot]
        var read = task.pointee.read
        guard let next = read.next(), let buffer = task.pointee.buffer else { return enqueue(slot, .response) }
        let length = min(Int(task.pointee.read.total - next.offset), buffer.capacity)
        task.pointee.bufferBase = next.offset
        task.pointee.bufferEnd = next.offset + UInt32(length)
        // The initiator may expect less than whole blocks; the disk reads no less.
        let block = Int(unit.geometry.blockBytes)
        let whole = min((length + block - 1) / block * block, buffer.capacity)
        submit(slot, .read, start + UInt64(next.offset), whole, buffer.start, unit)
    }

    /// Writes what the buffer holds.
    private func writeWindow(_ slot: UInt16, _ start: UInt64, durable: Bool, _ unit: LogicalUnit) {
        let task = tasks[slot]
        let length = Int(task.pointee.bufferEnd &- task.pointee.bufferBase)
        guard length > 0, let buffer = task.pointee.buffer else { return respond(slot) }
        submit(
            slot, .write, start + UInt64(task.pointee.bufferBase), length, buffer.start, durable: durable, unit)
    }

    /// The buffer's data is where it belongs: the next burst, or the answer.
    func windowWritten(_ slot: UInt16) {
        let task = tasks[slot]
        guard let write = task.pointee.write, !write.isComplete || task.pointee.bufferEnd < write.wanted else {
            return respond(slot)
        }
        leaveGate(task)
        task.pointee.bufferBase = task.pointee.bufferEnd
        proceed(slot)
    }

    /// Ends a command that needed a parameter list.
    private func finishParameters(_ slot: UInt16, _ work: Command, _ unit: LogicalUnit) {
        let task = tasks[slot]
        let count = Int(task.pointee.bufferEnd)
        let bytes = UnsafeRawBufferPointer(start: task.pointee.buffer?.start, count: count)
        let dispatch = unit.server.finish(work, parameters: bytes, nexus: task.pointee.nexus)
        if case .goodAborting(let nexuses) = dispatch { return endPreempting(slot, nexuses, on: unit) }
        apply(dispatch, to: task)
        enqueue(slot, .response)
    }

    /// Leaves the gate, and lets in who waits there.
    func leaveGate(_ task: UnsafeMutablePointer<ServedTask>) {
        guard task.pointee.hold != .none, let unit = task.pointee.unit?.takeUnretainedValue() else { return }
        unit.gate.leave(task.pointee.hold)
        task.pointee.hold = .none
        while let waiter = unit.gate.next(wanting: { $0.connection.wantedHold($0.slot) }) {
            waiter.connection.enteredGate(waiter.slot)
        }
    }

    private func wantedHold(_ slot: UInt16) -> WriteGate.Hold {
        tasks[slot].pointee.work.map(gate) ?? .shared
    }

    private func enteredGate(_ slot: UInt16) {
        tasks[slot].pointee.hold = wantedHold(slot)
        run(slot)
    }
}
