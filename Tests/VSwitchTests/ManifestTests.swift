import Netlink
import Reconcile
import Testing
import VSwitch

/// What switches and NICs of a manifest become, and how their mistakes read.
struct ManifestTests {
    private func load(_ text: String, subnets: [String: [IPPrefix]] = [:]) -> (Desired?, [String]) {
        Manifests.load(text, subnets: subnets)
    }

    private func nics(_ text: String, subnets: [String: [IPPrefix]] = [:]) throws -> [String: NICSpec] {
        let (desired, mistakes) = load(text, subnets: subnets)
        #expect(mistakes == [])
        return try #require(desired).specs(of: NICKind.self)
    }

    @Test func `a short NIC gets everything derived`() throws {
        let nics = try nics(
            """
            switches: { blue: { mtu: 1450 } }
            vms: { vm1: { nics: [ { switch: blue } ] } }
            """)
        let nic = try #require(nics["vm1/net0"])
        #expect(nic.interface.description == "vm1-net0" && nic.mac == .derived(from: "vm1/net0"))
        #expect(nic.mtu == 1450 && nic.addresses.isEmpty && nic.attachment == .tap(owner: nil))
        #expect(
            nic.hostMAC.bytes[0] == 0xfe && Array(nic.hostMAC.bytes.dropFirst()) == Array(nic.mac.bytes.dropFirst()))
    }

    @Test func `a full NIC keeps what is given`() throws {
        let subnets = try ["blue": ["10.10.0.1/24", "10.0.0.1/8", "fd00:10::1/64"].map { try #require(IPPrefix($0)) }]
        let nics = try nics(
            """
            switches: { blue: , green: { uplinks: eth1 } }
            vms:
              vm1:
                nics:
                  - { switch: blue, name: front, interface: tap7, mac: "52:54:00:00:00:07", mtu: 1400, owner: 1000,
                      address: [10.10.0.10, 10.200.0.1, "fd00:10::10", "192.0.2.1", "10.10.0.11/16"] }
                  - { switch: green, owner: qemu }
              c1:
                nics:
                  - { switch: blue, namespace: box, address: 10.10.0.20/24, gateway: 10.10.0.1 }
                  - { switch: green, namespace: box }
                  - { switch: green, namespace: /proc/1/ns/net }
            """, subnets: subnets)
        let front = try #require(nics["vm1/front"])
        #expect(
            front.interface.description == "tap7" && front.mac.description == "52:54:00:00:00:07" && front.mtu == 1400)
        #expect(
            front.addresses.map(\.prefix.description)
                == ["10.10.0.10/24", "10.200.0.1/8", "fd00:10::10/64", "192.0.2.1/32", "10.10.0.11/16"])
        #expect(front.attachment == .tap(owner: .number(1000)))
        #expect(nics["vm1/net1"]?.attachment == .tap(owner: .name("qemu")))
        let ends = (0..<3).map { nics["c1/net\($0)"]?.attachment }
        let eth0 = try #require(InterfaceName("eth0"))
        let eth1 = try #require(InterfaceName("eth1"))
        let gateway = try #require(IPAddress("10.10.0.1"))
        #expect(ends[0] == .namespace("box", farEnd: eth0, gateways: [gateway]))
        #expect(ends[1] == .namespace("box", farEnd: eth1, gateways: []))
        #expect(ends[2] == .namespace("/proc/1/ns/net", farEnd: eth0, gateways: []))
    }

    @Test(arguments: [
        ("switches: { blue: { mtu: 50 } }", ["1:26 'mtu' of switch 'blue' must be 68 to 65535, not 50"]),
        ("switches: { blue: { mtuu: 1500 } }", ["1:21 unknown field 'mtuu' in switch 'blue'"]),
        ("switches: { blue/x: }", ["1:13 'blue/x' cannot name a switch"]),
        (
            "switches: { blue: { uplinks: [eth1, a/b] } }",
            ["1:37 'uplinks' of switch 'blue' is not an interface name of at most 15 bytes: 'a/b'"]
        ),
        ("switches: { a: { uplinks: [eth1] }, b: { uplinks: [eth1] } }", ["1:52 eth1 is borrowed twice"]),
        (
            "switches: { eth1: { uplinks: [eth1] } }",
            ["1:31 uplink/eth1 and switch/eth1 both have the interface name eth1"]
        ),
    ])
    func `mistakes of switches are found`(text: String, mistakes: [String]) {
        #expect(load(text).1 == mistakes)
    }

    @Test(arguments: [
        ("{ }", ["nic 1 of vm 'vm1' needs 'switch'"]),
        ("{ switch: bleu }", ["nic/vm1/net0 needs switch/bleu, which the manifest does not have"]),
        ("{ switch: blue, adress: 10.0.0.1 }", ["unknown field 'adress' in nic 1 of vm 'vm1'"]),
        ("{ switch: blue, address: 10.0.0 }", ["'10.0.0' is not an address"]),
        ("{ switch: blue, address: 10.0.0.0/24 }", ["10.0.0.0/24 is the network's own or its broadcast address"]),
        ("{ switch: blue, address: 10.0.0.255/24 }", ["10.0.0.255/24 is the network's own or its broadcast address"]),
        (
            "{ switch: blue, address: [10.0.0.1/33, \"fd00::1/129\", 10.0.0.2/, 10.0.0.3/24/8] }",
            [
                "10.0.0.1/33 has no prefix length of IPv4, which is /0 to /32",
                "fd00::1/129 has no prefix length of IPv6, which is /0 to /128",
                "10.0.0.2/ has no prefix length of IPv4, which is /0 to /32",
                "10.0.0.3/24/8 has no prefix length of IPv4, which is /0 to /32",
            ]
        ),
        (
            "{ switch: blue, address: [224.0.0.1, 0.0.0.0, 0.1.2.3, 127.0.0.1, 127.9.9.9/8, 240.0.0.1] }",
            [
                "224.0.0.1 is no address for an interface: it is a group address",
                "0.0.0.0 is no address for an interface: it is the unspecified address",
                "0.1.2.3 is no address for an interface: it is reserved",
                "127.0.0.1 is no address for an interface: it is a loopback address",
                "127.9.9.9 is no address for an interface: it is a loopback address",
                "240.0.0.1 is no address for an interface: it is reserved",
            ]
        ),
        (
            "{ switch: blue, address: [255.255.255.255, \"::\", \"::1\", \"ff02::1\", \"::ffff:10.0.0.1\"] }",
            [
                "255.255.255.255 is no address for an interface: it is reserved",
                ":: is no address for an interface: it is the unspecified address",
                "::1 is no address for an interface: it is the loopback address",
                "ff02::1 is no address for an interface: it is a group address",
                "::ffff:10.0.0.1 is no address for an interface: it is an IPv4 address in disguise",
            ]
        ),
        (
            "{ switch: blue, address: [10.0.0.1, 10.0.0.1] }",
            ["nic/vm1/net0 has the address 10.0.0.1 on switch 'blue' twice"]
        ),
        ("{ switch: blue, mac: 01:00:00:00:00:01 }", ["01:00:00:00:00:01 is no address for an interface"]),
        (
            "{ switch: blue, mac: 52-54 }",
            ["'mac' of nic 1 of vm 'vm1' is not a MAC address such as 52:54:00:12:34:56: '52-54'"]
        ),
        ("{ switch: blue, mtu: 9000 }", ["mtu 9000 of nic/vm1/net0 is above that of switch 'blue', which is 1500"]),
        (
            "{ switch: blue, mtu: 1000, address: \"fd00::1\" }",
            ["mtu 1000 of nic/vm1/net0 is too small for its IPv6 address"]
        ),
        ("{ switch: blue, interface: blue }", ["nic/vm1/net0 and switch/blue both have the interface name blue"]),
        ("{ switch: blue, name: a/b }", ["'a/b' cannot name a nic"]),
        ("{ switch: blue, gateway: 10.0.0.1 }", ["'gateway' is for a nic in a namespace"]),
        ("{ switch: blue, namespace: x, owner: me }", ["'owner' is for a tap"]),
        ("{ switch: blue, namespace: a/b }", ["'a/b' is no network namespace"]),
        (
            "{ switch: blue, namespace: x, address: 10.0.0.1, gateway: \"fe80::1\" }",
            ["gateway fe80::1 needs an IPv6 address on the nic"]
        ),
        ("{ switch: blue, owner: 4294967295 }", ["'4294967295' is no user"]),
        ("{ switch: blue, name: x }, { switch: blue, name: x }", ["vm 'vm1' has two nics named 'x'"]),
        (
            "{ switch: blue, mac: 52:54:00:00:00:01 }, { switch: blue, mac: 52:54:00:00:00:01 }",
            ["nic/vm1/net1 and nic/vm1/net0 both have the MAC address 52:54:00:00:00:01 on switch 'blue'"]
        ),
    ])
    func `mistakes of NICs are found`(nics: String, mistakes: [String]) {
        let text = "switches: { blue: }\nvms: { vm1: { nics: [ \(nics) ] } }"
        let found = load(text).1.map { String($0.drop { $0 != " " }.dropFirst()) }
        #expect(found == mistakes)
    }

    @Test func `two VMs in one namespace are one too many`() {
        let text = """
            switches: { blue: }
            vms:
              a: { nics: [ { switch: blue, namespace: box } ] }
              b: { nics: [ { switch: blue, namespace: box } ] }
            """
        #expect(load(text).1 == ["4:16 nic/b/net0 and nic/a/net0 both have eth0 in network namespace 'box'"])
    }
}
