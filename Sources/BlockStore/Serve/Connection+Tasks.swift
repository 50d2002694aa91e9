internal import IOLoop
internal import ISCSI
internal import SystemPackage

/// The life of a task on a connection: from the command's arrival over its data to its answer and its end.
extension Connection {
    /// A SCSI command has arrived; its data segment may follow.
    func arrived(_ command: SCSICommand, _ basic: BasicHeader) {
        switch window.admit(cmdSN: command.cmdSN, immediate: command.immediate) {
        case .deliver:
            guard let slot = begin(command) else { return }
            if provideBuffer(slot, mayStall: command.dataBytes > 0 || !command.final) {
                receiveImmediate(slot, basic)
            }
            if !command.immediate { deliverHeld() }
        case .hold(let slot):
            // Unsolicited data of a command that waits would arrive before it begins; nobody sends that.
            guard command.final || !command.writes else {
                return refuse(.protocolError, pendingHeaderBytes, closing: "unsolicited data ahead of its turn")
            }
            pendingHold = slot
            collect(.scsiCommand(command), basic)
        case .ignore:
            drop(basic)
        case .refuse:
            reject(.tooManyImmediateCommands, pendingHeaderBytes)
            drop(basic)
        }
    }

    /// Performs a command that was held, with its immediate data at hand.
    func perform(_ command: SCSICommand, held data: UnsafeRawBufferPointer) {
        guard let slot = begin(command) else { return }
        let task = tasks[slot]
        guard takeBuffer(slot) else {
            // Its data cannot be kept a second time: the initiator may try again.
            turnAway(slot, .busy)
            return proceed(slot)
        }
        let keep = Int(task.pointee.write?.immediateKeep ?? 0)
        if keep > 0, let buffer = task.pointee.buffer {
            buffer.bytes().copyBytes(from: UnsafeRawBufferPointer(rebasing: data.prefix(keep)))
            task.pointee.bufferEnd = UInt32(keep)
        }
        proceed(slot)
    }

    /// Receives the immediate data of a task that has its buffer, and goes on with it.
    func receiveImmediate(_ slot: UInt16, _ basic: BasicHeader) {
        guard basic.dataBytes > 0 else { return proceed(slot) }
        let task = tasks[slot]
        let keep = Int(task.pointee.write?.immediateKeep ?? 0)
        task.pointee.stage = .receives
        task.pointee.bufferEnd = UInt32(keep)
        incoming = .data(
            DataSink(
                target: task.pointee.buffer?.start, keep: keep, drop: basic.dataBytes - keep,
                trailer: basic.dataLength(framing) - basic.dataBytes, padding: basic.padding, task: slot,
                final: false))
    }

    /// Lets a data segment pass that nobody wants.
    func drop(_ basic: BasicHeader) {
        guard basic.dataBytes > 0 else { return }
        incoming = .data(
            DataSink(
                target: nil, keep: 0, drop: basic.dataBytes, trailer: basic.dataLength(framing) - basic.dataBytes,
                padding: basic.padding))
    }

    /// Puts the command into the table and has it judged. Nil if that cost the connection.
    private func begin(_ command: SCSICommand) -> UInt16? {
        let limits = transferLimits
        guard let slot = tasks.add(ServedTask(command, read: ReadTransfer(available: 0, expected: 0, limits: limits)))
        else {
            fail("more commands than the window admits")
            return nil
        }
        let task = tasks[slot]
        let link = command.lun.number.flatMap { session?.unit($0) }
        if let link, !link.unit.isLeaving {
            task.pointee.unit = .passUnretained(link.unit)
            task.pointee.nexus = link.nexus
            link.unit.taskCount += 1
            apply(link.unit.server.begin(command, nexus: link.nexus, answer: &answer), to: task)
        } else {
            apply(AbsentUnit.begin(command, answer: &answer), to: task)
        }
        guard prepareTransfers(slot, command, limits, link?.unit) else { return nil }
        return slot
    }

    /// What was agreed, with segments that fit into a buffer.
    var transferLimits: TransferLimits {
        var limits = established?.transferLimits ?? SessionParameters().transferLimits
        limits.maxSendDataSegment = min(limits.maxSendDataSegment, 262_144)
        return limits
    }

    /// Notes the verdict on a command.
    func apply(_ dispatch: Dispatch, to task: UnsafeMutablePointer<ServedTask>) {
        switch dispatch {
        case .store(let work):
            task.pointee.work = work
        case .parameters(let work):
            task.pointee.work = work
            task.pointee.isParameters = true
        case .good:
            task.pointee.status = .good
        case .reportLUNs(let select, let allocation):
            do throws(Sense) {
                try TargetReports.logicalUnits(
                    session?.target?.unitNumbers ?? [], select: select, allocation: allocation, into: &answer)
            } catch {
                fail(task, error)
            }
        case .conflict:
            task.pointee.status = .reservationConflict
            answer.removeAll(keepingCapacity: true)
        case .failed(let sense):
            fail(task, sense)
        case .goodAborting(let nexuses):
            if let unit = task.pointee.unit?.takeUnretainedValue() { abortTasks(of: nexuses, on: unit) }
        }
    }

