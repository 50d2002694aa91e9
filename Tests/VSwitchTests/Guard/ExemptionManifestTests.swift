import Netlink
import Reconcile
import Testing
import VSwitch

/// How `allow` and `unguarded` are read, and what is refused.
struct ExemptionManifestTests {
    private func load(_ nics: String, subnets: [String: [IPPrefix]] = [:]) -> (desired: Desired?, mistakes: [String]) {
        let text = "switches: { blue: }\nvms: { vm1: { nics: [ \(nics) ] } }"
        let (desired, mistakes) = Manifests.load(text, subnets: subnets)
        return (desired, mistakes.map { String($0.drop { $0 != " " }.dropFirst()) })
    }

    @Test func `they are read`() throws {
        let (desired, mistakes) = load(
            """
            { switch: blue, address: [10.0.0.1, "fd00::1"], unguarded: [ra, mac],
              allow: [10.0.0.100, "fd05::/64", 10.5.0.0/24, 00:00:5e:00:01:07] },
            { switch: blue, allow: 00:00:5e:00:01:07 }, { switch: blue, address: 10.0.0.2, allow: 10.0.0.100 }
            """)
        #expect(mistakes == [])
        let nics = try #require(desired).specs(of: NICKind.self)
        let first = try #require(nics["vm1/net0"])
        #expect(first.allow.networks.map(\.description) == ["10.0.0.100/32", "10.5.0.0/24", "fd05::/64"])
        #expect(first.allow.macs.map(\.description) == ["00:00:5e:00:01:07"])
        #expect(first.unguarded == [.mac, .ra])
        #expect(nics["vm1/net1"]?.allow.macs == first.allow.macs)
    }

    @Test(arguments: [
        ("10.0.0", "'10.0.0' is no address, no network and no MAC address"),
        ("10.0.0.1/33", "10.0.0.1/33 has no prefix length of IPv4, which is /0 to /32"),
        ("10.5.0.1/24", "10.5.0.1/24 has host bits"), ("0.0.0.0/0", "0.0.0.0/0 is every address"),
        ("\"::/0\"", "::/0 is every address"),
        ("224.0.0.18", "224.0.0.18 is no address for an interface: it is a group address"),
        ("128.0.0.0/1", "255.255.255.255 in 128.0.0.0/1 is no address for an interface: it is reserved"),
        ("64.0.0.0/2", "127.255.255.255 in 64.0.0.0/2 is no address for an interface: it is a loopback address"),
        ("\"::/8\"", ":: in ::/8 is no address for an interface: it is the unspecified address"),
        ("\"ff02::1\"", "ff02::1 is no address for an interface: it is a group address"),
        ("01:00:5e:00:00:12", "01:00:5e:00:00:12 is no address for an interface"),
        ("[10.9.0.1, 10.9.0.1]", "10.9.0.1 is allowed twice"),
        ("[10.9.0.0/16, 10.9.1.0/24]", "10.9.1.0/24 lies in 10.9.0.0/16, which is allowed too"),
        ("[10.9.0.7, 10.9.0.0/16]", "10.9.0.7 lies in 10.9.0.0/16, which is allowed too"),
        ("[00:00:5e:00:01:07, 00:00:5e:00:01:07]", "00:00:5e:00:01:07 is allowed twice"),
    ])
    func `nonsense in allow is found`(text: String, mistake: String) {
        #expect(load("{ switch: blue, address: 10.0.0.1, allow: \(text) }").mistakes == [mistake])
    }

    @Test(arguments: [
        (
            "{ switch: blue, allow: 10.0.0.7 }",
            "'allow' adds to 'address', and nic 1 of vm 'vm1' has none: it may send from any"
        ),
        (
            "{ switch: blue, learning: static, allow: 00:00:5e:00:01:07 }",
            "a port with static learning takes no frame from 00:00:5e:00:01:07"
        ),
        ("{ switch: blue, unguarded: [mac, mac] }", "guard 'mac' is named twice"),
        ("{ switch: blue, unguarded: all }", "'unguarded' of nic 1 of vm 'vm1' cannot be 'all'"),
        (
            "{ switch: blue, unguarded: ipv6 }",
            "'ipv6' guards nothing here: nic 1 of vm 'vm1' has no 'address', and may send from any"
        ),
        (
            "{ switch: blue, learning: static, unguarded: mac }",
            "a port with static learning takes frames from the nic's own MAC address only"
        ),
        (
            "{ switch: blue, address: 10.0.0.1, allow: 10.0.0.1 }",
            "nic/vm1/net0 cannot be allowed: 10.0.0.1 is its own address"
        ),
        (
            "{ switch: blue, mac: 02:00:00:00:00:09, allow: 02:00:00:00:00:09 }",
            "nic/vm1/net0 cannot be allowed: 02:00:00:00:00:09 is its own MAC address"
        ),
    ])
    func `what cannot go together is found`(nic: String, mistake: String) {
        #expect(load(nic).mistakes == [mistake])
    }

