import Capabilities
import Manifest
import Netlink
import Reconcile
import Testing

@testable import VSwitch

/// VLANs in manifests: what is read, and what becomes of it on kernels whose bridges filter and on those that do not.
struct VLANManifestTests {
    private static let lean = Capabilities(raw: [
        .vlanFiltering: .missing(option: "CONFIG_BRIDGE_VLAN_FILTERING"),
        .vlanDevice: .missing(option: "CONFIG_VLAN_8021Q"),
    ])
    private static let halfLean = Capabilities(raw: [.vlanFiltering: .missing(option: "CONFIG_BRIDGE_VLAN_FILTERING")])
    private static let whole = Capabilities(raw: [:])

    private static let house = """
        switches: { lan: { mtu: 1400, ageing: 60 }, other: {} }
        vms:
          a: { nics: [ { switch: lan, vlan: 10, address: 10.0.0.1 } ] }
          b: { nics: [ { switch: lan, vlan: 20, address: 10.0.0.1, isolated: true } ] }
          c: { nics: [ { switch: lan, trunk: [20, 30-40, 35-41], vlan: 10 } ] }
          d: { nics: [ { switch: lan, trunk: 20 } ] }
          e: { nics: [ { switch: lan, address: 10.0.0.1 } ] }
          f: { nics: [ { switch: other } ] }
          g: { nics: [ { switch: lan, vlan: 1 } ] }
        """

