internal import IOLoop
internal import ISCSI
internal import Logging
internal import Syscall

/// The login of a connection: requests to the negotiation, answers to the wire, and the step into the session.
extension Connection {
    /// Takes a login request with its text.
    func handle(_ request: LoginRequest, _ data: UnsafeRawBufferPointer) {
        // The negotiation's answer is on its way: a second request at the same time is one too many.
        guard established == nil, controls.isEmpty else { return fail("two login requests at once") }
        let step = login.receive(request, text: data) { registry.admit($0, at: portal) }
        switch step {
        case .answer(let response, let text):
            enqueue(ControlPDU(kind: .login(response), data: text))
        case .refuse(let response, let reason):
            registry.remark(onStranger: who, "login refused: \(reason)")
            phase = .leaving
            enqueue(ControlPDU(kind: .login(response), sequel: .closes))
        case .established(let response, let text, let parameters):
            established = parameters
            takeOver(parameters, ControlPDU(kind: .login(response), data: text, sequel: .establishes))
        }
    }

    /// Session reinstatement (RFC 7143 section 6.3.5): the tasks of an old session of the same initiator come to rest
    /// first. Several may wait for that; each but the last to enter is then an old session itself.
    private func takeOver(_ parameters: SessionParameters, _ answer: ControlPDU) {
        guard phase == .login else { return }
        guard !parameters.isDiscovery, let old = registry.sessions[parameters.identity] else {
            return enter(parameters, answer)
        }
        registry.log.info("\(who): comes back; its old session, from \(old.connection.peer), ends")
        old.connection.endings.append { [self] in takeOver(parameters, answer) }
        old.connection.close()
    }

    /// Makes the session and answers.
    private func enter(_ parameters: SessionParameters, _ answer: ControlPDU) {
        let target = parameters.targetName.flatMap { registry.targets[$0] }
        guard parameters.isDiscovery || target != nil else { return fail("the target has been removed meanwhile") }
        let session = Session(parameters, target, self, registry.history)
        self.session = session
        registry.sessions.add(session)
        enqueue(answer)
    }

    /// The last login answer has gone.
    func beginFullFeature() {
        guard let parameters = established, phase == .login else { return }
        if let loginTimer { loop.cancel(loginTimer) }
        loginTimer = nil
        phase = .fullFeature
        framing = parameters.framing
        statSN = parameters.nextStatSN
        window = CommandWindow(first: parameters.firstCmdSN)
        text = TextExchange(parameters)
        registry.log.info("\(who): logged in")
    }
}
