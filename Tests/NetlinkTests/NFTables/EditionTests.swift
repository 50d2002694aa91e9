import TestSupport
import Testing

@testable import Netlink

/// What an edited set remembers is what a comparison of all its elements would find.
@Suite("Edited sets")
struct EditionTests {
    private static func key(_ port: UInt16) -> NFKey { NFKey(.port(port)) }

    private static func set(_ ports: some Sequence<UInt16>) -> NFSet {
        var set = NFSet("ports", key: [.port], target: .verdict)
        for port in ports { set.elements[key(port)] = .verdict(.accept) }
        return set
    }

    /// The same set, of which nobody knows how it came to be.
    private static func plain(_ set: NFSet) -> NFSet {
        NFSet(set.name, key: set.key, target: set.target, elements: set.elements)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func areWhatAComparisonFinds(seed: UInt64) {
        var dice = SeededGenerator(seed: seed)
        var history = [Self.set(0..<200)]
        for _ in 0..<30 {
            var next = history[history.count - 1]
            let removed = (0..<Int.random(in: 0...3, using: &dice)).map { _ in
                Self.key(UInt16.random(in: 0..<250, using: &dice))
            }
            let added = (0..<Int.random(in: 0...3, using: &dice)).map { _ in
                (
                    Self.key(UInt16.random(in: 0..<250, using: &dice)),
                    NFData.verdict(Bool.random(using: &dice) ? .accept : .drop)
                )
            }
            next.edit(removing: removed, inserting: Dictionary(added) { first, _ in first })
            // Changed past the edit, now and then.
            if Int.random(in: 0..<5, using: &dice) == 0 { next.elements[Self.key(999)] = .verdict(.drop) }
            history.append(next)
            // Against the last one, and against one of long ago.
            for old in [history[history.count - 2], history[Int.random(in: history.indices, using: &dice)]] {
                let plain = NFSetChange(from: Self.plain(old), to: Self.plain(next))
                #expect(NFSetChange(from: old, to: next) == plain, "seed \(seed)")
                #expect((old == next) == (plain == nil), "seed \(seed)")
                #expect((next == old) == (plain == nil), "seed \(seed)")
            }
        }
    }
}