    func fail(_ task: UnsafeMutablePointer<ServedTask>, _ sense: Sense) {
        task.pointee.status = .checkCondition
        task.pointee.sense = sense
        task.pointee.work = nil
        answer.removeAll(keepingCapacity: true)
    }

    /// Opens the accounts of the data that the command moves. False if the command itself breaks the rules.
    private func prepareTransfers(
        _ slot: UInt16, _ command: SCSICommand, _ limits: TransferLimits, _ unit: LogicalUnit?
    ) -> Bool {
        let task = tasks[slot]
        var required: UInt64 = 0
        var available = UInt64(answer.count)
        if let work = task.pointee.work, let unit {
            required = work.dataOutBytes(unit.geometry)
            if case .read(let range, _) = work { available = range.byteCount(unit.geometry) }
            if case .getLBAStatus(_, let allocation) = work { available = UInt64(allocation) }
        }
        task.pointee.read = ReadTransfer(command, available: available, limits: limits)
        task.pointee.residual = task.pointee.read.residual
        guard command.writes || required > 0 || command.dataBytes > 0 || !command.final else { return true }
        taskSerial = (taskSerial &+ 1) & 0x1fff
        let tagBase = (UInt32(slot) | taskSerial << 10) << 8
        do throws(TransferFault) {
            let write = try WriteTransfer(command, required: required, limits: limits, tagBase: tagBase)
            task.pointee.residual = write.residual
            if task.pointee.sense == .invalidTransferLength, let unit,
                let refused = try? Command.decode(command.block, unit.server.profile)
            {
                // The command is refused for its length, and the residual says by how much.
                task.pointee.residual = Residual(
                    available: refused.dataOutBytes(unit.geometry), expected: command.expectedDataTransferLength)
            }
            task.pointee.write = write
            return true
        } catch {
            refuse(.protocolError, pendingHeaderBytes, closing: "\(error)")
            return false
        }
    }

    /// Lends the task the buffer that it needs. False if it has to wait: the connection with it, when data for the task
    /// may come unasked.
    ///
    /// The connection must not wait while another of its tasks waits for data, which would come behind: then the
    /// command is turned away, and the initiator tries again.
    private func provideBuffer(_ slot: UInt16, mayStall: Bool) -> Bool {
        guard !takeBuffer(slot) else { return true }
        let task = tasks[slot]
        if mayStall || !answer.isEmpty {
            guard !expectsData(besides: slot) else {
                turnAway(slot, .taskSetFull)
                return true
            }
            // An answer that is made already waits where it is, and the next command with it.
            incoming = .stalled(slot)
        } else {
            waitingForBuffers.append(slot)
        }
        task.pointee.stage = .awaitsBuffer
        loop.callWhenBuffersReturn(self)
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
    private func turnAway(_ slot: UInt16, _ status: SCSIStatus) {
        let task = tasks[slot]
        task.pointee.status = status
        task.pointee.work = nil
        answer.removeAll(keepingCapacity: true)
        task.pointee.read = ReadTransfer(task.pointee.command, available: 0, limits: transferLimits)
        guard task.pointee.write != nil else { return }
        // The same account, of a command that wants nothing: it was opened once without a fault.
        task.pointee.write = try? WriteTransfer(
            task.pointee.command, required: 0, limits: transferLimits, tagBase: UInt32(slot) << 8)
    }

    private func takeBuffer(_ slot: UInt16) -> Bool {
        let task = tasks[slot]
        let bytes: UInt32
        if !answer.isEmpty, task.pointee.work == nil {
            bytes = UInt32(answer.count)
        } else if let write = task.pointee.write, write.wanted > 0 {
            bytes = write.wanted
        } else {
            bytes = task.pointee.read.total
        }
        guard bytes > 0 else { return true }
        guard let buffer = loop.buffers.take(min(Int(bytes), loop.buffers.largest)) else { return false }
        task.pointee.buffer = buffer
        if !answer.isEmpty, task.pointee.work == nil {
            buffer.bytes().copyBytes(from: answer)
            task.pointee.bufferEnd = UInt32(answer.count)
            answer.removeAll(keepingCapacity: true)
        }
        return true
    }

    /// Buffers have come back to the pool: those who wait for one go on, in their order.
    func takeReturnedBuffers() {
        guard phase == .fullFeature else { return }
        // The connection first: data of those who wait in line would come behind what it waits with.
        if case .stalled(let slot) = incoming {
            guard takeBuffer(slot) else { return loop.callWhenBuffersReturn(self) }
            incoming = .header
            receiveImmediate(slot, BasicHeader(pendingHeaderBytes))
            parse()
        }
        while let slot = waitingForBuffers.first {
            if case .stalled = incoming { break }
            guard takeBuffer(slot) else { break }
            waitingForBuffers.removeFirst()
            proceed(slot)
        }
        if !waitingForBuffers.isEmpty { loop.callWhenBuffersReturn(self) }
    }
}
