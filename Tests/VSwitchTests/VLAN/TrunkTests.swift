import Capabilities
import Netlink
import TestSupport
import Testing

@testable import VSwitch

/// Frames with tags, by raw sockets: those of NICs that are trunks, and those of uplinks.
@Suite("VLAN trunks", .enabled(if: TestNamespace.isPossible))
struct TrunkTests {
    private static let filters = !Capabilities.current.lacks(.vlanFiltering)
    private static let hasDevices = !Capabilities.current.lacks(.vlanDevice)
    /// A kernel whose bridges do not filter, as this one can stand for it.
    private static let split = Capabilities(
        raw: [.vlanFiltering: .missing(option: "CONFIG_BRIDGE_VLAN_FILTERING")].merging(
            hasDevices ? [:] : [.vlanDevice: .missing(option: "CONFIG_VLAN_8021Q")]
        ) { first, _ in first })
    private static let bare = Capabilities(raw: [
        .vlanFiltering: .missing(option: "CONFIG_BRIDGE_VLAN_FILTERING"),
        .vlanDevice: .missing(option: "CONFIG_VLAN_8021Q"),
    ])

    /// a in VLAN 10, c in VLAN 20, d in none; t gets 10 without a tag, 20 and 30 to 31 with theirs, u 30 and 40.
    private static let trunks = """
        switches: { lan: {} }
        vms:
          a: { nics: [ { switch: lan, vlan: 10, namespace: @a } ] }
          c: { nics: [ { switch: lan, vlan: 20, namespace: @c } ] }
          d: { nics: [ { switch: lan, namespace: @d } ] }
          t: { nics: [ { switch: lan, vlan: 10, trunk: [20, 30-31], namespace: @t } ] }
          u: { nics: [ { switch: lan, trunk: [30, 40], namespace: @u } ] }
        """

    @Test(.enabled(if: filters)) func `a trunk is in its VLANs and in no other`() async throws {
        try await Town.with(["a", "c", "d", "t", "u"]) { town in
            let left = try await town.apply(Self.trunks)
            #expect(left == [])
            #expect(try await town.plan(Self.trunks) == [])
            let casts = [
                Cast.all(from: "a", host: 1, heardBy: ["t"]), Cast.all(from: "c", host: 2, heardBy: ["t:20"]),
                Cast.all(from: "d", host: 3), Cast.all(from: "t", host: 4, heardBy: ["a"]),
                Cast.all(from: "t", host: 4, tag: 20, heardBy: ["c"]),
                Cast.all(from: "t", host: 4, tag: 30, heardBy: ["u:30"]), Cast.all(from: "t", host: 4, tag: 31),
                Cast.all(from: "u", host: 5), Cast.all(from: "u", host: 5, tag: 30, heardBy: ["t:30"]),
                Cast.all(from: "u", host: 5, tag: 40), Cast.all(from: "u", host: 5, tag: 31),
                Cast.all(from: "u", host: 5, tag: 20), Cast.all(from: "u", host: 5, tag: 10),
                Cast.all(from: "u", host: 5, tag: 1), Cast.all(from: "u", host: 5, tag: 0),
                Cast.all(from: "t", host: 4, tag: 10), Cast.all(from: "t", host: 4, tag: 1),
            ]
            #expect(try await town.surprises(Self.forbidden("t", 20) + casts.joined()) == [])
        }
    }

    /// What a trunk must not send, in a VLAN of its own.
    private static func forbidden(_ name: String, _ vlan: UInt16) -> [Cast] {
        let (own, other) = (Cast.mac(name), Cast.mac("somebody"))
        func ipv4(_ mac: MACAddress, _ from: UInt16 = 9, _ to: UInt16 = 9) -> [UInt8] {
            Frame.ethernet(
                from: mac, type: 0x0800, Frame.ipv4(from: "10.0.0.4", udp: Frame.udp(from: from, to: to)))
        }
        let advertisement = Frame.ethernet(
            from: own, type: 0x86dd, Frame.ipv6(from: "fe80::4", 58, [134, 0] + [UInt8](repeating: 0, count: 14)))
        let frames: [(String, [UInt8])] = [
            ("another's MAC", ipv4(other)), ("DHCP server", ipv4(own, 67, 68)), ("router", advertisement),
            ("another's ARP", Frame.ethernet(from: own, type: 0x0806, Frame.arp(mac: other, address: "10.0.0.4"))),
            ("other type", Frame.ethernet(from: own, type: 0x88b5, [])), ("two tags", Frame.tagged(vlan, ipv4(own))),
        ]
        let tagged = frames.map { Cast($0.replacing(" ", with: "-"), from: name, Frame.tagged(vlan, $1)) }
        return tagged + [Cast("802.1ad", from: name, Frame.tagged(vlan, ipv4(own), type: 0x88a8))]
    }

