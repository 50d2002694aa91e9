import Manifest
import Netlink
import Reconcile
import Rules
import TestSupport
import Testing

@testable import VSwitch

@Suite("Denials", .enabled(if: TestNamespace.isPossible))
struct DenialTests {
    @Test func `what each guard refuses is counted under its word, and outlives changes of other NICs`() async throws {
        try await GuardStage.with(addresses: ["10.0.0.1", "fd00::1"]) { stage in
            let location = NetworkLocation.namespace(stage.space.name)
            func counts(_ nic: NICSpec) throws -> [String: UInt64] {
                let denials = try Denials(in: location)
                return Dictionary(
                    DenialReason.allCases.map { ($0.word, denials.count($0, of: nic).packets) }.filter { $1 > 0 }
                ) { first, _ in first }
            }
            let offences = ExemptionTests.offences(stage.nicA.mac, stage.nicB.mac)
            let before = try counts(stage.nicA)
            try await stage.witness(offences.map { Frame($1, passes: false, $2) })
            let wanted = Dictionary(grouping: offences) { $0.word?.rawValue ?? "ethertype" }
                .mapValues { UInt64($0.count) }
            let counted = try counts(stage.nicA)
            #expect(counted == wanted.merging(before) { $0 + $1 })
            #expect(Set(counted.keys) == Set(Guard.allCases.map(\.rawValue) + ["ethertype"]))
            #expect(try counts(stage.nicB) == [:])

            let listed = try await stage.space.run("nft", "list", "set", "bridge", "sdagent", "denied-arp")
            #expect(listed.contains("\"a-net0\" expires") || listed.contains("\"a-net0\" counter packets"), "\(listed)")
            #expect(!listed.contains("b-net0"), "\(listed)")
            // What packets have put in is no drift, for who looks anew either.
            let links = LinkListing(in: location)
            let other = Reconciler(kinds: [SwitchKind(links: links), GuardKind(links: links), NICKind(links: links)])
            #expect(await other.plan(stage.desired).changes.filter { $0.change.isPending }.isEmpty)
            #expect(await stage.node.apply(stage.desired([stage.nicA])).exitCode == 0)
            #expect(try counts(stage.nicA) == counted)
        }
    }

    @Test func `where there is no table nothing was refused`() async throws {
        try await TestNamespace.with { space in
            let nic = NICSpec(machine: "a", name: "net0", switchName: "blue")
            let denials = try Denials(in: .namespace(space.name))
            for reason in DenialReason.allCases { #expect(denials.count(reason, of: nic).packets == 0) }
        }
    }

    @Test func `a namespace that cannot be looked into is an error, and no count`() {
        #expect(throws: NFError.self) { try Denials(in: .namespace("sdt-no-such-namespace")) }
    }
}

/// What groups refuse.
extension DenialTests {
    private static func nic(_ town: Town, _ manifest: String, _ name: String) throws -> NICSpec {
        let (desired, mistakes) = town.load(manifest)
        #expect(mistakes == [])
        return try #require(desired?.specs(of: NICKind.self)["\(name)/net0"])
    }

    private static func packets(_ town: Town, _ reason: DenialReason, _ nic: NICSpec) throws -> UInt64 {
        try Denials(in: .namespace(town.node.name)).count(reason, of: nic).packets
    }

    @Test func `what no group allows is counted for who sends it and for whom it is meant`() async throws {
        try await Town.with(["w", "a", "v"]) { town in
            #expect(try await town.apply(GroupTests.manifest) == [])
            let (w, a, v) = (
                try Self.nic(town, GroupTests.manifest, "w"), try Self.nic(town, GroupTests.manifest, "a"),
                try Self.nic(town, GroupTests.manifest, "v")
            )
            for (ask, reason, refused) in [
                // The visitor has no groups; web refuses it, and may itself ask nobody.
                (GroupTests.both("v", "tcp", "w", 443, false), DenialReason.ingress, w),
                (GroupTests.both("w", "tcp", "v", 80, false), DenialReason.egress, w),
                (GroupTests.both("v", "ack", "w", 80, false), DenialReason.invalid, w),
                (GroupTests.both("w", "ack", "v", 80, false), DenialReason.invalid, w),
            ] {
                // One question in each family, each of which has to be counted.
                for question in ask {
                    let before = try Self.packets(town, reason, refused)
                    #expect(try await town.surprises([question]) == [])
                    #expect(try Self.packets(town, reason, refused) > before, "\(question)")
                }
            }
            // An admin may send anything, and nobody asks it. The visitor is held to no group.
            for reason in [DenialReason.egress, .ingress, .invalid] {
                #expect(try Self.packets(town, reason, a) == 0, "\(reason)")
                #expect(try Self.packets(town, reason, v) == 0, "\(reason)")
            }
            let kept = try Self.packets(town, .ingress, w)
            // Another NIC loses its groups: the policies change, what w has been refused does not.
            let changed = GroupTests.manifest.replacing("groups: admin, namespace: @a", with: "namespace: @a")
            #expect(try await town.apply(changed) == [])
            #expect(try Self.packets(town, .ingress, w) == kept)
        }
    }

