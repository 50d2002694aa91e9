internal import DequeModule
internal import IOLoop
internal import ISCSI
internal import Logging
internal import Syscall
internal import SystemPackage

/// One TCP connection of an initiator, from accept to close. Confined to the loop, whose table owns it.
///
/// It receives into a buffer of its own and parses what is there; payloads go to the task that they belong to; answers
/// stand in a queue and go out in vectored sends, one at a time. A session has one connection (MaxConnections=1).
final class Connection: DiskClient {
    /// Where it is in its life.
    enum Phase {
        case login
        case fullFeature
        /// The last answer is on its way; nothing is read any more.
        case leaving
        /// The socket is shut down; what is in flight comes to its end.
        case closing
    }

    let registry: TargetRegistry
    let portal: Portal
    let socket: Descriptor
    let peer: SocketAddress
    /// Its place in the order of coming.
    var serial: UInt64 = 0
    /// The address that the initiator has reached: discovery tells it of portals on wildcard addresses.
    let local: SocketAddress
    var phase = Phase.login
    var framing = Framing.login
    /// Framing and session that come into force when the last login answer is sent.
    var established: SessionParameters?
    var login: Login
    var loginTimer: TimerID?

    // Receiving: bytes between `start` and `end` of the buffer are not parsed yet.
    let receiveBuffer: Buffer
    var start = 0
    var end = 0
    var incoming = Incoming.header
    var isReceiving = false
    let pendingHeader: UnsafeMutableRawPointer

    // Sending.
    var queue = Deque<SendItem>()
    var controls = Deque<ControlPDU>()
    var controlBytes = 0
    var batch = SendBatch()
    var batchItems: [SentItem] = []
    var settling: [SentItem] = []
    var isSending = false
    /// When the send in flight began.
    var sentAt: UInt64 = 0
    var statSN: UInt32 = 0

    // The session.
    var session: Session?
    var window = CommandWindow(first: 0)
    var tasks = TaskTable()
    var text: TextExchange?
    /// What its tasks have of the pool.
    var lent = BufferShare()
    var waitingForBuffers: [UInt16] = []
    /// Answers that are made and have no buffer yet.
    var keptAnswers: [UInt16: [UInt8]] = [:]
    /// Since when it has not got a buffer that it waits for; and since when it has not read for that.
    var starvingSince: UInt64 = 0
    var stalledSince: UInt64 = 0
    var lookTimer: TimerID?
    var held: [Int: HeldPDU] = [:]
    var heldBytes = 0
    /// Where the command that is being received will be held.
    var pendingHold: Int?
    var taskSerial: UInt32 = 0
    var quiescing: [UInt16: [Quiesce]] = [:]
    var answer: [UInt8] = []
    /// Called once, when the connection has ended and its tasks with it.
    var endings: [() -> Void] = []

    enum Tag {
        static let receive: UInt32 = 1
        static let send: UInt32 = 2
        static let shutDown: UInt32 = 3
        static let loginDeadline: UInt32 = 4
        static let look: UInt32 = 5
    }

    /// The two ends of an accepted socket.
    struct Ends {
        let peer: SocketAddress
        let local: SocketAddress

        /// Makes the socket ready for a connection.
        /// - Throws: an error if the peer has gone again.
        init(of socket: CInt) throws(Errno) {
            try StreamSocket.disableDelay(socket)
            try StreamSocket.keepAlive(socket, idle: 60, interval: 15, count: 4)
            try StreamSocket.setPatience(socket, milliseconds: 120_000)
            peer = try StreamSocket.peerAddress(socket)
            local = try StreamSocket.localAddress(socket)
        }
    }

    /// - Parameter receiveBuffer: lent to the connection until it ends.
    init(
        on loop: Loop, _ registry: TargetRegistry, _ portal: Portal, _ socket: consuming Descriptor, _ ends: Ends,
        receiveBuffer: Buffer
    ) {
        peer = ends.peer
        local = ends.local
        self.registry = registry
        self.portal = portal
        self.socket = socket
        self.receiveBuffer = receiveBuffer
        login = Login(offers: registry.offers, tsih: registry.sessions.nextTSIH())
        pendingHeader = .allocate(byteCount: BasicHeader.size, alignment: 16)
        super.init(on: loop)
        loginTimer = loop.setTimer(after: registry.limits.loginDeadline, for: self, tag: Tag.loginDeadline)
        receive()
    }

    deinit {
        pendingHeader.deallocate()
        tasks.deallocate()
        batch.deallocate()
    }

    override func completed(tag: UInt32, result: Int32, more: Bool) {
        switch tag {
        case Tag.receive: received(result)
        case Tag.send: sent(result)
        // The ring had no room: without a shut down what waits on the socket does not end.
        case Tag.shutDown where result == -Errno.noMemory.rawValue:
            loop.shutDown(socket.raw, for: self, tag: Tag.shutDown)
        default: break
        }
        endIfQuiet(completing: 1)
    }

    override func timerFired(tag: UInt32) {
        if tag == Tag.look { return lookAround() }
        guard phase == .login else { return }
        registry.remark(onStranger: who, "no login within \(registry.limits.loginDeadline)")
        close()
    }

    override func batchEnded() {
        announceWindow()
        if !isSending { flush() }
        // It may have waited for a buffer, or for answers to go.
        if !isReceiving { parse() }
    }

    override func buffersReturned() {
        takeReturnedBuffers()
    }

    override func diskCompleted(tag: UInt32, error: Errno?) {
        diskAnswered(UInt16(truncatingIfNeeded: tag), error)
    }

    override func loopStopping() {
        close()
    }

    /// Ends the connection at once: no further answer, tasks are aborted, and what the kernel or a disk still works on
    /// is waited for.
    func close() {
        guard phase != .closing else { return }
        phase = .closing
        if let loginTimer { loop.cancel(loginTimer) }
        loop.shutDown(socket.raw, for: self, tag: Tag.shutDown)
        dropQueue()
        for slot in tasks.slots where tasks.contains(slot) { abort(slot) }
        endIfQuiet(completing: 0)
    }

    /// Closes for a fault of the peer's, with words for the log.
    func fail(_ reason: String) {
        guard phase != .closing else { return }
        let words = "connection closed: \(reason)"
        if phase == .login {
            registry.remark(onStranger: who, words)
        } else {
            registry.log.notice("\(who): \(words)")
        }
        close()
    }

    /// The end proper, when nothing is in flight any more.
    /// - Parameter completing: operations whose completion is just being dealt with.
    private func endIfQuiet(completing: Int) {
        guard phase == .closing, operationsInFlight == completing, tasks.isEmpty, !hasEnded else { return }
        hasEnded = true
        if case .data(let sink) = incoming { sink.collected?.deallocate() }
        loop.receiveBuffers.give(receiveBuffer)
        registry.connectionEnded(self)
        session = nil
        let endings = self.endings
        self.endings = []
        retire()
        for ending in endings { ending() }
    }

    private var hasEnded = false
    /// It closes when its last task has ended.
    var isDraining = false

    /// A task has gone: perhaps the last that a closing connection waited for.
    func taskEnded() {
        // A completion that is being dealt with is followed by its own look.
        endIfQuiet(completing: 0)
    }
}
