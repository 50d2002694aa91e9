/// Slots for small values without references, named by index; grows, never shrinks. Owned by one disk.
struct Slab<Element: BitwiseCopyable>: ~Copyable {
    // SAFETY: the memory lives as long as the slab; indices come from `take` and go back once.
    private var memory: UnsafeMutablePointer<Element>
    private var capacity: Int
    private var free: [Int32]
    private(set) var used = 0

    init(capacity: Int) {
        self.capacity = capacity
        memory = .allocate(capacity: capacity)
        free = (0..<Int32(capacity)).reversed()
    }

    deinit { memory.deallocate() }

    @inline(__always)
    mutating func take(_ value: Element) -> Int {
        if free.isEmpty { grow() }
        let index = Int(free.removeLast())
        memory[index] = value
        used += 1
        return index
    }

    @inline(__always)
    mutating func give(_ index: Int) {
        free.append(Int32(index))
        used -= 1
    }

    subscript(index: Int) -> Element {
        @inline(__always) get { memory[index] }
        @inline(__always) nonmutating set { memory[index] = newValue }
    }

    /// The slot's memory; valid until the next `take`.
    @inline(__always)
    func slot(_ index: Int) -> UnsafeMutablePointer<Element> { memory + index }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
        larger.update(from: memory, count: capacity)
        memory.deallocate()
        memory = larger
        for index in (capacity..<capacity * 2).reversed() { free.append(Int32(index)) }
        capacity *= 2
    }
}
