import Foundation
import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

/// What passes a cap: never more than a burst and what is due in the time that has passed, however slow the machine.
@Suite(.enabled(if: TestNamespace.isPossible))
struct CapTests {
    /// 100 kB a second.
    private let cap = RateCap(rate: 800_000)

    /// Sends some 1.4 MB, 1,400 bytes at a time, as fast as it goes. What one socket has in a queue is less than the
    /// queue takes, so there are several.
    private func flood(_ space: TestNamespace, _ target: String) async throws {
        let one = "head -c 350000 /dev/zero | socat -u -b1400 - '\(target)'"
        try await space.run("bash", "-c", "for n in 1 2 3 4; do \(one) & done; wait")
    }

    private struct Counts {
        let bytes: UInt64
        let drops: UInt64
    }

    private func counts(_ space: TestNamespace, _ link: String) async throws -> Counts {
        let json = try await space.run("tc", "-s", "-j", "qdisc", "show", "dev", link)
        let all = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [[String: Any]])
        let bucket = try #require(all.first { $0["kind"] as? String == "tbf" })
        return Counts(
            bytes: try #require(bucket["bytes"] as? UInt64), drops: try #require(bucket["drops"] as? UInt64))
    }

    @Test(arguments: ["UDP-SENDTO:10.0.0.2:9", "UDP6-SENDTO:[fd00::2]:9"])
    func `what a NIC sends, or receives, is held`(_ target: String) async throws {
        try await Hall.with { hall in
            var wanted = try hall.desired()
            for (index, machine) in ["a", "b"].enumerated() {
                let nic = try #require(wanted.specs(of: NICKind.self)["\(machine)/net0"])
                let rate = RateSpec(
                    interface: nic.interface, isTap: false, ingress: index == 1 ? cap : nil,
                    egress: index == 0 ? cap : nil)
                wanted.add(rate, for: nic)
            }
            #expect(await hall.node.apply(wanted) == [])
            #expect(try await hall.reaches(0, 1))
            let (space, links) = (hall.node.space, ["ifb-a-net0", "b-net0"])
            // The first cap alone, then the second alone: the sender is another one.
            for (sender, link) in zip([0, 2], links) {
                if sender == 2 { #expect(try await hall.reaches(2, 1)) }
                let before = try await counts(space, link)
                let start = ContinuousClock.now
                try await flood(hall.spaces[sender], target)
                let after = try await counts(space, link)
                let time = (ContinuousClock.now - start) / .seconds(1)
                let most = Double(cap.burst) + 100_000 * time + 1500
                #expect(
                    Double(after.bytes - before.bytes) <= most, "\(link): \(after.bytes - before.bytes) in \(time) s")
                #expect(after.bytes > before.bytes && after.drops > before.drops, "\(link)")
            }
        }
    }

    /// An Ethernet header is none of what a user counts.
    @Test func `packets are counted without the Ethernet header`() async throws {
        try await Hall.with { hall in
            var wanted = try hall.desired()
            let nic = try #require(wanted.specs(of: NICKind.self)["a/net0"])
            wanted.add(RateSpec(interface: nic.interface, isTap: false, egress: RateCap(rate: 1_000_000_000)), for: nic)
            #expect(await hall.node.apply(wanted) == [])
            #expect(try await hall.reaches(0, 1))
            let before = try await counts(hall.node.space, "ifb-a-net0")
            // 20 of IPv4, 8 of ICMP.
            try await hall.spaces[0].run("ping", "-q", "-c200", "-i0.002", "-s972", "10.0.0.2")
            let sent = try await counts(hall.node.space, "ifb-a-net0").bytes - before.bytes
            // ARP and neighbour discovery may come in between.
            #expect((200_000..<202_000).contains(sent), "\(sent)")
        }
    }
}