    @Test func `without filtering a trunk is refused, with what to do, and all else goes on`() async throws {
        try await Town.with(["a", "c", "d", "t", "u"]) { town in
            var lean = town
            lean.capabilities = Self.split
            let refused = try await lean.apply(Self.trunks)
            #expect(refused.map { $0.prefix { $0 != ":" } } == ["nic/t/net0 unsupported", "nic/u/net0 unsupported"])
            for words in refused {
                #expect(
                    words.contains("`trunk` needs a kernel with CONFIG_BRIDGE_VLAN_FILTERING")
                        && words.hasSuffix("give it a nic with `vlan` for each VLAN"), "\(words)")
            }
            #expect(try await town.node.attempt("ip", "link", "show", "t-net0").code != 0)
            // Each is alone in its VLAN.
            #expect(try await lean.surprises(["a", "c", "d"].flatMap { Cast.all(from: $0, host: 1) }) == [])
            let pair =
                Cast.all(from: "c", host: 1, heardBy: ["t"]) + Cast.all(from: "t", host: 4, heardBy: ["c"])
                + Cast.all(from: "t", host: 4, tag: 20) + ["a", "d"].flatMap { Cast.all(from: $0, host: 1) }
            let joined = Self.trunks.replacing("vlan: 10, trunk: [20, 30-31]", with: "vlan: 20")
            #expect(try await lean.apply(joined).count == 1)
            #expect(try await lean.surprises(pair) == [])
            // What is there stays as it was.
            #expect(try await lean.apply(Self.trunks).count == 2)
            #expect(try await lean.surprises(pair) == [])
        }
    }

    // MARK: Uplinks

    private static let connected = """
        switches: { lan: { uplinks: eth1 } }
        vms:
          a: { nics: [ { switch: lan, vlan: 10, namespace: @a } ] }
          c: { nics: [ { switch: lan, vlan: 20, namespace: @c } ] }
          d: { nics: [ { switch: lan, namespace: @d } ] }
        """

    /// The uplink's other end is what the guest `wire` has as its eth0.
    private func withWire(_ body: @Sendable @escaping (Town) async throws -> Void) async throws {
        try await Town.with(["a", "c", "d", "wire"]) { town in
            let wire = try #require(town.guests["wire"])
            try await town.node.run(
                "ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", wire.name)
            try await wire.run("ip", "link", "set", "eth0", "up")
            try await body(town)
        }
    }

    /// What leaves by the uplink, and what comes in by it.
    private static let crossing = [
        Cast.all(from: "a", host: 1, heardBy: ["wire:10"]), Cast.all(from: "c", host: 2, heardBy: ["wire:20"]),
        Cast.all(from: "d", host: 3, heardBy: ["wire"]), Cast.all(from: "wire", host: 4, heardBy: ["d"]),
        Cast.all(from: "wire", host: 4, tag: 10, heardBy: ["a"]),
        Cast.all(from: "wire", host: 4, tag: 20, heardBy: ["c"]), Cast.all(from: "wire", host: 4, tag: 30),
        Cast.all(from: "wire", host: 4, tag: 4094),
    ].flatMap(\.self)

    @Test(.enabled(if: filters)) func `an uplink carries the VLANs of the switch with their tags`() async throws {
        try await withWire { town in
            #expect(try await town.apply(Self.connected) == [])
            #expect(try await town.plan(Self.connected) == [])
            #expect(try await town.surprises(Self.crossing) == [])
            // A VLAN more, a VLAN less: those that stay are not touched.
            let more = Self.connected.replacing("vlan: 20", with: "vlan: 30")
            #expect(try await town.apply(more) == [])
            let shown = try await town.node.run("bridge", "vlan", "show", "dev", "eth1")
            #expect(shown.contains(" 30") && !shown.contains(" 20"), "\(shown)")
            // Given back it has no VLANs any more.
            #expect(try await town.apply(Self.connected.replacing("{ uplinks: eth1 }", with: "{}")) == [])
            #expect(try await town.surprises(Cast.all(from: "wire", host: 4, tag: 10)) == [])
        }
    }

    @Test(.enabled(if: hasDevices)) func `without filtering VLAN devices lead the VLANs out`() async throws {
        try await withWire { town in
            var half = town
            half.capabilities = Self.split
            #expect(try await half.apply(Self.connected) == [])
            #expect(try await half.plan(Self.connected) == [])
            #expect(try await half.surprises(Self.crossing) == [])
            // What was taken away comes back; what the VLAN no longer needs goes.
            try await town.node.run("ip", "link", "delete", "eth1.10")
            #expect(try await half.plan(Self.connected) == ["vlan/eth1.10 create"])
            #expect(try await half.apply(Self.connected) == [])
            try await town.node.run("ip", "link", "set", "eth1.20", "nomaster")
            #expect(try await half.plan(Self.connected) == ["vlan/eth1.20 update"])
            #expect(try await half.apply(Self.connected) == [])
            #expect(try await half.surprises(Self.crossing) == [])
            #expect(try await half.apply("switches: { lan: { uplinks: eth1 } }") == [])
            let left = try await town.node.run("ip", "-o", "link", "show")
            #expect(!left.contains("eth1.") && !left.contains("lan."), "\(left)")
            #expect(try await half.apply("switches: { lan: {} }") == [])
        }
    }

    @Test func `without either the VLANs of a switch with uplinks are refused, and VLAN 1 goes on`() async throws {
        try await withWire { town in
            var bare = town
            bare.capabilities = Self.bare
            let left = try await bare.apply(Self.connected)
            #expect(left.count == 4, "\(left)")
            #expect(left.filter { $0.hasPrefix("switch/lan.") && $0.contains(" unsupported: ") }.count == 2, "\(left)")
            #expect(
                left.contains {
                    $0.contains("VLAN 10 of switch 'lan' cannot leave by eth1: that needs a kernel with ")
                        && $0.hasSuffix("or take eth1 from the switch's `uplinks`")
                }, "\(left)")
            let casts = [
                Cast.all(from: "d", host: 3, heardBy: ["wire"]), Cast.all(from: "wire", host: 4, heardBy: ["d"]),
                // In VLAN 1 is nobody who may hear it.
                Cast.all(from: "wire", host: 4, tag: 10), Cast.all(from: "wire", host: 4, tag: 30),
            ]
            #expect(try await bare.surprises(casts.flatMap(\.self)) == [])
        }
    }

    // MARK: Drift

    @Test(.enabled(if: filters)) func `what others change of VLANs is put back`() async throws {
        try await withWire { town in
            #expect(try await town.apply(Self.connected) == [])
            let changes: [(String, plan: [String])] = [
                ("bridge vlan del vid 10 dev a-net0", ["nic/a/net0 update"]),
                ("bridge vlan add vid 20 dev a-net0", ["nic/a/net0 update"]),
                ("bridge vlan add vid 20 pvid untagged dev a-net0", ["nic/a/net0 update"]),
                ("bridge vlan add vid 10 dev a-net0", ["nic/a/net0 update"]),
                ("bridge vlan del vid 20 dev eth1", ["uplink/eth1 update"]),
                ("bridge vlan add vid 99 dev eth1", ["uplink/eth1 update"]),
                ("bridge vlan del vid 1 dev eth1", ["uplink/eth1 update"]),
                ("bridge vlan add vid 10 dev lan self", ["switch/lan update"]),
                ("bridge vlan del vid 1 dev lan self", ["switch/lan update"]),
                ("ip link set a-net0 nomaster", ["nic/a/net0 update"]),
                ("ip link set eth1 nomaster", ["uplink/eth1 update"]),
                ("ip link set lan type bridge vlan_filtering 0", ["switch/lan update"]),
                ("ip link set lan type bridge vlan_default_pvid 10", ["nic/c/net0 update", "switch/lan update"]),
            ]
            for (change, plan) in changes {
                try await town.node.run("sh", "-c", change)
                let seen = try await town.plan(Self.connected)
                #expect(Set(seen).isSuperset(of: plan), "\(change): \(seen)")
                #expect(try await town.apply(Self.connected) == [], "\(change)")
                #expect(try await town.plan(Self.connected) == [], "\(change)")
            }
            #expect(try await town.surprises(Self.crossing) == [])
        }
    }
}
