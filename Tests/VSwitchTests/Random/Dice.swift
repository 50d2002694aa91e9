import TestSupport

/// Throws of dice, the same whenever the seed is.
struct Dice: RandomNumberGenerator {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func next() -> UInt64 { generator.next() }

    /// Yes, once in so many throws.
    mutating func isOne(in count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }

    mutating func pick<Value>(_ values: [Value]) -> Value? { values.randomElement(using: &self) }

    /// So many of the values at most, in a random order.
    mutating func some<Value>(of values: [Value], _ count: ClosedRange<Int>) -> [Value] {
        Array(values.shuffled(using: &self).prefix(Int.random(in: count, using: &self)))
    }
}
