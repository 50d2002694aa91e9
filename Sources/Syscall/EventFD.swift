internal import CLinux
public import SystemPackage

/// A counter that one thread adds to and another waits on (eventfd(2)): the wake-up of a loop.
public struct EventFD: ~Copyable, Sendable {
    /// Read eight bytes from it to wait for a signal and to take it.
    public let descriptor: Descriptor

    public init() throws(Errno) {
        descriptor = Descriptor(adopting: try linuxCall { sda_eventfd() })
    }

    /// Wakes whoever reads; any thread may call it.
    public func signal() {
        sda_eventfd_signal(descriptor.raw)
    }
}
