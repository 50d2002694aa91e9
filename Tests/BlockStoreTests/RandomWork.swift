import TestSupport
import SystemPackage
import Testing

@testable import BlockStore

/// Rounds of concurrent requests that do not overlap, checked against an array after each.
enum RandomWork {
    struct Item: Sendable {
        var kind: DiskRequest.Operation
        var offset: Int
        var length: Int
        var fill: UInt8
        /// Writes with low values are to be durable when they are answered.
        var isDurable: Bool { fill < 40 }
    }

    /// - Parameter keepsPartialDiscards: parts of clusters keep their bytes when discarded, as they do in qcow2.
    static func run(
        _ session: DiskSession, _ shadow: inout Shadow, _ random: inout SeededGenerator, rounds: Int,
        keepsPartialDiscards: Bool = true
    ) async throws {
        let clusterBytes = await session.disk.run { $0.granularity }
        for round in 0..<rounds {
            let items = makeItems(shadow.bytes.count, &random)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for item in items {
                    let expected = Array(shadow.bytes[item.offset..<item.offset + item.length])
                    group.addTask { try await perform(item, session, expected) }
                }
                try await group.waitForAll()
            }
            for item in items { apply(item, &shadow, clusterBytes, keepsPartialDiscards) }
            if round % 5 == 4 { try await session.flush() }
            if round % 10 == 9 {
                let all = try await session.read(0, shadow.bytes.count)
                let isSame = all == shadow.bytes
                #expect(isSame, "round \(round)")
            }
        }
    }

    /// Requests in rising order that do not overlap.
    static func makeItems(
        _ size: Int, _ random: inout SeededGenerator, count: Int = 16, maximumBytes: Int = 1 << 20
    ) -> [Item] {
        var items: [Item] = []
        var offset = Int.random(in: 0..<64, using: &random) * 512
        while items.count < count {
            let sizes = [512, 4096, 65536, maximumBytes]
            var length = Int.random(in: 1...sizes[Int(random.next() % 4)] / 512, using: &random) * 512
            guard offset < size else { break }
            length = min(length, size - offset)
            let kinds: [DiskRequest.Operation] = [.write, .write, .write, .read, .writeZeroes, .discard]
            let kind = kinds[Int(random.next() % 6)]
            items.append(
                Item(
                    kind: kind, offset: offset, length: length, fill: UInt8.random(in: 1...255, using: &random)))
            offset += length + Int.random(in: 0..<(size / 512 / 8), using: &random) * 512
        }
        return items
    }

    static func perform(_ item: Item, _ session: DiskSession, _ expected: [UInt8]?) async throws {
        let offset = UInt64(item.offset)
        switch item.kind {
        case .write:
            let bytes = [UInt8](repeating: item.fill, count: item.length)
            try await session.write(offset, bytes, isDurable: item.isDurable)
        case .read:
            let bytes = try await session.read(offset, item.length)
            if let expected { #expect(bytes == expected) }
        case .writeZeroes: try await session.zero(offset, item.length)
        case .discard: try await session.discard(offset, item.length)
        case .flush: try await session.flush()
        }
    }

    private static func apply(_ item: Item, _ shadow: inout Shadow, _ clusterBytes: Int, _ keepsPartial: Bool) {
        switch item.kind {
        case .write: shadow.write(item.offset, [UInt8](repeating: item.fill, count: item.length))
        case .writeZeroes: shadow.zero(item.offset, item.length)
        case .discard:
            guard keepsPartial else { return shadow.zero(item.offset, item.length) }
            let start = (item.offset + clusterBytes - 1) / clusterBytes * clusterBytes
            let end = item.offset + item.length
            let last = end == shadow.bytes.count ? end : end / clusterBytes * clusterBytes
            if start < last { shadow.zero(start, last - start) }
        case .read, .flush: break
        }
    }
}
