/// The handlers of a loop by index, owned by the loop; a place is used again after its handler has gone.
struct HandlerTable {
    // Unmanaged, because a strong reference would be counted up and down at each completion.
    private var handlers: UnsafeMutablePointer<Unmanaged<LoopHandler>?>
    private var capacity = 64
    private var used = 0
    private var free: [UInt32] = []
    private var retired: [UInt32] = []

    init() {
        handlers = .allocate(capacity: capacity)
        handlers.initialize(repeating: nil, count: capacity)
    }

    /// Releases every handler and the table.
    mutating func destroy() {
        for index in 0..<used {
            handlers[index]?.release()
        }
        handlers.deallocate()
        used = 0
    }

    mutating func reserve() -> UInt32 {
        if let index = free.popLast() { return index }
        if used == capacity { grow() }
        used += 1
        return UInt32(used - 1)
    }

    mutating func fill(_ index: UInt32, with handler: LoopHandler) {
        handlers[Int(index)] = .passRetained(handler)
    }

    /// The handler at `index`. It is in the table for as long as one of its operations is in flight.
    subscript(index: UInt32) -> Unmanaged<LoopHandler>? {
        Int(index) < used ? handlers[Int(index)] : nil
    }

    /// Lets go of it at the next `releaseRetired`: it may be the caller.
    mutating func noteRetired(_ index: UInt32) {
        retired.append(index)
    }

    mutating func releaseRetired() {
        while let index = retired.popLast() {
            let handler = handlers[Int(index)]
            handlers[Int(index)] = nil
            free.append(index)
            handler?.release()
        }
    }

    /// Handlers in the table.
    var all: [LoopHandler] {
        (0..<used).compactMap { handlers[$0]?.takeUnretainedValue() }
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Unmanaged<LoopHandler>?>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: handlers, count: capacity)
        (larger + capacity).initialize(repeating: nil, count: capacity)
        handlers.deallocate()
        handlers = larger
        capacity *= 2
    }
}
