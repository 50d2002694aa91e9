/// Numbers that look random and are the same whenever the seed is.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        // SplitMix64.
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// Yes, once in so many throws.
    mutating func isOne(in count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }

    mutating func pick<Value>(_ values: [Value]) -> Value? { values.randomElement(using: &self) }

    /// So many of the values at most, in a random order.
    mutating func some<Value>(of values: [Value], _ count: ClosedRange<Int>) -> [Value] {
        Array(values.shuffled(using: &self).prefix(Int.random(in: count, using: &self)))
    }
}
