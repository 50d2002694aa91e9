import Capabilities
import Manifest
import Netlink
import Reconcile
import Rules
import Testing
import TestSupport
import VSwitch

@Suite("Guard", .enabled(if: TestNamespace.isPossible))
struct GuardTests {
    @Test func `a NIC with addresses speaks for itself only`() async throws {
        try await GuardStage.with(addresses: ["10.0.0.1", "fd00::1"]) { stage in
            let own = stage.nicA.mac
            let other = stage.nicB.mac
            let link = "\(IPv6Address.linkLocal(of: own))"
            func v4(_ payload: [UInt8], mac: MACAddress? = nil) -> [UInt8] {
                Frame.ethernet(from: mac ?? own, type: 0x0800, payload)
            }
            func v6(_ payload: [UInt8]) -> [UInt8] { Frame.ethernet(from: own, type: 0x86dd, payload) }
            let plain = Frame.udp(from: 1000, to: 2000)
            let nonce: [UInt8] = [14, 1, 1, 2, 3, 4, 5, 6]
            let unknown: [UInt8] = [253, 1, 0, 0, 0, 0, 0, 0]
            try await stage.witness(
                [
                    Frame("ipv4", passes: true, v4(Frame.ipv4(from: "10.0.0.1", udp: plain))),
                    Frame(
                        "ipv4-another's-mac", passes: false, v4(Frame.ipv4(from: "10.0.0.1", udp: plain), mac: other)),
                    Frame("ipv4-another's-address", passes: false, v4(Frame.ipv4(from: "10.0.0.2", udp: plain))),
                    Frame("ipv4-no-address", passes: false, v4(Frame.ipv4(from: "0.0.0.0", udp: plain))),
                    Frame(
                        "dhcp-client", passes: true, v4(Frame.ipv4(from: "0.0.0.0", udp: Frame.udp(from: 68, to: 67)))),
                    Frame(
                        "dhcp-server", passes: false, v4(Frame.ipv4(from: "10.0.0.1", udp: Frame.udp(from: 67, to: 68)))
                    ),
                    Frame(
                        "dhcp-server-of-another-port", passes: false,
                        v4(Frame.ipv4(from: "10.0.0.1", udp: Frame.udp(from: 1067, to: 68)))),
                    Frame(
                        "arp", passes: true,
                        Frame.ethernet(from: own, type: 0x0806, Frame.arp(mac: own, address: "10.0.0.1"))),
                    Frame(
                        "arp-probe", passes: true,
                        Frame.ethernet(from: own, type: 0x0806, Frame.arp(mac: own, address: "0.0.0.0"))),
                    Frame(
                        "arp-another's-address", passes: false,
                        Frame.ethernet(
                            from: own, type: 0x0806, Frame.arp(mac: own, address: "10.0.0.2", operation: 2))),
                    Frame(
                        "arp-another's-mac", passes: false,
                        Frame.ethernet(from: own, type: 0x0806, Frame.arp(mac: other, address: "10.0.0.1"))),
                    Frame(
                        "arp-not-ipv4", passes: false,
                        Frame.ethernet(from: own, type: 0x0806, [0, 1, 0x86, 0xdd, 6, 16])),
                    Frame("ipv6", passes: true, v6(Frame.ipv6(from: "fd00::1", 17, plain))),
                    Frame("ipv6-link-local", passes: true, v6(Frame.ipv6(from: link, 17, plain))),
                    Frame("ipv6-another's-address", passes: false, v6(Frame.ipv6(from: "fd00::2", 17, plain))),
                    Frame("ipv6-another's-link-local", passes: false, v6(Frame.ipv6(from: "fe80::1", 17, plain))),
                    Frame(
                        "solicitation", passes: true,
                        v6(
                            Frame.ipv6(
                                from: "fd00::1", 58, Frame.neighbour(135, target: "fd00::2", option: 1, mac: own)))),
                    Frame(
                        "solicitation-another's-mac", passes: false,
                        v6(
                            Frame.ipv6(
                                from: "fd00::1", 58, Frame.neighbour(135, target: "fd00::2", option: 1, mac: other)))),
                    Frame(
                        "solicitation-with-a-nonce", passes: true,
                        v6(
                            Frame.ipv6(
                                from: "fd00::1", 58,
                                Frame.neighbour(135, target: "fd00::2", option: 1, mac: own, before: nonce)))),
                    Frame(
                        "solicitation-another's-mac-behind-a-nonce", passes: false,
                        v6(
                            Frame.ipv6(
                                from: "fd00::1", 58,
                                Frame.neighbour(135, target: "fd00::2", option: 1, mac: other, before: nonce)))),
                    Frame(
                        "solicitation-another's-mac-behind-an-option", passes: false,
                        v6(
                            Frame.ipv6(
                                from: "fd00::1", 58,
                                Frame.neighbour(135, target: "fd00::2", option: 1, mac: other, before: unknown)))),
                    Frame(
                        "advertisement-another's-mac-behind-an-option", passes: false,
                        v6(
                            Frame.ipv6(
                                from: "fd00::1", 58,
                                Frame.neighbour(136, target: "fd00::1", option: 2, mac: other, before: unknown)))),
                    Frame(
                        "advertisement-another's-mac-behind-its-own", passes: false,
                        v6(
                            Frame.ipv6(
                                from: "fd00::1", 58,
                                Frame.neighbour(
                                    136, target: "fd00::1", option: 2, mac: own, behind: [2, 1] + other.bytes)))),
                    Frame(
                        "router-solicitation", passes: true,
                        v6(Frame.ipv6(from: link, 58, [133, 0, 0, 0, 0, 0, 0, 0, 1, 1] + own.bytes))),
                    Frame(
                        "router-solicitation-another's-mac-behind-an-option", passes: false,
                        v6(
                            Frame.ipv6(
                                from: link, 58, [133, 0, 0, 0, 0, 0, 0, 0] + unknown + [1, 1] + other.bytes))),
                    Frame(
                        "advertisement", passes: true,
                        v6(
                            Frame.ipv6(
                                from: "fd00::1", 58, Frame.neighbour(136, target: "fd00::1", option: 2, mac: own)))),
                    Frame(
                        "advertisement-another's-address", passes: false,
                        v6(
                            Frame.ipv6(
                                from: "fd00::1", 58, Frame.neighbour(136, target: "fd00::2", option: 2, mac: own)))),
                    Frame(
                        "advertisement-another's-mac", passes: false,
                        v6(
                            Frame.ipv6(
                                from: "fd00::1", 58, Frame.neighbour(136, target: "fd00::1", option: 2, mac: other)))),
                    Frame(
                        "duplicate-detection", passes: true,
                        v6(Frame.ipv6(from: "::", 58, Frame.neighbour(135, target: "fd00::1")))),
                    Frame(
                        "duplicate-detection-of-another's", passes: false,
                        v6(Frame.ipv6(from: "::", 58, Frame.neighbour(135, target: "fd00::2")))),
                    Frame(
                        "router-advertisement", passes: false,
                        v6(Frame.ipv6(from: link, 58, [134] + Array(repeating: 0, count: 15)))),
                    Frame(
                        "redirect", passes: false,
                        v6(Frame.ipv6(from: link, 58, [137] + Array(repeating: 0, count: 39)))),
                    Frame(
                        "dhcpv6-server", passes: false, v6(Frame.ipv6(from: link, 17, Frame.udp(from: 547, to: 546)))),
                    Frame(
                        "dhcpv6-server-of-another-port", passes: false,
                        v6(Frame.ipv6(from: link, 17, Frame.udp(from: 1547, to: 546)))),
                    Frame(
                        "tagged", passes: false,
                        Frame.ethernet(
                            from: own, type: 0x8100, [0, 5, 8, 0] + Frame.ipv4(from: "10.0.0.1", udp: plain))),
                    Frame(
                        "tagged-twice", passes: false,
                        Frame.ethernet(
                            from: own, type: 0x88a8,
                            [0, 5, 0x81, 0, 0, 6, 8, 0] + Frame.ipv4(from: "10.0.0.1", udp: plain))),
                    Frame("lldp", passes: false, Frame.ethernet(from: own, type: 0x88cc, [2, 7, 4])),
                ])
        }
    }

