internal import Glibc
internal import SystemPackage

/// A piece of a loop's buffer memory, lent until it is given back to the pool.
public struct Buffer: Equatable {
    public let start: UnsafeMutableRawPointer
    /// Bytes that fit.
    public let capacity: Int
    /// Its place: size class in the upper half, slot in the lower.
    let place: UInt32

    /// All of it, or its first `count` bytes.
    public func bytes(_ count: Int? = nil) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: start, count: min(count ?? capacity, capacity))
    }
}

/// What one user of a pool has lent, by size class: the pool keeps it from taking what others need.
public struct BufferShare: Equatable {
    // Slots by class; few classes, counted without an allocation for each buffer.
    fileprivate var slots: [Int] = []

    public init() {}

    /// Nothing is lent.
    public var isEmpty: Bool { slots.allSatisfy { $0 == 0 } }

    fileprivate func count(from index: Int) -> Int {
        slots.dropFirst(index).reduce(0, +)
    }
}

/// The buffers of a loop: slabs of a fixed total, cut into slots by size class. Nothing is allocated later: out of
/// slots is an answer (nil), and the caller waits.
///
/// Memory is taken from the kernel page by page as slots are first used.
public struct BufferPool {
    /// How many slots of which size.
    public struct Class: Sendable, Equatable {
        public var bytes: Int
        public var slots: Int

        public init(bytes: Int, slots: Int) {
            self.bytes = bytes
            self.slots = slots
        }
    }

    private struct Slab {
        let slotBytes: Int
        let slots: Int
        let memory: UnsafeMutableRawPointer
        // A stack of free slots: the one given back last is the one whose lines are still in the cache.
        let free: UnsafeMutablePointer<UInt16>
        let lent: UnsafeMutablePointer<Bool>
        var freeCount: Int
    }

    private var slabs: [Slab] = []
    /// The kernel has the slabs pinned, so operations may name them by index.
    var isRegistered = false
    /// Something came back since the last look.
    var hasReturns = false
    /// Bytes of all slots together.
    public let budget: Int
    /// Bytes of the slots that are lent.
    public private(set) var lentBytes = 0

    /// - Parameter classes: in rising order of size, each at most 65,535 slots; sizes are multiples of 4096.
    init(_ classes: [Class]) throws(Errno) {
        budget = classes.reduce(0) { $0 + $1.bytes * $1.slots }
        for kind in classes {
            precondition(kind.bytes % 4096 == 0 && kind.slots <= Int(UInt16.max), "a size class of whole pages")
            let length = kind.bytes * kind.slots
            let flags = MAP_PRIVATE | CInt(MAP_ANONYMOUS) | CInt(MAP_NORESERVE)
            guard let memory = mmap(nil, length, PROT_READ | PROT_WRITE, flags, -1, 0), memory != MAP_FAILED else {
                destroy()
                throw .noMemory
            }
            let free = UnsafeMutablePointer<UInt16>.allocate(capacity: kind.slots)
            let lent = UnsafeMutablePointer<Bool>.allocate(capacity: kind.slots)
            lent.initialize(repeating: false, count: kind.slots)
            for slot in 0..<kind.slots {
                free[slot] = UInt16(kind.slots - 1 - slot)
            }
            slabs.append(
                Slab(
                    slotBytes: kind.bytes, slots: kind.slots, memory: memory, free: free, lent: lent,
                    freeCount: kind.slots))
        }
    }

    /// Returns the memory; only when no operation and nobody else uses it any more.
    mutating func destroy() {
        for slab in slabs {
            munmap(slab.memory, slab.slotBytes * slab.slots)
            slab.free.deallocate()
            slab.lent.deallocate()
        }
        slabs = []
    }

    /// The largest slot there is.
    public var largest: Int { slabs.last?.slotBytes ?? 0 }

    /// Lends the smallest free slot that holds `count` bytes; nil when there is none now.
    public mutating func take(_ count: Int) -> Buffer? {
        for index in slabs.indices where slabs[index].slotBytes >= count && slabs[index].freeCount > 0 {
            slabs[index].freeCount -= 1
            let slab = slabs[index]
            let slot = Int(slab.free[slab.freeCount])
            slab.lent[slot] = true
            lentBytes += slab.slotBytes
            return Buffer(
                start: slab.memory + slot * slab.slotBytes, capacity: slab.slotBytes,
                place: UInt32(index) << 16 | UInt32(slot))
        }
        return nil
    }

    /// As `take(_:)`, within the user's share: who holds as many slots of that size as are free gets no more.
    ///
    /// So one alone gets half of them, whoever comes later finds some, and who has none takes the next. The rule needs
    /// no number of users.
    public mutating func take(_ count: Int, of share: inout BufferShare) -> Buffer? {
        guard let index = slabs.firstIndex(where: { $0.slotBytes >= count }) else { return nil }
        if share.slots.count < slabs.count { share.slots = [Int](repeating: 0, count: slabs.count) }
        let held = share.count(from: index)
        guard held == 0 || held < freeSlots(of: count), let buffer = take(count) else { return nil }
        share.slots[Int(buffer.place >> 16)] += 1
        return buffer
    }

    /// Takes a slot back that was lent within a share.
    public mutating func give(_ buffer: Buffer, to share: inout BufferShare) {
        share.slots[Int(buffer.place >> 16)] -= 1
        give(buffer)
    }

    /// Bytes of the slots that a share holds.
    public func bytes(of share: BufferShare) -> Int {
        zip(slabs, share.slots).reduce(0) { $0 + $1.0.slotBytes * $1.1 }
    }

    /// Takes a slot back.
    public mutating func give(_ buffer: Buffer) {
        let index = Int(buffer.place >> 16)
        let slot = Int(buffer.place & 0xffff)
        let slab = slabs[index]
        precondition(slab.lent[slot], "a buffer was given back twice")
        slab.lent[slot] = false
        slab.free[slab.freeCount] = UInt16(slot)
        slabs[index].freeCount += 1
        lentBytes -= slab.slotBytes
        hasReturns = true
    }

    /// Slots of at least `count` bytes that are free.
    private func freeSlots(of count: Int) -> Int {
        slabs.reduce(0) { $0 + ($1.slotBytes >= count ? $1.freeCount : 0) }
    }

    /// The slabs as the kernel registers them, in the order of the size classes.
    var vectors: [IOVector] {
        slabs.map { IOVector($0.memory, $0.slotBytes * $0.slots) }
    }
}
