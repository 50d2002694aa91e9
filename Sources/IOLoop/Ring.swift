internal import CLinux
internal import SystemPackage

/// One io_uring, owned by its `Loop`: submissions gather until `enter` hands them to the kernel in one call.
///
/// Made on any thread, used only on the one that called `enable`.
struct Ring: ~Copyable {
    let handle: OpaquePointer

    /// - Parameters:
    ///   - entries: operations that one `enter` can submit; when more gather, the kernel takes them early.
    ///   - completions: completions that fit before the kernel keeps them in a list of its own; at least `entries`.
    init(entries: UInt32, completions: UInt32) throws(Errno) {
        var error: CInt = 0
        guard let handle = sda_ring_create(entries, completions, &error) else { throw Errno(rawValue: error) }
        self.handle = handle
    }

    deinit { sda_ring_destroy(handle) }

    /// Ties the ring to the calling thread.
    func enable() throws(Errno) {
        let result = sda_ring_enable(handle)
        if result < 0 { throw Errno(rawValue: -result) }
    }

    /// Pins slabs so that the kernel need not look up their pages for each operation.
    /// - Returns: false if the kernel refuses (RLIMIT_MEMLOCK); the slabs serve unregistered then.
    func register(_ slabs: [IOVector]) -> Bool {
        sda_ring_register_buffers(handle, slabs, UInt32(slabs.count)) == 0
    }

    /// Submits, and takes what has completed.
    /// - Parameters:
    ///   - waits: sleep until there is a completion.
    ///   - limit: but at most this long, in nanoseconds; nil for as long as it takes.
    func enter(waits: Bool, limit: UInt64?) throws(Errno) {
        let nanoseconds = limit.map { Int64(clamping: $0) } ?? -1
        let result = sda_ring_enter(handle, waits, nanoseconds)
        // The kernel is short of memory: it took nothing, and is asked again on the next turn.
        if result < 0 && result != -Errno.resourceTemporarilyUnavailable.rawValue
            && result != -Errno.resourceBusy.rawValue
        {
            throw Errno(rawValue: -result)
        }
    }

    /// Copies completions out; returns how many.
    func reap(into completions: UnsafeMutableBufferPointer<sda_completion>) -> Int {
        Int(sda_ring_reap(handle, completions.baseAddress, UInt32(completions.count)))
    }
}
