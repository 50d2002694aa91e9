import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

/// What a NIC is allowed beside its own, and the guards that it is let off.
@Suite(.enabled(if: TestNamespace.isPossible))
struct ExemptionTests {
    private static let virtual = MACAddress(rawValue: 0x0000_5e00_0107)
    private static let plain = Frame.udp(from: 1000, to: 2000)

    private static func v4(_ source: String, _ mac: MACAddress, _ udp: [UInt8] = plain) -> [UInt8] {
        Frame.ethernet(from: mac, type: 0x0800, Frame.ipv4(from: source, udp: udp))
    }

    private static func v4(_ source: String, _ mac: MACAddress, _ next: UInt8, _ payload: [UInt8]) -> [UInt8] {
        Frame.ethernet(from: mac, type: 0x0800, Frame.ipv4(from: source, next, payload))
    }

    private static func v6(
        _ source: String, _ mac: MACAddress, _ next: UInt8 = 17, _ payload: [UInt8] = plain
    ) -> [UInt8] { Frame.ethernet(from: mac, type: 0x86dd, Frame.ipv6(from: source, next, payload)) }

    private static func arp(_ address: String, _ mac: MACAddress) -> [UInt8] {
        Frame.ethernet(from: mac, type: 0x0806, Frame.arp(mac: mac, address: address, operation: 2))
    }

    @Test func `what a NIC is allowed passes, from each of its MACs, and nothing else`() async throws {
        try await GuardStage.with(addresses: ["10.0.0.1", "fd00::1"]) { stage in
            let own = stage.nicA.mac
            let other = stage.nicB.mac
            var nic = stage.nicA
            nic.allow.networks = try ["10.0.0.100/32", "10.5.0.0/24", "fd00::100/128", "fd05::/64"].map {
                try #require(IPPrefix($0))
            }
            nic.allow.macs = [Self.virtual]
            let wanted = stage.desired([nic, stage.nicB])
            let addresses = [
                ("10.0.0.1", true), ("10.0.0.100", true), ("10.5.0.0", true), ("10.5.0.7", true), ("10.5.0.255", true),
                ("10.0.0.101", false), ("10.5.1.0", false), ("10.4.255.255", false), ("10.0.0.2", false),
                ("fd00::1", true), ("fd00::100", true), ("fd05::7", true), ("fd05::ffff:ffff:ffff:ffff", true),
                ("fd00::101", false), ("fd05:0:0:1::", false), ("fd00::2", false),
                ("\(IPv6Address.linkLocal(of: own))", true), ("\(IPv6Address.linkLocal(of: Self.virtual))", true),
                ("\(IPv6Address.linkLocal(of: other))", false),
            ]
            func frames(isAllowed: Bool) -> [Frame] {
                addresses.flatMap { address, passes -> [Frame] in
                    let isOwn = ["10.0.0.1", "fd00::1", "\(IPv6Address.linkLocal(of: own))"].contains(address)
                    return [own, Self.virtual, other].flatMap { mac -> [Frame] in
                        let isMine = mac == own || mac == Self.virtual && isAllowed
                        let passes = isMine && (isOwn || passes && isAllowed)
                        guard address.contains(":") else {
                            return [
                                Frame("ipv4-\(address)-\(mac)", passes: passes, Self.v4(address, mac)),
                                Frame("arp-\(address)-\(mac)", passes: passes, Self.arp(address, mac)),
                            ]
                        }
                        let advertisement = Frame.neighbour(136, target: address, option: 2, mac: mac)
                        let trial = Frame.neighbour(135, target: address)
                        return [
                            Frame("ipv6-\(address)-\(mac)", passes: passes, Self.v6(address, mac)),
                            Frame(
                                "nd-\(address)-\(mac)", passes: passes, Self.v6(address, mac, 58, advertisement)),
                            Frame("dad-\(address)-\(mac)", passes: passes, Self.v6("::", mac, 58, trial)),
                        ]
                    }
                }
            }
            try await stage.witness(frames(isAllowed: false))
            #expect(await stage.node.apply(wanted).exitCode == 0)
            try await stage.witness(frames(isAllowed: true))
            #expect(await stage.node.plan(wanted).pending.isEmpty)
            #expect(await stage.node.apply(stage.desired).exitCode == 0)
            try await stage.witness(frames(isAllowed: false))
        }
    }

