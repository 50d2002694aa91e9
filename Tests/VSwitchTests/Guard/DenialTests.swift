import Manifest
import Netlink
import Reconcile
import Rules
import TestSupport
import Testing

@testable import VSwitch

@Suite("Denials", .enabled(if: TestNamespace.isPossible))
struct DenialTests {
    private static func nic(_ machine: String, _ namespace: TestNamespace, _ addresses: [String]) -> NICSpec {
        NICSpec(
            machine: machine, name: "net0", switchName: "blue",
            addresses: addresses.compactMap { IPAddress($0) }.map {
                NICSpec.Address($0, length: $0.isIPv4 ? 24 : 64)
            }, mtu: 1500,
            attachment: .namespace(namespace.name, farEnd: .derived(from: "eth0"), gateways: []))
    }

    private static func desired(_ nics: [NICSpec]) -> Desired {
        var desired = Desired()
        desired.add(SwitchSpec(name: "blue"))
        for nic in nics { desired.add(nic) }
        GuardKind.derivation.run(&desired, Diagnostics())
        return desired
    }

    @Test func `what a NIC sends in another's name is counted for it, and outlives changes of other NICs`()
        async throws
    {
        try await TestNamespace.with { space in
            try await TestNamespace.with { a in
                try await TestNamespace.with { b in
                    let links = LinkListing(in: .namespace(space.name))
                    let ledger = NFLedger(in: links.location, tenure: .passing)
                    let node = Reconciler(kinds: [
                        SwitchKind(links: links), GuardKind(links: links, ledger), NICKind(links: links),
                    ])
                    let nicA = Self.nic("a", a, ["10.0.0.1", "fd00::1"])
                    let nicB = Self.nic("b", b, ["10.0.0.2", "fd00::2"])
                    #expect(await node.apply(Self.desired([nicA, nicB])).exitCode == 0)

                    // Static neighbours, so that each lie is one packet.
                    for (family, address) in [("-4", "10.0.0.2"), ("-6", "fd00::2")] {
                        try await a.run(
                            "ip", family, "neigh", "replace", address, "lladdr", "\(nicB.mac)", "dev", "eth0")
                    }
                    try await a.run("ip", "address", "add", "10.0.0.77/24", "dev", "eth0")
                    try await a.run("ip", "address", "add", "fd00::77/64", "dev", "eth0", "nodad")
                    let before = try Denials(in: links.location).count(.guard, of: nicA.interface).packets
                    for lie in ["10.0.0.77 10.0.0.2", "fd00::77 fd00::2"].map({ $0.split(separator: " ") }) {
                        _ = try await a.run(
                            "sh", "-c", "ping -c 3 -i 0.05 -W 1 -I \(lie[0]) \(lie[1]) > /dev/null; test $? = 1")
                    }
                    let counted = try Denials(in: links.location).count(.guard, of: nicA.interface)
                    #expect(counted.packets >= before + 6)
                    #expect(try Denials(in: links.location).count(.ingress, of: nicA.interface).packets == 0)

                    #expect(await node.apply(Self.desired([nicA])).exitCode == 0)
                    let kept = try Denials(in: links.location)
                    #expect(kept.count(.guard, of: nicA.interface).packets >= counted.packets)
                    #expect(kept.count(.guard, of: nicB.interface).packets == 0)
                    let listed = try await space.run("nft", "list", "set", "bridge", "sdagent", "denied-guard")
                    #expect(listed.contains("\"\(nicA.interface)\" counter packets"), "\(listed)")
                    #expect(!listed.contains("\(nicB.interface)"), "\(listed)")
                    #expect(await node.plan(Self.desired([nicA])).pending.isEmpty)
                }
            }
        }
    }

    @Test func `where there is no table nothing was refused`() async throws {
        try await TestNamespace.with { space in
            let name = try #require(InterfaceName("a-net0"))
            let denials = try Denials(in: .namespace(space.name))
            for reason in DenialReason.allCases { #expect(denials.count(reason, of: name).packets == 0) }
        }
    }
}

extension DenialTests {
    @Test func `what no group allows is counted for who sends it and for whom it is meant`() async throws {
        try await Town.with(["w", "a", "v"]) { town in
            #expect(try await town.apply(GroupTests.manifest) == [])
            let location = NetworkLocation.namespace(town.node.name)
            let w = try #require(InterfaceName("w-net0"))
            let a = try #require(InterfaceName("a-net0"))
            let v = try #require(InterfaceName("v-net0"))
            func packets(_ reason: DenialReason, _ name: InterfaceName) throws -> UInt64 {
                try Denials(in: location).count(reason, of: name).packets
            }
            for (ask, reason, refused) in [
                // The visitor has no groups; web refuses it, and may itself ask nobody.
                (GroupTests.both("v", "tcp", "w", 443, false), DenialReason.ingress, w),
                (GroupTests.both("w", "tcp", "v", 80, false), DenialReason.egress, w),
            ] {
                // One question in each family, each of which has to be counted.
                for question in ask {
                    let before = try packets(reason, refused)
                    #expect(try await town.surprises([question]) == [])
                    #expect(try packets(reason, refused) > before, "\(question)")
                }
            }
            // An admin may send anything; what is flooded to it may be refused. The visitor is held to no group.
            #expect(try packets(.egress, a) == 0)
            for reason in [DenialReason.egress, .ingress] { #expect(try packets(reason, v) == 0) }
            let kept = try packets(.ingress, w)
            // Another NIC loses its groups: the policies change, what w has been refused does not.
            let changed = GroupTests.manifest.replacing("groups: admin, namespace: @a", with: "namespace: @a")
            #expect(try await town.apply(changed) == [])
            #expect(try packets(.ingress, w) >= kept)
        }
    }
}