    @Test(arguments: [
        ("10.0.0.2", "nic/vm1/net0 cannot be allowed 10.0.0.2: 10.0.0.2 is the address of nic/vm1/net1"),
        ("10.0.0.0/24", "nic/vm1/net0 cannot be allowed 10.0.0.0/24: 10.0.0.2 is the address of nic/vm1/net1"),
        ("\"fd00::/64\"", "nic/vm1/net0 cannot be allowed fd00::/64: fd00::2 is the address of nic/vm1/net1"),
        (
            "10.1.0.0/24",
            "nic/vm1/net0 cannot be allowed 10.1.0.0/24: 10.1.0.1 is the address of a router on the switch"
        ),
        ("02:00:00:00:00:02", "nic/vm1/net0 cannot be allowed: 02:00:00:00:00:02 is the MAC address of nic/vm1/net1"),
        (
            "\(SwitchSpec(name: "blue").mac)",
            "nic/vm1/net0 cannot be allowed: \(SwitchSpec(name: "blue").mac) is the MAC address of switch/blue"
        ),
    ])
    func `what belongs to another is refused`(text: String, mistake: String) throws {
        let (_, mistakes) = load(
            """
            { switch: blue, address: [10.0.0.1, "fd00::1"], allow: \(text) },
            { switch: blue, address: [10.0.0.2, "fd00::2"], mac: 02:00:00:00:00:02 }
            """, subnets: ["blue": [try #require(IPPrefix("10.1.0.1/24"))]])
        #expect(mistakes == [mistake])
    }

    @Test(arguments: [
        ("10.0.0.0/24", "10.0.0.7"), ("\"fd00::7\"", "fd00::7"), ("02:00:00:00:00:07", "02:00:00:00:00:07"),
    ])
    func `what a host behind an overlay has is refused`(text: String, good: String) {
        let (_, mistakes) = Manifests.load(
            """
            switches:
              blue:
                overlay: { vni: 7, local: 192.0.2.1, peers: { address: 192.0.2.2, hosts: {
                  mac: 02:00:00:00:00:07, address: [10.0.0.7, "fd00::7"] } } }
            vms: { vm1: { nics: [ { switch: blue, address: 10.0.0.1, allow: \(text) } ] } }
            """)
        #expect(
            mistakes.map { String($0.drop { $0 != " " }.dropFirst()) } == [
                "nic/vm1/net0 is allowed \(good), which a host behind peer 192.0.2.2 has on switch 'blue'"
            ])
    }

    @Test func `what may be another's is no obstacle elsewhere, nor where one has an address in its own network`() {
        let text = """
            switches: { blue: , red: }
            vms:
              a: { nics: [ { switch: blue, address: 10.5.0.1, allow: 10.5.0.0/24 } ] }
              b: { nics: [ { switch: red, address: 10.5.0.2 }, { switch: blue, vlan: 20, address: 10.5.0.3 } ] }
            """
        #expect(Manifests.load(text).mistakes == [])
    }

    @Test func `NICs that may have one address are in the same groups`() {
        func load(_ groups: String, _ allow: String) -> [String] {
            Manifests.load(
                """
                switches: { blue: }
                groups: { web: , db: }
                vms:
                  a: { nics: [ { switch: blue, address: 10.0.0.1, groups: web, allow: 10.0.0.0/25 } ] }
                  b: { nics: [ { switch: blue, address: 10.0.0.200, \(groups) allow: \(allow) } ] }
                """
            ).mistakes.map { String($0.drop { $0 != " " }.dropFirst()) }
        }
        #expect(load("groups: web,", "10.0.0.7") == [])
        #expect(load("groups: db,", "10.0.1.7") == [])
        let mistake = "nic/a/net0 may have the same addresses, and has other groups"
        #expect(load("groups: db,", "10.0.0.7") == ["nic/b/net0 cannot be allowed 10.0.0.7: \(mistake)"])
        #expect(load("", "10.0.0.64/26") == ["nic/b/net0 cannot be allowed 10.0.0.64/26: \(mistake)"])
    }
}