    /// A frame that one guard refuses and no other, or that none lets pass.
    static func offences(_ own: MACAddress, _ other: MACAddress) -> [(word: Guard?, name: String, [UInt8])] {
        let link = "\(IPv6Address.linkLocal(of: own))"
        func advertisement(_ target: String, _ mac: MACAddress) -> [UInt8] {
            Frame.neighbour(136, target: target, option: 2, mac: mac)
        }
        return [
            (.mac, "ipv4-mac", v4("10.0.0.1", other)), (.mac, "ipv6-mac", v6("fd00::1", other)),
            (.arp, "arp-address", arp("10.0.0.2", own)),
            (
                .arp, "arp-mac",
                Frame.ethernet(from: own, type: 0x0806, Frame.arp(mac: other, address: "10.0.0.1", operation: 2))
            ),
            (.arp, "arp-form", Frame.ethernet(from: own, type: 0x0806, [0, 1, 0x86, 0xdd, 6, 16])),
            (.ipv4, "ipv4-address", v4("10.0.0.2", own)), (.ipv4, "ipv4-none", v4("0.0.0.0", own)),
            (.ipv6, "ipv6-address", v6("fd00::2", own)), (.ipv6, "ipv6-none", v6("::", own)),
            (.nd, "nd-address", v6("fd00::1", own, 58, advertisement("fd00::2", own))),
            (.nd, "nd-mac", v6("fd00::1", own, 58, advertisement("fd00::1", other))),
            (.nd, "dad", v6("::", own, 58, Frame.neighbour(135, target: "fd00::2"))),
            (
                .nd, "solicitation-mac",
                v6("fd00::1", own, 58, Frame.neighbour(135, target: "fd00::2", option: 1, mac: other))
            ),
            (.dhcp, "dhcp", v4("10.0.0.1", own, Frame.udp(from: 67, to: 68))),
            (.dhcp, "dhcpv6", v6(link, own, 17, Frame.udp(from: 547, to: 546))),
            (.ra, "advertisement", v6(link, own, 58, [134] + Array(repeating: 0, count: 15))),
            (.querier, "igmp-query", v4("10.0.0.1", own, 2, [0x11, 100, 0, 0, 0, 0, 0, 0])),
            (.querier, "igmp-router", v4("10.0.0.1", own, 2, [0x30, 20, 0, 0, 0, 0, 0, 0])),
            (.querier, "pim", v4("10.0.0.1", own, 103, [0x20, 0, 0, 0])),
            (.querier, "mld-query", v6(link, own, 58, [130] + Array(repeating: 0, count: 23))),
            (.querier, "mld-router", v6(link, own, 58, [151] + Array(repeating: 0, count: 7))),
            (.querier, "pim6", v6(link, own, 103, [0x20, 0, 0, 0])),
            (.ra, "redirect", v6(link, own, 58, [137] + Array(repeating: 0, count: 39))),
            (
                nil, "tagged",
                Frame.ethernet(from: own, type: 0x8100, [0, 5, 8, 0] + Frame.ipv4(from: "10.0.0.1", udp: plain))
            ),
            (nil, "lldp", Frame.ethernet(from: own, type: 0x88cc, [2, 7, 4])),
        ]
    }

    @Test func `each word lets a NIC off one guard and off no other`() async throws {
        try await GuardStage.with(addresses: ["10.0.0.1", "fd00::1"]) { stage in
            let offences = Self.offences(stage.nicA.mac, stage.nicB.mac)
            for words in [[]] + Guard.allCases.map({ [$0] }) + [Guard.allCases, []] {
                var nic = stage.nicA
                nic.unguarded = Set(words)
                let wanted = stage.desired([nic, stage.nicB])
                let report = await stage.node.apply(wanted)
                #expect(report.exitCode == 0, "\(report.statuses)")
                let remark = words.isEmpty ? "" : "unguarded: \(words.map(\.rawValue).joined(separator: ", "))"
                #expect(report.statuses.last { $0.id == NICKind.id("a/net0") }?.detail == remark)
                try await stage.witness(
                    offences.map { word, name, bytes in
                        Frame("\(words.count):\(name)", passes: word.map(words.contains) ?? false, bytes)
                    })
                #expect(await stage.node.plan(wanted).pending.isEmpty)
            }
        }
    }

