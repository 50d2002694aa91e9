internal import IOLoop
internal import ISCSI
internal import Logging
internal import Syscall

/// A request that came ahead of its turn: kept as it arrived until the ones before it are here.
struct HeldPDU {
    var header: [UInt8]
    var data: [UInt8]
}

/// The dispatch of PDUs: each opcode has an answer in each phase.
extension Connection {
    /// Bytes of requests that one session may have us hold.
    private static let maxHeldBytes = 1 << 20

    /// Takes a PDU with its whole data segment: everything but SCSI commands and their data, which go their own way,
    /// and held commands, which come here too.
    func handle(_ pdu: InitiatorPDU, _ data: UnsafeRawBufferPointer) {
        switch (phase, pdu) {
        case (.login, .login(let request)):
            handle(request, data)
        case (.login, _):
            fail("\(pdu.name) before the login")
        case (.fullFeature, .login):
            fail("a login request in the full feature phase")
        case (.fullFeature, .snack):
            reject(.snackReject, pendingHeaderBytes)
        case (.fullFeature, .nopOut(let request)):
            // The answer to a ping of ours, or a ping that wants no answer, counts only as a sign of life.
            guard request.wantsAnswer || !request.immediate else { return }
            ordered(request.cmdSN, request.immediate, data) { perform(request, data) }
        case (.fullFeature, .text(let request)):
            ordered(request.cmdSN, request.immediate, data) { perform(request, data) }
        case (.fullFeature, .taskManagement(let request)):
            ordered(request.cmdSN, request.immediate, data) { perform(request) }
        case (.fullFeature, .logout(let request)):
            ordered(request.cmdSN, request.immediate, data) { perform(request) }
        case (.fullFeature, .scsiCommand), (.fullFeature, .dataOut):
            // Only a command that is to be held is collected whole.
            guard let slot = pendingHold.take() else { return }
            hold(slot, data)
        case (.leaving, _), (.closing, _):
            return
        }
    }

    /// Has a request performed in the order of CmdSN (RFC 7143 section 4.2.2.1).
    private func ordered(
        _ cmdSN: UInt32, _ immediate: Bool, _ data: UnsafeRawBufferPointer, _ perform: () -> Void
    ) {
        switch window.admit(cmdSN: cmdSN, immediate: immediate) {
        case .deliver:
            perform()
            if !immediate { deliverHeld() }
        case .hold(let slot): hold(slot, data)
        case .ignore: return
        case .refuse: reject(.tooManyImmediateCommands, pendingHeaderBytes)
        }
    }

    private func hold(_ slot: Int, _ data: UnsafeRawBufferPointer) {
        heldBytes += data.count + BasicHeader.size
        guard heldBytes <= Self.maxHeldBytes else { return fail("too much data ahead of its turn") }
        held[slot] = HeldPDU(header: Array(pendingHeaderBytes), data: Array(data))
    }

    /// Delivers the held requests whose turn has come.
    func deliverHeld() {
        guard !held.isEmpty else { return }
        while phase == .fullFeature, let slot = window.takeHeld() {
            guard let request = held.removeValue(forKey: slot) else { continue }
            heldBytes -= request.data.count + BasicHeader.size
            request.header.withUnsafeBytes { header in
                request.data.withUnsafeBytes { data in deliver(header, data) }
            }
        }
    }

    private func deliver(_ header: UnsafeRawBufferPointer, _ data: UnsafeRawBufferPointer) {
        guard let pdu = try? InitiatorPDU(header, framing: framing) else { return }
        switch pdu {
        case .scsiCommand(let command): perform(command, held: data)
        case .nopOut(let request): perform(request, data)
        case .text(let request): perform(request, data)
        case .taskManagement(let request): perform(request)
        case .logout(let request): perform(request)
        case .login, .dataOut, .snack: return
        }
    }

    private func perform(_ request: NopOut, _ data: UnsafeRawBufferPointer) {
        guard request.wantsAnswer else {
            window.retire(immediate: request.immediate)
            return loop.callAtBatchEnd(self)
        }
        let limit = Int(established?.maxSendDataSegment ?? 8192)
        let echo = UnsafeRawBufferPointer(rebasing: data.prefix(limit))
        enqueue(
            ControlPDU(
                kind: .nop(NopIn(answering: request, numbers: window.numbers(statSN: 0))), data: Array(echo),
                retires: request.immediate))
    }

    private func perform(_ request: TextRequest, _ data: UnsafeRawBufferPointer) {
        let numbers = window.numbers(statSN: 0)
        let step = text?.receive(request, text: data, numbers: numbers) {
            registry.discovered(by: established?.initiatorName ?? "", at: local)
        }
        switch step {
        case .respond(let response, let text):
            enqueue(ControlPDU(kind: .text(response), data: text, retires: request.immediate))
        case .reject(let reason):
            reject(reason, pendingHeaderBytes, retires: request.immediate)
        case nil:
            fail("a text request without a session")
        }
    }

    private func perform(_ request: LogoutRequest) {
        let outcome = request.outcome(connectionID: established?.connectionID ?? 0)
        let response = LogoutResponse(
            outcome: outcome, initiatorTaskTag: request.initiatorTaskTag, numbers: window.numbers(statSN: 0),
            time2Wait: UInt16(clamping: established?.time2Wait ?? 0),
            time2Retain: UInt16(clamping: established?.time2Retain ?? 0))
        guard outcome == .closed else {
            return enqueue(ControlPDU(kind: .logout(response), retires: request.immediate))
        }
        registry.log.info("\(who): logged out")
        session?.hasLoggedOut = true
        // Tasks end first; whatever they would answer is not waited for.
        let ended = Quiesce { [self] in
            guard phase == .fullFeature else { return }
            phase = .leaving
            enqueue(ControlPDU(kind: .logout(response), sequel: .closes, retires: request.immediate))
        }
        for slot in tasks.slots where tasks.contains(slot) { abort(slot, ended) }
        ended.begin()
    }

    var pendingHeaderBytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: pendingHeader, count: BasicHeader.size)
    }

    /// Refuses a PDU; the connection goes on.
    func reject(_ reason: RejectReason, _ header: UnsafeRawBufferPointer, retires: Bool? = nil) {
        let numbers = window.numbers(statSN: 0)
        enqueue(
            ControlPDU(
                kind: .reject(Reject(reason: reason, numbers: numbers)), data: Array(header), retires: retires))
    }

    /// Refuses a PDU and closes when the refusal has gone: at error recovery level 0 that is the only cure
    /// (RFC 7143 section 7.2).
    func refuse(_ reason: RejectReason, _ header: UnsafeRawBufferPointer, closing words: String) {
        guard phase == .fullFeature else { return fail(words) }
        registry.log.notice("\(who): connection closed: \(words)")
        enqueue(
            ControlPDU(
                kind: .reject(Reject(reason: reason, numbers: window.numbers(statSN: 0))), data: Array(header),
                sequel: .closes))
        phase = .leaving
    }
}

extension InitiatorPDU {
    fileprivate var name: String {
        switch self {
        case .nopOut: "a NOP-Out"
        case .scsiCommand: "a SCSI command"
        case .taskManagement: "a task management request"
        case .login: "a login request"
        case .text: "a text request"
        case .dataOut: "a Data-Out"
        case .logout: "a logout request"
        case .snack: "a SNACK"
        }
    }
}