    @Test func `what is refused on its way from a router is counted for the NIC that it was meant for`() async throws {
        try await Town.with(["w", "c"]) { town in
            let manifest = AllowanceTests.manifest().replacing("from: 10.0.0.254", with: "from: 10.0.0.9")
                .replacing("from: \"fd00::fe\"", with: "from: \"fd00::9\"")
            #expect(try await town.apply(manifest) == [])
            let (w, c) = (try Self.nic(town, manifest, "w"), try Self.nic(town, manifest, "c"))
            for (router, host) in [
                ("10.0.0.254", "10.0.0.1"), ("fd00::fe", "fd00::1"), ("10.0.0.254", "10.0.0.100"),
                ("fd00::fe", "fd00::100"), ("10.0.0.254", "10.5.0.9"), ("fd00::fe", "fd05::9"),
            ] {
                let before = try Self.packets(town, .ingress, w)
                let answer = try await town.node.attempt("ping", "-c", "2", "-i", "0.1", "-W", "1", "-I", router, host)
                #expect(!answer.succeeded)
                #expect(try Self.packets(town, .ingress, w) >= before + 2, "\(host)")
                let set = host.contains(":") ? "denied-ingress-6" : "denied-ingress-4"
                let listed = try await town.node.run("nft", "list", "set", "inet", "sdagent-routed", set)
                #expect(listed.contains("\"blue\" . \(host) "), "\(listed)")
            }
            #expect(try Self.packets(town, .ingress, c) == 0)
            #expect(try await town.plan(manifest) == [])
        }
    }

    @Test func `of NICs that nobody wants anything of nothing is counted`() async throws {
        try await Town.with(["w", "a"]) { town in
            let manifest = """
                switches: { blue: {} }
                groups: { shut: {} }
                vms:
                  w: { nics: [ { switch: blue, address: [10.0.0.1/24, "fd00::1/64"], groups: shut, namespace: @w } ] }
                  a: { nics: [ { switch: blue, address: [10.0.0.2/24, "fd00::2/64"], groups: shut, namespace: @a } ] }
                """
            #expect(try await town.apply(manifest) == [])
            // What a system says when its interface comes up: it joins groups, looks for routers and for an address.
            for guest in town.guests.values {
                for state in ["down", "up"] { try await guest.run("ip", "link", "set", "eth0", state) }
                try await guest.run("python3", "-c", Self.discover)
            }
            func silenced(_ words: String) async throws -> Bool {
                let chain = try await town.node.run("nft", "list", "chain", "bridge", "sdagent", "noise")
                let line = chain.split(separator: "\n").first { $0.contains(words) } ?? ""
                return line.firstMatch(of: /counter packets ([1-9][0-9]*)/) != nil
            }
            for words in ["router solicitation", "listener report (RFC 3810)", "DHCP request", "DHCPv6 request"] {
                #expect(try await eventually(within: 60) { try await silenced(words) }, "\(words)")
            }
            for name in ["w", "a"] {
                let nic = try Self.nic(town, manifest, name)
                for reason in DenialReason.allCases {
                    #expect(try Self.packets(town, reason, nic) == 0, "\(name) \(reason.word)")
                }
            }
        }
    }

    /// Requests of a DHCP and of a DHCPv6 client.
    private static let discover = """
        import socket, time
        for family, port, to, kind in ((2, 68, "255.255.255.255", 67), (10, 546, "ff02::1:2", 547)):
            end = socket.socket(family, socket.SOCK_DGRAM)
            end.setsockopt(1, 6, 1)
            end.setsockopt(1, 25, b"eth0")
            end.bind(("", port))
            target = (to, kind) if family == 2 else (to, kind, 0, socket.if_nametoindex("eth0"))
            while True:
                try:
                    end.sendto(bytes(240), target)
                    break
                except OSError:
                    time.sleep(0.1)  # there is no address yet
        """
}