    /// Queries as a multicast router sends them; the kernel believes no others.
    private static let ask = """
        import socket, struct
        igmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, 2)
        igmp.setsockopt(0, 32, socket.inet_aton("10.0.0.1"))  # IP_MULTICAST_IF
        igmp.sendto(struct.pack("!BBHI", 0x11, 100, 0xffff - 0x1164, 0), ("224.0.0.1", 0))
        mld = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)
        mld.setsockopt(41, 54, bytes([0, 0, 5, 2, 0, 0, 1, 0]))  # IPV6_HOPOPTS: router alert
        mld.setsockopt(41, 18, 1)  # IPV6_MULTICAST_HOPS
        query = struct.pack("!BBHHH16s", 130, 0, 0, 1000, 0, bytes(16))
        mld.sendto(query, ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))
        """

    @Test func `a switch that listens takes no NIC for a multicast router`() async throws {
        try await GuardStage.with(addresses: ["10.0.0.1", "fd00::1"]) { stage in
            func apply(_ unguarded: Set<Guard>) async throws -> NICSpec {
                var network = SwitchSpec(name: "blue")
                network.settings.multicast = .snoop(isQuerier: false)
                var nic = stage.nicA
                nic.unguarded = unguarded
                var wanted = stage.desired([nic, stage.nicB])
                wanted.add(network)
                let report = await stage.node.apply(wanted)
                #expect(report.exitCode == 0, "\(report.statuses)")
                return nic
            }
            func routers() async throws -> String {
                try await stage.space.run("bridge", "-d", "mdb", "show", "dev", "blue")
                    .split(separator: "\n").filter { $0.contains("router ports") }.joined()
            }
            let nic = try await apply([])
            try await stage.a.run("python3", "-c", Self.ask)
            let location = NetworkLocation.namespace(stage.space.name)
            #expect(
                try await eventually(within: 20) {
                    try Denials(in: location).count(.guarded(.querier), of: nic).packets == 2
                })
            #expect(try await !routers().contains("a-net0"))
            _ = try await apply([.querier])
            #expect(
                try await eventually(within: 20) {
                    try await stage.a.run("python3", "-c", Self.ask)
                    return try await routers().contains("a-net0")
                })
            #expect(try Denials(in: location).count(.guarded(.querier), of: nic).packets == 2)
        }
    }

    @Test func `a plan names what is switched off, and for whom`() async throws {
        try await GuardStage.with(addresses: ["10.0.0.1", "fd00::1"]) { stage in
            var nic = stage.nicA
            func fields() async -> [String] {
                let pending = await stage.node.plan(stage.desired([nic, stage.nicB])).pending
                return pending.flatMap { change in
                    change.change.fields.map { "\(change.id) \($0.field): \($0.to ?? "")" }
                }
            }
            nic.unguarded = [.mac, .ra]
            nic.allow.networks = [try #require(IPPrefix("10.5.0.0/24"))]
            #expect(
                await fields() == [
                    "guard/bridge mac guard: off for a-net0", "guard/bridge ra guard: off for a-net0",
                    "guard/bridge nets4: +1 -0",
                ])
            #expect(await stage.node.apply(stage.desired([nic, stage.nicB])).exitCode == 0)
            nic.unguarded = [.ra]
            #expect(await fields() == ["guard/bridge mac guard: on for a-net0"])
        }
    }

    @Test func `a NIC that is to be made tells of its exemptions`() throws {
        var nic = NICSpec(machine: "vm1", name: "net0", switchName: "blue")
        nic.unguarded = [.ra, .mac]
        nic.allow.networks = [try #require(IPPrefix("10.0.0.100/32")), try #require(IPPrefix("fd05::/64"))]
        nic.allow.macs = [Self.virtual]
        let change = NICKind(links: LinkListing()).diff(name: "vm1/net0", spec: nic, observation: nil)
        let fields = change.fields.map { "\($0.field): \($0.to ?? "")" }
        #expect(fields.contains("allow: 10.0.0.100, fd05::/64, 00:00:5e:00:01:07"), "\(fields)")
        #expect(fields.contains("unguarded: mac, ra"), "\(fields)")
    }
}
