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
            // While the connection waits with the command, those behind it wait too.
            if !command.immediate, !isStalled { deliverHeld() }
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
        var unit: LogicalUnit?
        switch command.lun.number.flatMap({ session?.find($0, for: command.block.opcode) }) ?? .nothing {
        case .unit(let link) where !link.unit.isLeaving:
            unit = link.unit
            task.pointee.unit = .passUnretained(link.unit)
            task.pointee.nexus = link.nexus
            link.unit.taskCount += 1
            apply(link.unit.server.begin(command, nexus: link.nexus, answer: &answer), to: task)
        case .changed(let isNews):
            if isNews, let number = command.lun.number { registry.noteClosed(number, to: self) }
            fail(task, .unitAttention(.inquiryDataHasChanged))
        case .unit, .nothing:
            apply(AbsentUnit.begin(command, answer: &answer), to: task)
        }
        guard prepareTransfers(slot, command, limits, unit) else { return nil }
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
                    session?.unitNumbers ?? [], select: select, allocation: allocation, into: &answer)
            } catch {
                fail(task, error)
            }
        case .conflict:
            task.pointee.status = .reservationConflict
            answer.removeAll(keepingCapacity: true)
        case .failed(let sense):
            fail(task, sense)
        case .goodAborting:
            // Only a parameter list brings this about (`finishParameters`).
            fail(task, .invalidOpcode)
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
}