    @Test func `a NIC without addresses is held to its MAC, and is no router and no DHCP server`() async throws {
        try await GuardStage.with(addresses: []) { stage in
            let own = stage.nicA.mac
            let plain = Frame.udp(from: 1000, to: 2000)
            func v4(_ payload: [UInt8], mac: MACAddress) -> [UInt8] { Frame.ethernet(from: mac, type: 0x0800, payload) }
            try await stage.witness(
                [
                    Frame("ipv4", passes: true, v4(Frame.ipv4(from: "10.0.0.77", udp: plain), mac: own)),
                    Frame(
                        "another's-mac", passes: false,
                        v4(Frame.ipv4(from: "10.0.0.77", udp: plain), mac: stage.nicB.mac)),
                    Frame(
                        "dhcp-server", passes: false,
                        v4(Frame.ipv4(from: "10.0.0.77", udp: Frame.udp(from: 67, to: 68)), mac: own)),
                    Frame(
                        "ipv6", passes: true,
                        Frame.ethernet(from: own, type: 0x86dd, Frame.ipv6(from: "fd00::77", 17, plain))),
                    Frame(
                        "router-advertisement", passes: false,
                        Frame.ethernet(
                            from: own, type: 0x86dd,
                            Frame.ipv6(from: "fe80::77", 58, [134] + Array(repeating: 0, count: 15)))),
                    Frame(
                        "arp-another's-mac", passes: false,
                        Frame.ethernet(from: own, type: 0x0806, Frame.arp(mac: stage.nicB.mac, address: "10.0.0.77"))),
                ])
        }
    }

