internal import IOLoop
internal import Logging
internal import Syscall
internal import SystemPackage

/// A listening socket of a server. Confined to the loop, whose table owns it; one portal serves any number of targets.
final class Portal: LoopHandler {
    /// As configured: perhaps with port 0.
    let address: SocketAddress
    /// As bound.
    let bound: SocketAddress
    private let listener: Descriptor
    private unowned let registry: TargetRegistry
    private(set) var connectionCount = 0
    private var isClosing = false
    private var isPaused = false
    private var refusals = LogThrottle(seconds: 5)

    private enum Tag {
        static let accept: UInt32 = 1
        static let cancel: UInt32 = 2
        static let resume: UInt32 = 3
    }

    /// Begins to listen.
    init(on loop: Loop, _ registry: TargetRegistry, address: SocketAddress) throws(Errno) {
        let listener = try StreamSocket.listen(on: address, backlog: 128)
        bound = try StreamSocket.localAddress(listener.raw)
        self.address = address
        self.listener = listener
        self.registry = registry
        super.init(on: loop)
        loop.accept(self.listener.raw, for: self, tag: Tag.accept)
    }

    override func completed(tag: UInt32, result: Int32, more: Bool) {
        guard tag == Tag.accept else { return }
        if result >= 0 {
            accepted(Descriptor(adopting: result))
        } else if !isClosing {
            registry.log.warning("portal \(bound): accept failed: \(Errno(rawValue: -result))")
        }
        guard !more, !isClosing else { return }
        // Out of descriptors or memory: the backlog holds callers until there is room again.
        isPaused = true
        _ = loop.setTimer(after: result >= 0 ? .zero : .milliseconds(200), for: self, tag: Tag.resume)
    }

    override func timerFired(tag: UInt32) {
        guard isPaused, !isClosing else { return }
        isPaused = false
        loop.accept(listener.raw, for: self, tag: Tag.accept)
    }

    private func accepted(_ socket: consuming Descriptor) {
        guard !isClosing else { return }
        let limits = registry.limits
        let isFull = connectionCount >= limits.connectionsPerPortal
        var hasRoom = !isFull
        if isFull || registry.strangers.count >= limits.unauthenticated {
            hasRoom = registry.closeStranger(amongThoseOf: isFull ? self : nil)
        }
        // What has just been closed still counts for a moment, within a bound.
        guard hasRoom,
            connectionCount < limits.connectionsPerPortal + limits.unauthenticated,
            let buffer = loop.receiveBuffers.take(loop.receiveBuffers.largest)
        else {
            // The socket closes with its owner: the initiator comes back.
            if let count = refusals.note(at: loop.now) {
                registry.log.warning("portal \(bound): too many connections, turned away: \(count)")
            }
            return
        }
        do throws(Errno) {
            let ends = try Connection.Ends(of: socket.raw)
            registry.add(Connection(on: loop, registry, self, socket, ends, receiveBuffer: buffer))
            connectionCount += 1
        } catch {
            // The peer has gone again.
            loop.receiveBuffers.give(buffer)
        }
    }

    func connectionEnded() {
        connectionCount -= 1
    }

    /// Listens no more; connections go on.
    func close() {
        guard !isClosing else { return }
        isClosing = true
        loop.cancel(Tag.accept, of: self, tag: Tag.cancel)
        retire()
    }

    override func loopStopping() {
        close()
    }
}
