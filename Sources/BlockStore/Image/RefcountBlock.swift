/// One refcount block in memory, as its bytes stand in the file. Owned by the image's refcounts.
struct RefcountBlock {
    /// Where it is in the file.
    let offset: HostOffset
    /// Bits of one refcount, as a power of two: 0 (one bit) to 6 (64 bits).
    let order: UInt32
    private(set) var bytes: [UInt8]
    /// The bytes that differ from the file's.
    private(set) var dirty: Range<Int>?
    /// Clusters of this block that are free and may be handed out.
    var freeCount = 0
    /// No free cluster lies before this one.
    var searchStart = 0
    /// The allocator has it in its list of blocks with free clusters.
    var isListed = false
    /// Clusters of this block whose refcount will drop when their unmapping is durable.
    var pendingFrees = 0

    init(offset: HostOffset, order: UInt32, bytes: [UInt8]) {
        self.offset = offset
        self.order = order
        self.bytes = bytes
    }

    var count: Int { (bytes.count * 8) >> Int(order) }

    /// The largest refcount that fits.
    var maximum: UInt64 { order == 6 ? .max : (1 << (1 << UInt64(order))) - 1 }

    /// The refcount at `index`. Widths under a byte fill each byte from its low bits (qcow2 specification).
    subscript(index: Int) -> UInt64 {
        if order == 4 {
            return UInt64(bytes[index * 2]) << 8 | UInt64(bytes[index * 2 + 1])
        }
        if order < 3 {
            let bit = index << Int(order)
            let mask = UInt8(truncatingIfNeeded: maximum)
            return UInt64(bytes[bit >> 3] >> UInt8(bit & 7) & mask)
        }
        let width = 1 << Int(order - 3)
        var value: UInt64 = 0
        for place in 0..<width { value = value << 8 | UInt64(bytes[index * width + place]) }
        return value
    }

    /// Sets a refcount that fits, and marks its sector dirty.
    mutating func set(_ index: Int, _ value: UInt64) {
        let first: Int
        if order < 3 {
            let bit = index << Int(order)
            let mask = UInt8(truncatingIfNeeded: maximum) << UInt8(bit & 7)
            first = bit >> 3
            bytes[first] = bytes[first] & ~mask | UInt8(truncatingIfNeeded: value) << UInt8(bit & 7)
        } else {
            let width = 1 << Int(order - 3)
            first = index * width
            for place in 0..<width {
                bytes[first + place] = UInt8(truncatingIfNeeded: value >> UInt64((width - 1 - place) * 8))
            }
        }
        mark(first)
    }

    private mutating func mark(_ byte: Int) {
        let low = byte & ~4095
        let high = min(low + 4096, bytes.count)
        if let old = dirty {
            dirty = min(old.lowerBound, low)..<max(old.upperBound, high)
        } else {
            dirty = low..<high
        }
    }

    /// Marks all of it, for a block that the file does not have yet.
    mutating func markWhole() { dirty = 0..<bytes.count }

    /// Takes the dirty range; the caller writes it.
    mutating func takeDirty() -> Range<Int>? {
        defer { dirty = nil }
        return dirty
    }

    /// Gives back what could not be written.
    mutating func restoreDirty(_ range: Range<Int>) {
        if let old = dirty {
            dirty = min(old.lowerBound, range.lowerBound)..<max(old.upperBound, range.upperBound)
        } else {
            dirty = range
        }
    }
}
