internal import DequeModule
internal import IOLoop
internal import ISCSI
internal import Syscall
internal import SystemPackage

/// What stands in the send queue: a task by its slot, or the next of the control PDUs.
enum SendItem {
    case task(UInt16)
    case control
}

/// What a send in flight carries, for when it has ended.
enum SentItem {
    /// The task is at its end.
    case ended(UInt16)
    /// All that its buffer held has gone; more is to come.
    case drained(UInt16)
    /// The task goes on: its R2Ts have gone.
    case asked(UInt16)
    case control(bytes: Int, ControlPDU.Sequel)
}

/// The sending side: a queue of tasks and control PDUs, turned into PDUs only when they go out, so that sequence
/// numbers are those of the wire's order.
extension Connection {
    /// Puts a task into the queue, to send what its `output` says.
    func enqueue(_ slot: UInt16, _ output: ServedTask.Output) {
        guard phase != .closing else { return }
        let task = tasks[slot]
        task.pointee.output = output
        guard !task.pointee.isQueued else { return }
        task.pointee.isQueued = true
        queue.append(.task(slot))
        loop.callAtBatchEnd(self)
    }

    /// Puts a control PDU into the queue.
    func enqueue(_ pdu: ControlPDU) {
        guard phase != .closing else { return }
        controlBytes += pdu.data.count + BasicHeader.size
        controls.append(pdu)
        queue.append(.control)
        loop.callAtBatchEnd(self)
    }

    /// Fills a batch from the queue and hands it to the kernel.
    func flush() {
        guard phase != .closing, !queue.isEmpty else { return }
        while !batch.isFull, let item = queue.first {
            switch item {
            case .control:
                queue.removeFirst()
                if let pdu = controls.popFirst() { append(pdu) }
            case .task(let slot):
                if append(slot) { queue.removeFirst() }
            }
        }
        guard !batch.isEmpty else { return settleBatch() }
        send()
    }

    private func send() {
        isSending = true
        sentAt = loop.now
        batch.send(on: loop, socket.raw, for: self, tag: Tag.send)
    }

    private var digests: (header: Bool, data: Bool) { (framing.headerDigest, framing.dataDigest) }

    /// The numbers of an answer that ends something: it uses up a StatSN.
    private func countedNumbers() -> StatusNumbers {
        defer { statSN &+= 1 }
        return window.tell(statSN: statSN)
    }

    /// Tells of room in the window that nothing else will tell of, with a NOP-In that wants no answer (RFC 7143 section
    /// 11.19): where a slot came back without an answer, an initiator that has used up its window would wait for ever.
    func announceWindow() {
        guard phase == .fullFeature, !isSending, queue.isEmpty, window.isSecretlyOpen else { return }
        enqueue(
            ControlPDU(
                kind: .nop(
                    NopIn(
                        lun: LogicalUnitNumber(raw: 0), initiatorTaskTag: BasicHeader.reservedTag,
                        targetTransferTag: BasicHeader.reservedTag, numbers: window.numbers(statSN: 0)))))
    }

    private func append(_ pdu: ControlPDU) {
        if let immediate = pdu.retires { window.retire(immediate: immediate) }
        let numbers = pdu.countsStatus ? countedNumbers() : window.tell(statSN: statSN)
        pdu.encode(numbers, into: batch.nextHeader)
        batch.append(copying: pdu.data, digests: digests)
        batchItems.append(.control(bytes: pdu.data.count + BasicHeader.size, pdu.sequel))
    }

    /// Adds what the task has to send. False when the batch is full before its end.
    private func append(_ slot: UInt16) -> Bool {
        let task = tasks[slot]
        if task.pointee.isAborted { return close(slot, .ended(slot)) }
        switch task.pointee.output {
        case .none:
            break
        case .data:
            while !batch.isFull {
                var read = task.pointee.read
                guard let segment = read.next(), segment.offset + segment.length <= task.pointee.bufferEnd else {
                    return close(slot, .drained(slot))
                }
                task.pointee.read = read
                append(segment, of: task)
                if segment.last, task.pointee.isRetired { return close(slot, .ended(slot)) }
            }
            // The rest is for the next batch, and this place in the queue is kept.
            return false
        case .requests:
            while !batch.isFull {
                guard let request = nextRequest(task) else { return close(slot, .asked(slot)) }
                ReadyToTransfer(
                    lun: task.pointee.command.lun, initiatorTaskTag: task.pointee.command.initiatorTaskTag,
                    targetTransferTag: request.targetTransferTag, numbers: window.tell(statSN: statSN),
                    r2tSN: request.r2tSN, bufferOffset: request.offset, desiredLength: request.length
                ).encode(into: batch.nextHeader)
                batch.append(payload: UnsafeRawBufferPointer(start: nil, count: 0), digests: digests)
            }
            return false
        case .response:
            appendResponse(task)
            return close(slot, .ended(slot))
        }
        return close(slot, .drained(slot))
    }