    private func load(_ text: String, _ known: Capabilities) throws -> Desired {
        let (desired, mistakes) = Manifests.load(
            text, subnets: ["lan": [try #require(IPPrefix("10.0.0.254/24"))]], capabilities: { known })
        #expect(mistakes == [])
        return try #require(desired)
    }

    @Test func `a kernel is asked only where a NIC names a VLAN`() throws {
        let (desired, mistakes) = Manifests.load(
            "switches: { lan: { uplinks: eth1 } }\nvms: { a: { nics: [ { switch: lan } ] } }",
            capabilities: { fatalError("asked") })
        #expect(mistakes == [])
        let found = try #require(desired)
        #expect(found.specs(of: NICKind.self)["a/net0"]?.port == PortSettings())
        #expect(found.specs(of: SwitchKind.self)["lan"] == SwitchSpec(name: "lan", uplinks: [.derived(from: "eth1")]))
    }

    @Test func `where bridges filter, ports are told`() throws {
        let desired = try load(Self.house, Self.whole)
        let switches = desired.specs(of: SwitchKind.self)
        #expect(switches.keys.sorted() == ["lan", "other"])
        #expect(switches["lan"]?.bridging.filtersVLANs == true && switches["other"]?.bridging.filtersVLANs == false)
        #expect(switches["lan"]?.vlans?.words == "1, 10, 20, 30-41, by VLAN filtering")
        let nics = desired.specs(of: NICKind.self).mapValues { $0.port.vlans?.words }
        #expect(
            nics == [
                "a/net0": "10", "b/net0": "20", "c/net0": "10, tagged 20, 30-41", "d/net0": "tagged 20", "e/net0": "1",
                "f/net0": nil, "g/net0": "1",
            ])
        // A router's subnet is in VLAN 1, and the same address in each VLAN is another.
        let lengths = desired.specs(of: NICKind.self).compactMapValues { $0.addresses.first?.length }
        #expect(lengths == ["a/net0": 32, "b/net0": 32, "e/net0": 24])
        #expect(desired.specs(of: NICKind.self).values.allSatisfy { $0.refusal == nil })
    }

    @Test func `where they do not, each VLAN gets a bridge, and trunks are refused`() throws {
        let desired = try load(Self.house, Self.lean)
        let switches = desired.specs(of: SwitchKind.self)
        #expect(switches.keys.sorted() == ["lan", "lan.10", "lan.20", "other"])
        let part = try #require(switches["lan.10"])
        #expect(part.mtu == 1400 && part.settings.ageing == 60 && part.uplinks == [])
        #expect(part.bridge.description == "lan.10" && !part.bridging.filtersVLANs)
        #expect(part.mac != switches["lan"]?.mac)
        let nics = desired.specs(of: NICKind.self)
        #expect(
            nics.mapValues(\.switchName) == [
                "a/net0": "lan.10", "b/net0": "lan.20", "c/net0": "lan", "d/net0": "lan", "e/net0": "lan",
                "f/net0": "other", "g/net0": "lan",
            ])
        #expect(nics.values.allSatisfy { $0.port.vlans == nil })
        #expect(nics.filter { $0.value.refusal != nil }.keys.sorted() == ["c/net0", "d/net0"])
        let refusal = try #require(nics["c/net0"]?.refusal)
        #expect(refusal.contains("`trunk` needs a kernel with CONFIG_BRIDGE_VLAN_FILTERING"), "\(refusal)")
        #expect(desired.references(of: NICKind.id("a/net0")).map(\.target).contains(SwitchKind.id("lan.10")))
        #expect(!desired.references(of: NICKind.id("a/net0")).map(\.target).contains(SwitchKind.id("lan")))
        // A NIC with settings of its own keeps them.
        #expect(nics["b/net0"]?.port.isIsolated == true)
        // The fence knows all bridges and ports.
        let fenced = Fenced(desired)
        #expect(Set(fenced.bridges.keys.map(\.description)) == ["lan", "lan.10", "lan.20", "other"])
        // What is refused sends nothing.
        let table = GuardTable.compile(nics.values, Policy(desired))
        let refused = NFKey(.interface(.derived(from: "c-net0")), .mac(MACAddress.derived(from: "c/net0")))
        #expect(table.sets["bindm"]?.elements[refused] == nil && table.sets["trunks"] == nil)
        #expect(table.sets["ports"]?.elements[NFKey(.interface(.derived(from: "c-net0")))] != nil)
    }

    private static let connected = """
        switches: { lan: { uplinks: [eth1, eth2] } }
        vms:
          a: { nics: [ { switch: lan, vlan: 10 } ] }
          b: { nics: [ { switch: lan } ] }
        """

    @Test func `uplinks carry all VLANs of the switch where its bridge filters`() throws {
        let uplinks = try load(Self.connected, Self.whole).specs(of: UplinkKind.self)
        #expect(uplinks.mapValues { $0.vlans?.words } == ["eth1": "1, tagged 10", "eth2": "1, tagged 10"])
    }

    @Test func `without filtering a VLAN device on each uplink leads into the VLAN's bridge`() throws {
        let desired = try load(Self.connected, Self.halfLean)
        #expect(desired.specs(of: UplinkKind.self).values.allSatisfy { $0.vlans == nil })
        let ports = desired.specs(of: VLANPortKind.self)
        #expect(
            ports == [
                "eth1.10": VLANPortSpec(lower: .derived(from: "eth1"), vlan: 10, switchName: "lan.10"),
                "eth2.10": VLANPortSpec(lower: .derived(from: "eth2"), vlan: 10, switchName: "lan.10"),
            ])
        #expect(
            desired.references(of: VLANPortKind.id("eth1.10")).map(\.target) == [
                UplinkKind.id("eth1"), SwitchKind.id("lan.10"),
            ])
        #expect(Set(Fenced(desired).ports.map(\.description)).isSuperset(of: ["eth1", "eth2", "eth1.10", "eth2.10"]))
        // What comes out of the uplink itself with a tag is of none of the VLANs.
        let table = GuardTable.compile(desired.specs(of: NICKind.self).values, Policy(desired))
        #expect(table.sets["divided"]?.elements.count == 2)
        #expect(table.chains["guard"]?.rules.first?.comment == "of a VLAN that has no bridge here")
    }

    @Test func `without VLAN devices either, a VLAN that is to leave is refused, and the rest is not`() throws {
        let desired = try load(Self.connected, Self.lean)
        #expect(desired.specs(of: VLANPortKind.self).isEmpty)
        let kind = SwitchKind(links: LinkListing(), capabilities: { Self.lean })
        let switches = desired.specs(of: SwitchKind.self)
        let change = kind.diff(name: "lan.10", spec: switches["lan.10"], observation: nil)
        guard case .unsupported(let reason) = change else {
            Issue.record("\(change)")
            return
        }
        #expect(
            reason == "VLAN 10 of switch 'lan' cannot leave by eth1: that needs a kernel with "
                + "CONFIG_BRIDGE_VLAN_FILTERING, or with CONFIG_VLAN_8021Q; or take eth1 from the switch's `uplinks`")
        #expect(kind.diff(name: "lan", spec: switches["lan"], observation: nil).isPending)
    }

    @Test func `groups in a VLAN need a bridge that tells VLANs' flows apart`() throws {
        let text = """
            switches: { lan: {} }
            vms:
              a: { nics: [ { switch: lan, vlan: 10, address: 10.0.0.1 } ] }
              b: { nics: [ { switch: lan, address: 10.0.0.1 } ] }
            """
        var desired = try load(text, Self.whole)
        let lacking = Capabilities(raw: [.conntrackBridge: .missing(option: "CONFIG_NF_CONNTRACK_BRIDGE")])
        for name in ["a/net0", "b/net0"] {
            var nic = try #require(desired.specs(of: NICKind.self)[name])
            nic.groups = ["web"]
            desired.add(nic)
        }
        VLANs.derivation(capabilities: { lacking }).run(&desired, Diagnostics())
        let nics = desired.specs(of: NICKind.self)
        #expect(nics["b/net0"]?.refusal == nil)
        #expect(nics["a/net0"]?.refusal?.contains("CONFIG_NF_CONNTRACK_BRIDGE") == true)
    }

    @Test func `plan and status say by which way`() throws {
        func fields(_ name: String, _ known: Capabilities) throws -> (plan: [FieldChange], status: String?) {
            let kind = SwitchKind(links: LinkListing(), capabilities: { known })
            let spec = try #require(try load(Self.house, known).specs(of: SwitchKind.self)[name])
            return (kind.diff(name: name, spec: spec, observation: nil).fields, kind.remark(spec))
        }
        let native = try fields("lan", Self.whole)
        #expect(native.plan.contains(FieldChange("vlans", to: "1, 10, 20, 30-41, by VLAN filtering")))
        #expect(native.status == "vlans 1, 10, 20, 30-41, by VLAN filtering")
        let split = try fields("lan", Self.lean)
        let way = "1, 10, 20, bridge per VLAN: this kernel lacks CONFIG_BRIDGE_VLAN_FILTERING"
        #expect(split.plan.contains(FieldChange("vlans", to: way)) && split.status == "vlans \(way)")
        let part = try fields("lan.10", Self.lean)
        let words = "10 of switch 'lan', bridge per VLAN: this kernel lacks CONFIG_BRIDGE_VLAN_FILTERING"
        #expect(part.plan.contains(FieldChange("vlan", to: words)) && part.status == "vlan \(words)")
        #expect(try fields("other", Self.lean).status == nil)
        let nic = try #require(try load(Self.house, Self.lean).specs(of: NICKind.self)["a/net0"])
        #expect(nic.summary.contains(FieldChange("vlan", to: "10")))
    }
}

