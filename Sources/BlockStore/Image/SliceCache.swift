/// The slices of L2 tables that an image holds in memory, in host byte order, with a fixed budget. Owned by its image.
///
/// A directory gives the slot of a slice by its number: one load for a hit. Slots are reused by a clock; a slot that is
/// dirty, pinned, or being written is never reused.
struct SliceCache: ~Copyable {
    /// The number of a slot.
    typealias Slot = Int

    private struct State {
        var slice: Int32 = -1
        var pins: Int32 = 0
        var isDirty = false
        /// Part of a commit that has not ended: what the file holds may be old.
        var isCommitting = false
        var wasUsed = false
    }

    // SAFETY: the three allocations live as long as the cache, and every index is checked by its caller:
    // slices against the L1 table, places by the geometry's mask.
    private let entries: UnsafeMutablePointer<UInt64>
    private var directory: UnsafeMutablePointer<Int32>
    private let states: UnsafeMutablePointer<State>
    private var directoryCount: Int
    private let sliceBits: Int
    private var hand = 0
    private var used = 0
    let capacity: Int
    private(set) var dirtyCount = 0

    /// - Parameters:
    ///   - slices: how many slices the disk has.
    ///   - budget: bytes for entries; at least 64 slices are held whatever it says.
    init(geometry: Geometry, slices: Int, budget: Int) {
        capacity = max(64, min(budget / geometry.sliceBytes, max(slices, 64)))
        sliceBits = geometry.sliceBits
        entries = .allocate(capacity: capacity << geometry.sliceBits)
        states = .allocate(capacity: capacity)
        states.initialize(repeating: State(), count: capacity)
        directoryCount = max(slices, 1)
        directory = .allocate(capacity: directoryCount)
        directory.initialize(repeating: 0, count: directoryCount)
    }

    deinit {
        entries.deallocate()
        states.deallocate()
        directory.deallocate()
    }

    /// Makes room for the slices of a larger disk.
    mutating func grow(slices: Int) {
        guard slices > directoryCount else { return }
        let wider = UnsafeMutablePointer<Int32>.allocate(capacity: slices)
        wider.initialize(from: directory, count: directoryCount)
        (wider + directoryCount).initialize(repeating: 0, count: slices - directoryCount)
        directory.deallocate()
        directory = wider
        directoryCount = slices
    }

    /// The slot that holds a slice, nil if none does.
    @inline(__always)
    func slot(_ slice: SliceIndex) -> Slot? {
        let slot = directory[slice.index]
        guard slot != 0 else { return nil }
        states[Int(slot) - 1].wasUsed = true
        return Int(slot) - 1
    }

    @inline(__always)
    func entry(_ slot: Slot, _ place: Int) -> MappingEntry {
        MappingEntry(raw: entries[slot << sliceBits + place])
    }

    /// Marks an entry as being allocated, or no longer so. The mark never leaves the memory.
    mutating func setBusy(_ slot: Slot, _ place: Int, _ isBusy: Bool) {
        if isBusy {
            entries[slot << sliceBits + place] |= MappingEntry.busy
        } else {
            entries[slot << sliceBits + place] &= ~MappingEntry.busy
        }
    }

    func isDirty(_ slot: Slot) -> Bool { states[slot].isDirty }

    /// Sets an entry and marks its slice dirty.
    mutating func set(_ slot: Slot, _ place: Int, _ entry: MappingEntry) {
        entries[slot << sliceBits + place] = entry.raw
        guard !states[slot].isDirty else { return }
        states[slot].isDirty = true
        dirtyCount += 1
    }

    /// Takes a slot for a slice that is not held, all entries zero; nil if every slot is in use or dirty.
    mutating func take(_ slice: SliceIndex) -> Slot? {
        guard let slot = freeSlot() else { return nil }
        let old = states[slot].slice
        if old >= 0 { directory[Int(old)] = 0 }
        states[slot] = State()
        states[slot].slice = Int32(slice.index)
        states[slot].wasUsed = true
        directory[slice.index] = Int32(slot) + 1
        (entries + slot << sliceBits).initialize(repeating: 0, count: 1 << sliceBits)
        return slot
    }

    private mutating func freeSlot() -> Slot? {
        if used < capacity {
            used += 1
            return used - 1
        }
        for _ in 0..<2 * capacity {
            hand = hand + 1 == capacity ? 0 : hand + 1
            let state = states[hand]
            if state.pins > 0 || state.isDirty || state.isCommitting { continue }
            if state.wasUsed, state.slice >= 0 {
                states[hand].wasUsed = false
                continue
            }
            return hand
        }
        return nil
    }

    /// Fills a slot with the big-endian entries of a file.
    mutating func fill(_ slot: Slot, from bytes: UnsafeRawBufferPointer) {
        let base = entries + slot << sliceBits
        for place in 0..<min(1 << sliceBits, bytes.count / 8) {
            base[place] = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: place * 8, as: UInt64.self))
        }
    }

    /// Gives a slot's entries as big-endian bytes.
    func copy(_ slot: Slot, to bytes: UnsafeMutableRawBufferPointer) {
        let base = entries + slot << sliceBits
        for place in 0..<1 << sliceBits {
            bytes.storeBytes(of: (base[place] & ~MappingEntry.busy).bigEndian, toByteOffset: place * 8, as: UInt64.self)
        }
    }

    /// Forgets a slot's slice.
    mutating func drop(_ slot: Slot) {
        if states[slot].slice >= 0 { directory[Int(states[slot].slice)] = 0 }
        if states[slot].isDirty { dirtyCount -= 1 }
        states[slot] = State()
    }

    /// Keeps a slot's slice in memory until as many `unpin`.
    mutating func pin(_ slot: Slot) { states[slot].pins += 1 }
    mutating func unpin(_ slot: Slot) { states[slot].pins -= 1 }

    /// The dirty slices, which become part of a commit: clean, but held until `endCommit`.
    mutating func beginCommit() -> [(slot: Slot, slice: SliceIndex)] {
        var found: [(slot: Slot, slice: SliceIndex)] = []
        guard dirtyCount > 0 else { return found }
        found.reserveCapacity(dirtyCount)
        for slot in 0..<used where states[slot].isDirty {
            states[slot].isDirty = false
            states[slot].isCommitting = true
            found.append((slot, SliceIndex(index: Int(states[slot].slice))))
        }
        dirtyCount = 0
        found.sort { $0.slice.index < $1.slice.index }
        return found
    }

    /// Ends a commit; after a failed one its slices are dirty again.
    mutating func endCommit(succeeded: Bool) {
        for slot in 0..<used where states[slot].isCommitting {
            states[slot].isCommitting = false
            guard !succeeded, !states[slot].isDirty else { continue }
            states[slot].isDirty = true
            dirtyCount += 1
        }
    }
}
