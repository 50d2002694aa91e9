internal import CLinux
internal import Glibc

/// Operations on sockets and on whatever can be polled. Rules as for files.
extension Loop {
    /// Takes connections until it is cancelled or fails: each completion with `more` is a new descriptor, owned by
    /// whoever hears of it. When a completion comes without `more`, ask again.
    public func accept(_ listener: CInt, for handler: LoopHandler, tag: UInt32) {
        let name = begin(handler, tag)
        note(sda_ring_accept(ring.handle, name, listener, true), name)
    }

    /// Receives up to `count` bytes; 0 is the peer's end of the stream.
    /// - Parameter whole: wait for all of them (MSG_WAITALL).
    public func receive(
        _ socket: CInt, into bytes: UnsafeMutableRawPointer, count: Int, whole: Bool = false, for handler: LoopHandler,
        tag: UInt32
    ) {
        let name = begin(handler, tag)
        let flags = whole ? CInt(MSG_WAITALL) : 0
        note(sda_ring_recv(ring.handle, name, socket, bytes, UInt32(count), flags), name)
    }

    /// Sends; the result may be fewer bytes than asked for. A dead peer is EPIPE, never a signal.
    public func send(
        _ socket: CInt, _ bytes: UnsafeRawPointer, count: Int, for handler: LoopHandler, tag: UInt32
    ) {
        let name = begin(handler, tag)
        note(sda_ring_send(ring.handle, name, socket, bytes, UInt32(count), 0), name)
    }

    /// Sends pieces from several places; goes on by itself after a short send, so that fewer bytes mean an error later.
    /// - Parameter header: `messageHeaderBytes` bytes for the kernel's description; they and the vectors too must stay
    ///   until the operation has ended.
    public func send(
        _ socket: CInt, _ vectors: UnsafeMutablePointer<IOVector>, count: Int, header: UnsafeMutableRawPointer,
        for handler: LoopHandler, tag: UInt32
    ) {
        let name = begin(handler, tag)
        note(sda_ring_sendv(ring.handle, name, socket, header, vectors, UInt32(count)), name)
    }

    /// Bytes of a struct msghdr, and a few for the future.
    public static let messageHeaderBytes = 64

    /// Ends both directions of a socket: what waits on it completes.
    public func shutDown(_ socket: CInt, for handler: LoopHandler, tag: UInt32) {
        let name = begin(handler, tag)
        note(sda_ring_shutdown(ring.handle, name, socket, CInt(SHUT_RDWR)), name)
    }

    /// Waits until the descriptor is ready for one of `events` (poll(2)); once.
    public func poll(_ descriptor: CInt, events: Int16, for handler: LoopHandler, tag: UInt32) {
        let name = begin(handler, tag)
        note(sda_ring_poll(ring.handle, name, descriptor, UInt32(UInt16(bitPattern: events))), name)
    }

    /// Cancels what `handler` started under `target`: that completes with ECANCELED, or as it would have if it was too
    /// late. The cancelling itself completes under `tag`.
    public func cancel(_ target: UInt32, of handler: LoopHandler, tag: UInt32) {
        let name = begin(handler, tag)
        note(sda_ring_cancel(ring.handle, name, UInt64(handler.index) << 32 | UInt64(target)), name)
    }

    /// Cancels everything on a descriptor.
    public func cancelAll(on descriptor: CInt, for handler: LoopHandler, tag: UInt32) {
        let name = begin(handler, tag)
        note(sda_ring_cancel_descriptor(ring.handle, name, descriptor), name)
    }

    /// Cancels everything of everyone: a stopping loop's last word.
    func cancelEverything(for handler: LoopHandler) {
        let name = begin(handler, 0)
        note(sda_ring_cancel_all(ring.handle, name), name)
    }

    /// Completes in the next turn, without doing anything.
    public func nop(for handler: LoopHandler, tag: UInt32) {
        let name = begin(handler, tag)
        note(sda_ring_nop(ring.handle, name), name)
    }
}