    private func close(_ slot: UInt16, _ item: SentItem) -> Bool {
        tasks[slot].pointee.isQueued = false
        tasks[slot].pointee.isInFlight = true
        tasks[slot].pointee.output = .none
        tasks[slot].pointee.stage = .sends
        batchItems.append(item)
        return true
    }

    private func append(_ segment: ReadTransfer.Segment, of task: UnsafeMutablePointer<ServedTask>) {
        guard let buffer = task.pointee.buffer else { return }
        let ends = segment.last && task.pointee.status == .good && !task.pointee.isAborted
        var ending: DataIn.Ending?
        if ends {
            retire(task)
            ending = DataIn.Ending(status: .good, residual: task.pointee.residual)
        }
        DataIn(
            final: segment.final, ending: ending, lun: task.pointee.command.lun,
            initiatorTaskTag: task.pointee.command.initiatorTaskTag,
            numbers: ends ? countedNumbers() : window.tell(statSN: statSN), dataSN: segment.dataSN,
            bufferOffset: segment.offset
        ).encode(dataBytes: Int(segment.length), into: batch.nextHeader)
        let start = buffer.start + Int(segment.offset - task.pointee.bufferBase)
        batch.append(
            payload: UnsafeRawBufferPointer(start: start, count: Int(segment.length)), digests: digests)
    }

    private func appendResponse(_ task: UnsafeMutablePointer<ServedTask>) {
        retire(task)
        let room = batch.nextInline
        var length = 0
        if task.pointee.status == .checkCondition {
            let descriptor = task.pointee.unit?.takeUnretainedValue().server.descriptorSense ?? false
            let sense = (task.pointee.sense ?? Sense(.abortedCommand, .noAdditionalSense))
                .bytes(descriptorFormat: descriptor)
            room[0] = 0
            room[1] = UInt8(sense.count)
            UnsafeMutableRawBufferPointer(rebasing: room[2...]).copyBytes(from: sense)
            length = sense.count + 2
        }
        SCSIResponse(
            initiatorTaskTag: task.pointee.command.initiatorTaskTag, status: task.pointee.status,
            residual: task.pointee.residual,
            expDataSN: task.pointee.read.segmentCount &+ (task.pointee.write?.r2tCount ?? 0),
            numbers: countedNumbers()
        ).encode(dataBytes: length, into: batch.nextHeader)
        batch.append(payload: UnsafeRawBufferPointer(rebasing: room[..<length]), digests: digests)
    }

    /// Gives the task's window slot back, once.
    func retire(_ task: UnsafeMutablePointer<ServedTask>) {
        guard !task.pointee.isRetired else { return }
        task.pointee.isRetired = true
        window.retire(immediate: task.pointee.command.immediate)
    }

    func sent(_ result: Int32) {
        isSending = false
        guard phase != .closing else { return forgetBatch() }
        guard result > 0 else {
            forgetBatch()
            return close()
        }
        guard batch.advance(Int(result)) else { return send() }
        batch.reset()
        settleBatch()
        if !queue.isEmpty { loop.callAtBatchEnd(self) }
        // Parsing may have waited for the queue to become shorter.
        if !isReceiving, phase == .login || phase == .fullFeature { parse() }
    }

    /// What was in the batch has gone: its tasks and PDUs go on.
    private func settleBatch() {
        swap(&batchItems, &settling)
        // An item may close the connection, and that ends the tasks of the items behind it.
        for item in settling where phase != .closing {
            switch item {
            case .ended(let slot): end(slot)
            case .drained(let slot):
                tasks[slot].pointee.isInFlight = false
                drained(slot)
            case .asked(let slot):
                tasks[slot].pointee.isInFlight = false
                asked(slot)
            case .control(let bytes, let sequel):
                controlBytes -= bytes
                follow(sequel)
            }
        }
        settling.removeAll(keepingCapacity: true)
    }

    private func follow(_ sequel: ControlPDU.Sequel) {
        switch sequel {
        case .goesOn: break
        case .closes: close()
        case .establishes: beginFullFeature()
        }
    }

    /// The send of a connection that is closing has ended: nothing of its tasks is in the kernel's hands any more.
    private func forgetBatch() {
        batchItems.removeAll()
        batch.reset()
        for slot in tasks.slots where tasks.contains(slot) { endIfIdle(slot) }
    }

    /// Empties the queue of a connection that closes. What the kernel has stays until the send ends.
    func dropQueue() {
        for item in queue {
            guard case .task(let slot) = item else { continue }
            tasks[slot].pointee.isQueued = false
            tasks[slot].pointee.output = .none
        }
        queue.removeAll()
        controls.removeAll()
    }
}