    @Test func `honest NICs reach each other over IPv4 and IPv6, and a second apply does nothing`() async throws {
        try await GuardStage.with(addresses: ["10.0.0.1", "fd00::1"]) { stage in
            try await stage.a.run("ping", "-c", "2", "-i", "0.05", "-W", "5", "10.0.0.2")
            try await stage.a.run("ping", "-c", "2", "-i", "0.05", "-W", "5", "fd00::2")
            #expect(await stage.node.apply(stage.desired).performed.isEmpty)
        }
    }

    @Test(.enabled(if: Capabilities.current.has(.tablePersistence)))
    func `its rules are safe from other programs as long as they are held`() async throws {
        try await GuardStage.with(addresses: ["10.0.0.1"]) { stage in
            let refused = try await stage.space.attempt("nft", "flush", "chain", "bridge", "sdagent", "check_arp")
            #expect(refused.error.contains("Operation not permitted"), "\(refused)")
            try await stage.space.run("nft", "flush", "ruleset")
            #expect(await stage.node.plan(stage.desired).pending.isEmpty)
            try await stage.a.run("ping", "-c", "1", "-W", "5", "10.0.0.2")
        }
    }

    @Test func `drift is repaired, a removed NIC takes its elements with it, and no NIC means no table`() async throws {
        try await GuardStage.with(addresses: ["10.0.0.1"], tenure: .none) { stage in
            try await stage.space.run("nft", "flush", "chain", "bridge", "sdagent", "check_arp")
            #expect(await stage.node.plan(stage.desired).pending.map(\.id.description) == ["guard/bridge"])
            #expect(await stage.node.apply(stage.desired).exitCode == 0)
            #expect(
                try await stage.space.run("nft", "list", "chain", "bridge", "sdagent", "check_arp").contains(
                    "another's MAC"))

            #expect(await stage.node.apply(stage.desired([stage.nicB])).exitCode == 0)
            #expect(try await !stage.space.run("nft", "list", "ruleset").contains("a-net0"))
            try await stage.space.run("nft", "add", "table", "bridge", "foreign")
            #expect(await stage.node.apply(stage.desired([])).exitCode == 0)
            #expect(try await stage.space.run("nft", "list", "tables") == "table bridge foreign\n")
        }
    }

    @Test func `a foreign table of our name is a conflict, is not touched, and no NIC is made without its rules`()
        async throws
    {
        try await TestNamespace.with { space in
            try await space.run("nft", "add", "table", "bridge", "sdagent")
            let links = LinkListing(in: .namespace(space.name))
            let node = Reconciler(kinds: [
                SwitchKind(links: links), GuardKind(links: links), NICKind(links: links),
            ])
            var desired = Desired()
            desired.add(SwitchSpec(name: "blue"))
            desired.add(NICSpec(machine: "a", name: "net0", switchName: "blue", mtu: 1500))
            GuardKind.derivation.run(&desired, Diagnostics())
            let report = await node.apply(desired)
            #expect(report.exitCode == 1)
            #expect(
                report.statuses.map { "\($0.id) \($0.state)" } == [
                    "switch/blue converged", "guard/bridge conflict", "nic/a/net0 skipped",
                ])
            #expect(try await space.run("nft", "list", "ruleset") == "table bridge sdagent {\n}\n")
            #expect(try await !space.run("ip", "-br", "link").contains("a-net0"))
        }
    }
}