// MARK: Mistakes

extension VLANManifestTests {
    @Test func `fields are read strictly`() {
        let (_, mistakes) = Manifests.load(
            """
            switches: { lan: {} }
            vms:
              a: { nics: [ { switch: lan, vlan: 0 } ] }
              b: { nics: [ { switch: lan, vlan: 4095 } ] }
              c: { nics: [ { switch: lan, trunk: [20, 4095] } ] }
              d: { nics: [ { switch: lan, trunk: [40-30] } ] }
              e: { nics: [ { switch: lan, trunk: [] } ] }
              f: { nics: [ { switch: lan, trunk: [5-9], vlan: 7 } ] }
              g: { nics: [ { switch: lan, trunk: [5], address: 10.0.0.1 } ] }
              h: { nics: [ { switch: lan, trunk: [5], learning: static } ] }
            """)
        let wanted = [
            "3:37 'vlan' of nic 1 of vm 'a' must be 1 to 4094, not 0",
            "4:37 'vlan' of nic 1 of vm 'b' must be 1 to 4094, not 4095",
            "5:43 'trunk' of nic 1 of vm 'c' is not a VLAN, 1 to 4094, or a range such as 30-40: '4095'",
            "6:39 'trunk' of nic 1 of vm 'd' is not a VLAN, 1 to 4094, or a range such as 30-40: '40-30'",
            "7:38 'trunk' of nic 1 of vm 'e' names none",
            "8:38 VLAN 7 cannot come both with its tag and without",
            "9:38 a nic with 'trunk' cannot have 'address'",
            "10:38 a nic with 'trunk' cannot have 'learning: static'",
        ]
        #expect(mistakes == wanted)
    }

    @Test func `a trunk has no groups`() {
        let (_, mistakes) = Manifests.load(
            "switches: { lan: {} }\nvms: { a: { nics: [ { switch: lan, trunk: [5], groups: web } ] } }")
        #expect(mistakes.contains { $0.contains("a nic with 'trunk' cannot have 'groups'") }, "\(mistakes)")
    }

    /// The same on every kernel: a manifest is right or wrong wherever it is read.
    @Test(arguments: [true, false])
    func `what no kernel can have`(isWhole: Bool) {
        let known = isWhole ? Self.whole : Self.lean
        func mistakes(_ text: String) -> [String] { Manifests.load(text, capabilities: { known }).mistakes }
        #expect(
            mistakes(
                """
                switches: { lan: { overlay: { vni: 5, local: 192.0.2.1 } } }
                vms:
                  a: { nics: [ { switch: lan, vlan: 10 } ] }
                  b: { nics: [ { switch: lan, vlan: 1 } ] }
                """) == ["3:16 nic/a/net0 is in VLAN 10 of switch 'lan', whose overlay carries VLAN 1 only"])
        #expect(
            mistakes(
                """
                switches: { lan: {}, lan.10: {} }
                vms: { a: { nics: [ { switch: lan, vlan: 10 } ] } }
                """) == ["1:22 'lan.10' is the name of VLAN 10 of switch 'lan'"])
        #expect(
            mistakes(
                """
                switches: { lan: {} }
                vms: { a: { nics: [ { switch: lan, vlan: 10 }, { switch: lan.10 } ] } }
                """) == ["2:58 'lan.10' is VLAN 10 of switch 'lan', and no switch"])
        #expect(
            mistakes(
                """
                switches: { lan: {} }
                vms:
                  a: { nics: [ { switch: lan, vlan: 10, address: 10.0.0.1 } ] }
                  b: { nics: [ { switch: lan, vlan: 10, address: 10.0.0.1 } ] }
                  c: { nics: [ { switch: lan, vlan: 20, mac: 02:00:00:00:00:01 } ] }
                  d: { nics: [ { switch: lan, vlan: 30, mac: 02:00:00:00:00:01 } ] }
                """) == [
                    "4:16 nic/b/net0 and nic/a/net0 both have the address 10.0.0.1 on switch 'lan.10'",
                    "6:16 nic/d/net0 and nic/c/net0 both have the MAC address 02:00:00:00:00:01 on switch 'lan'",
                ])
    }
}
