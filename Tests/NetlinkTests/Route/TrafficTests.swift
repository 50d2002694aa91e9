import Netlink
import Syscall
import TestSupport
import Testing

/// Queueing disciplines and filters: their bytes, and the kernel's view of them.
struct TrafficTests {
    private let bucket = TokenBucket(rate: 12_500_000, burst: 65_536, limit: 690_536)

    @Test func `a token bucket, and the filter that leads to it`() throws {
        var batch = MessageWriter()
        batch.setTokenBucket(bucket, of: 7, major: 0x5da2, overhead: -14)
        batch.addFilter(TrafficFilter(on: 8, .ingress, priority: 0x5da2, .redirect(to: 7)))
        #expect(
            hex(batch.bytes)
                == hex(
                    "80000000 2400 0105 00000000 00000000  # nlmsghdr: 128 bytes, RTM_NEWQDISC, REQUEST|CREATE|REPLACE",
                    "00 00 0000 07000000 0000a25d ffffffff 00000000  # tcmsg: link 7, 5da2:, root",
                    "0800 0100 74626600  # TCA_KIND tbf",
                    "3400 0280  # TCA_OPTIONS, nested",
                    "2800 0100  # TCA_TBF_PARMS",
                    "00 01 0000 0000 0000 20bcbe00  # rate: Ethernet, 12500000 bytes a second",
                    "00 00 0000 0000 0000 00000000 68890a00 00000000 00000000  # no peak rate, limit 690536",
                    "0800 0600 00000100  # TCA_TBF_BURST 65536",
                    "2000 0880  # TCA_STAB, nested",
                    "1c00 0100  # TCA_STAB_BASE",
                    "00 00 0000 f2ffffff 01000000 00000000 00000000 00000000  # overhead -14, Ethernet",
                    "8c000000 2c00 0106 00000000 00000000  # nlmsghdr: 140 bytes, RTM_NEWTFILTER, REQUEST|CREATE|EXCL",
                    "00 00 0000 08000000 00000000 f2ffffff 0003a25d  # tcmsg: link 8, ffff:fff2, all packets",
                    "0800 0100 75333200  # TCA_KIND u32",
                    "6000 0280  # TCA_OPTIONS, nested",
                    "2400 0500  # TCA_U32_SEL",
                    "01 00 01 00 0000 0000 0000 0000 00000000  # terminal, one key",
                    "00000000 00000000 00000000 00000000  # of mask 0",
                    "3800 0780 3400 0180  # TCA_U32_ACT, the first",
                    "0b00 0100 6d697272656400 00  # TCA_ACT_KIND mirred",
                    "2400 0280 2000 0200  # TCA_ACT_OPTIONS, TCA_MIRRED_PARMS",
                    "00000000 00000000 04000000 00000000 00000000 01000000 07000000  # stolen, TCA_EGRESS_REDIR, link 7"
                ))
    }

    @Test(
        .enabled(if: TestNamespace.isPossible),
        arguments: [8_000, 125_000, 12_500_000, 125_000_000, 12_500_000_000] as [UInt64])
    func `a bucket is known again at every rate`(_ rate: UInt64) async throws {
        try await withPair { space, near, _ in
            var socket = try NetworkLocation.namespace(space.name).socket(.route)
            let wanted = TokenBucket(rate: rate, burst: max(65_536, UInt32(rate / 500)), limit: 1 << 20)
            var batch = MessageWriter()
            batch.setTokenBucket(wanted, of: near.index, major: 0x5da2, overhead: -14)
            #expect(try socket.request(batch) == [nil])
            let seen = try #require(try socket.disciplines().first { $0.link == near.index && $0.isRoot })
            #expect(seen.major == 0x5da2 && seen.overhead == -14 && seen.isChosen)
            #expect(seen.bucket?.isAs(wanted) == true, "\(seen)")
            for other in [
                TokenBucket(rate: rate + 1000, burst: wanted.burst, limit: wanted.limit),
                TokenBucket(rate: rate, burst: wanted.burst / 10 * 9, limit: wanted.limit),
                TokenBucket(rate: rate, burst: wanted.burst, limit: wanted.limit + 1),
            ] { #expect(seen.bucket?.isAs(other) == false, "\(other)") }
        }
    }

    @Test(.enabled(if: TestNamespace.isPossible))
    func `tc shows what was set, and it goes again`() async throws {
        try await withPair { space, near, far in
            var socket = try NetworkLocation.namespace(space.name).socket(.route)
            var batch = MessageWriter()
            batch.setTokenBucket(bucket, of: near.index, major: 0x5da2, overhead: -14)
            batch.addHook(to: near.index)
            batch.addFilter(TrafficFilter(on: near.index, .ingress, priority: 9, .redirect(to: far.index)))
            batch.addFilter(TrafficFilter(on: near.index, .egress, priority: 8, .mirror(to: far.index)))
            #expect(try socket.request(batch) == [nil, nil, nil, nil])
            let shown = try await space.run("tc", "-d", "qdisc", "show", "dev", "near")
            for words in ["tbf 5da2: root", "rate 100Mbit", "burst 64Kb", "overhead -14", "clsact ffff:"] {
                #expect(shown.contains(words), "\(words) in \(shown)")
            }
            let received = try await space.run("tc", "filter", "show", "dev", "near", "ingress")
            #expect(received.contains("pref 9 u32") && received.contains("Egress Redirect to device far) stolen"))
            let sent = try await space.run("tc", "filter", "show", "dev", "near", "egress")
            #expect(sent.contains("pref 8 u32") && sent.contains("Egress Mirror to device far) continue"))
            #expect(
                try socket.filters(of: near.index, .ingress)
                    == [TrafficFilter(on: near.index, .ingress, priority: 9, .redirect(to: far.index))])
            #expect(
                try socket.filters(of: near.index, .egress)
                    == [TrafficFilter(on: near.index, .egress, priority: 8, .mirror(to: far.index))])
            #expect(try socket.filters(of: far.index, .ingress) == [])
            #expect(try socket.links().first { $0.index == near.index }?.discipline == "tbf")

            var removal = MessageWriter()
            removal.removeFilters(like: TrafficFilter(on: near.index, .ingress, priority: 9, .other))
            removal.removeHook(of: near.index)
            removal.removeRootDiscipline(of: near.index)
            #expect(try socket.request(removal) == [nil, nil, nil])
            #expect(try await space.run("tc", "qdisc", "show", "dev", "near").hasPrefix("qdisc noqueue 0:"))
        }
    }

    @Test(.enabled(if: TestNamespace.isPossible))
    func `filters of others are not taken for ours`() async throws {
        try await withPair { space, near, far in
            try await space.run("tc", "qdisc", "add", "dev", "near", "clsact")
            let add = ["tc", "filter", "add", "dev", "near", "ingress"]
            for words in [
                ["pref", "5", "protocol", "all", "u32", "match", "u32", "1", "1", "at", "0"]
                    + ["action", "mirred", "egress", "redirect", "dev", "far"],
                ["pref", "6", "protocol", "ip", "u32", "match", "u32", "0", "0"]
                    + ["action", "mirred", "egress", "redirect", "dev", "far"],
                ["pref", "7", "protocol", "all", "u32", "match", "u32", "0", "0", "flowid", "1:1"],
                ["pref", "8", "protocol", "all", "u32", "match", "u32", "0", "0"]
                    + ["action", "mirred", "ingress", "redirect", "dev", "far"],
            ] { try await output(of: space.inside(add + words)) }
            var socket = try NetworkLocation.namespace(space.name).socket(.route)
            let seen = try socket.filters(of: near.index, .ingress)
            #expect(seen.map(\.priority) == [5, 6, 7, 8] && seen.allSatisfy { $0.action == .other }, "\(seen)")
        }
    }

    @Test(.enabled(if: TestNamespace.isPossible))
    func `a monitor tells of disciplines and filters`() async throws {
        try await withPair { space, _, _ in
            let monitor = try NetlinkMonitor(.routing, in: NetworkNamespace(space.name))
            _ = try monitor.drain()
            try await space.run("tc", "qdisc", "add", "dev", "near", "clsact")
            #expect(try monitor.drain())
            try await space.run(
                "tc", "filter", "add", "dev", "near", "ingress", "u32", "match", "u32", "0", "0", "flowid", "1:1")
            #expect(try monitor.drain())
            try await space.run("tc", "qdisc", "delete", "dev", "near", "clsact")
            #expect(try monitor.drain())
        }
    }

    private func withPair(_ body: (TestNamespace, Link, Link) async throws -> Void) async throws {
        try await TestNamespace.with { space in
            try await space.run("ip", "link", "add", "near", "up", "type", "veth", "peer", "name", "far")
            var socket = try NetworkLocation.namespace(space.name).socket(.route)
            let links = try socket.links()
            let near = try #require(links.first { $0.name.description == "near" })
            let far = try #require(links.first { $0.name.description == "far" })
            try await body(space, near, far)
        }
    }
}
