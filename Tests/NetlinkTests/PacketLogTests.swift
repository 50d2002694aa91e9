import Netlink
import Testing
import TestSupport

/// Packets that a rule logs to a group, and their listener.
@Suite("logged packets", .enabled(if: TestNamespace.isPossible))
struct PacketLogTests {
    private static func table(_ group: UInt16, snapLength: UInt32? = nil) -> NFTable {
        let isEcho: [NFExpression] = [
            .meta(.layer4Protocol, into: 0), .compare(0, .equal, [1]),
            .payload(.transport, offset: 0, length: 1, into: 0), .compare(0, .equal, [8]),
        ]
        return NFTable(
            family: .inet, name: "sample",
            chains: [
                NFChain(
                    "in", hook: NFChain.Hook(.filter, .input, priority: 0),
                    rules: [
                        NFRule(isEcho + [.log(.group(group, prefix: "sd:deny:web", snapLength: snapLength))]),
                        NFRule([.log(.group(group + 1, prefix: "all"))]),
                    ])
            ])
    }

    /// A listener, and what it has taken so far.
    private final class Listener {
        private var log: PacketLog
        private(set) var packets: [LoggedPacket] = []
        private(set) var lost = 0

        init(_ group: UInt16, snapLength: UInt32 = 128, in namespace: TestNamespace) throws {
            log = try PacketLog(group: group, snapLength: snapLength, in: .namespace(namespace.name))
        }

        /// - Returns: how many it took, and whether there may be more.
        @discardableResult
        func take(limit: Int = 1000) throws -> (count: Int, isLimited: Bool) {
            var taken: [LoggedPacket] = []
            let drained = try log.drain(limit: limit) { taken.append($0) }
            packets += taken
            lost += drained.lost
            #expect(drained.packets == taken.count)
            return (taken.count, drained.isLimited)
        }

        /// Takes until so many have come or are known to be lost, for a second at most.
        func take(until count: Int) async throws {
            for _ in 0..<50 where packets.count + lost < count {
                try take()
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    @Test func `a listener gets the packets of its group, with what the rule and the packet say`() async throws {
        try await TestNamespace.with { namespace in
            try await Rounds.trip(Self.table(9), in: namespace)
            let log = try Listener(9, snapLength: 40, in: namespace)
            try await namespace.run("ping", "-c", "3", "-i", "0.05", "-s", "100", "127.0.0.1")
            try await log.take(until: 3)
            #expect(log.packets.count == 3 && log.lost == 0)
            let one = try #require(log.packets.first)
            #expect(one.prefix == "sd:deny:web" && one.group == 9 && one.hook == 1 && one.etherType == 0x0800)
            #expect(one.input == 1 && one.output == nil)
            #expect(one.hardwareHeader.count == 14)
            // The start of an IPv4 header, of a packet longer than what was asked for.
            #expect(one.payload.count == 40 && one.payload.prefix(4) == [0x45, 0, 0, 128])
            #expect(Array(one.payload[12..<20]) == [127, 0, 0, 1, 127, 0, 0, 1])
            #expect(try log.take() == (0, false))
        }
    }

    @Test func `a rule may cut packets shorter, and a group has one listener`() async throws {
        try await TestNamespace.with { namespace in
            try await Rounds.trip(Self.table(20, snapLength: 24), in: namespace)
            let log = try Listener(20, in: namespace)
            do throws(NetlinkError) {
                _ = try PacketLog(group: 20, in: .namespace(namespace.name))
                Issue.record("two listeners of one group")
            } catch {
                #expect("\(error)".contains("listen to logged packets group 20"), "\(error)")
            }
            try await namespace.run("ping", "-c", "1", "127.0.0.1")
            try await log.take(until: 1)
            #expect(log.packets.map(\.payload.count) == [24])
        }
    }

    @Test func `packets that nobody took are bounded, and those lost are counted`() async throws {
        try await TestNamespace.with { namespace in
            try await Rounds.trip(Self.table(30), in: namespace)
            let log = try Listener(31, snapLength: 1500, in: namespace)
            let count = 12_000
            try await namespace.run(
                "ping", "-f", "-q", "-s", "1400", "-c", "\(count / 2)", "127.0.0.1", seconds: 50)
            try await Task.sleep(for: .milliseconds(300))
            for _ in 0..<100 {
                let taken = try log.take(limit: 500)
                // What came in the last datagram comes with it.
                #expect(taken.count < 500 + 100)
                if !taken.isLimited { break }
            }
            // 4 MiB of buffer, which the kernel doubles.
            #expect(log.packets.reduce(0) { $0 + $1.payload.count } < 16 << 20 && !log.packets.isEmpty)
            // One more shows how many went before it.
            try await namespace.run("ping", "-c", "1", "127.0.0.1")
            try await log.take(until: count + 2)
            #expect(log.lost > 0)
            #expect(log.packets.count + log.lost == count + 2)
        }
    }
}
