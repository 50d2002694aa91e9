import Netlink
import Reconcile
import Testing
import VSwitch

/// What the field `overlay` of a manifest becomes, and how its mistakes read.
struct OverlayManifestTests {
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test func `a short overlay gets everything derived`() throws {
        let (found, mistakes) = Manifests.load(
            "switches: { blue: { overlay: { vni: 100, local: 192.0.2.10, peers: 192.0.2.11 } } }")
        let desired = try #require(found)
        #expect(mistakes == [])
        let spec = try #require(desired.specs(of: OverlayKind.self)["blue"])
        #expect(spec.vni == 100 && spec.port == 4789 && spec.isLearning && !spec.isSuppressing && spec.mtu == 1450)
        #expect(spec.reach == OverlayReach(peers: [try address("192.0.2.11")]))
        #expect(spec.interface.description == "vx-blue")
        let network = try #require(desired.specs(of: SwitchKind.self)["blue"])
        #expect(network.mtu == 1450)
        // Another node's bridge has another MAC address.
        #expect(network.mac != .derived(from: "switch/blue"))
        #expect(desired.references(of: OverlayKind.id("blue")).map(\.target) == [SwitchKind.id("blue")])
    }

    @Test func `a full overlay keeps what is given`() throws {
        let (found, mistakes) = Manifests.load(
            """
            switches:
              a-switch-with-a-long-name:
                mtu: 8000
                overlay:
                  vni: 16777215
                  local: "2001:db8::10"
                  port: 8472
                  learning: false
                  suppress: false
                  peers:
                    - address: "2001:db8::11"
                      hosts: [ { mac: "02:00:00:00:00:21", address: [10.0.0.1, "fd00::1"] } ]
                    - { address: "2001:db8::12", hosts: [] }
              red: { overlay: { vni: 1, local: "2001:db8::10", peers: { address: "2001:db8::11",
                       hosts: { mac: "02:00:00:00:00:21", address: 10.0.0.1 } } } }
            vms: { vm1: { nics: [ { switch: red } ] } }
            """)
        #expect(mistakes == [])
        let desired = try #require(found)
        let spec = try #require(desired.specs(of: OverlayKind.self)["a-switch-with-a-long-name"])
        #expect(spec.vni == 0xff_ffff && spec.port == 8472 && !spec.isLearning && !spec.isSuppressing)
        #expect(spec.mtu == 8000 && spec.interface.description.utf8.count == 15)
        let host = RemoteHost(
            behind: try address("2001:db8::11"), addresses: [try address("10.0.0.1"), try address("fd00::1")])
        #expect(spec.reach.hosts == [MACAddress(rawValue: 0x0200_0000_0021): host])
        #expect(spec.reach.peers.count == 2)
        let red = try #require(desired.specs(of: OverlayKind.self)["red"])
        #expect(red.isSuppressing && red.mtu == 1430)
        #expect(desired.specs(of: NICKind.self)["vm1/net0"]?.mtu == 1430)
    }

    @Test func `a switch of this node that carries the overlay gives it its MTU`() throws {
        let subnets = try ["wan": [#require(IPPrefix("192.0.2.10/24"))]]
        let text = """
            switches:
              wan: { mtu: 9000, uplinks: [eth1] }
              blue: { \("§") overlay: { vni: 1, local: 192.0.2.10 } }
            vms: { vm1: { nics: [ { switch: blue } ] } }
            """
        let (desired, mistakes) = Manifests.load(text.replacing("§", with: ""), subnets: subnets)
        #expect(mistakes == [])
        #expect(desired?.specs(of: OverlayKind.self)["blue"]?.mtu == 8950)
        #expect(desired?.specs(of: SwitchKind.self)["blue"]?.mtu == 8950)
        #expect(desired?.specs(of: NICKind.self)["vm1/net0"]?.mtu == 8950)
        #expect(
            Manifests.load(text.replacing("§", with: "mtu: 8951,"), subnets: subnets).mistakes == [
                "3:31 packets of 8951 bytes become 9001 with VXLAN, and switch 'wan', which carries them, takes 9000"
            ])
    }

    @Test(arguments: [
        ("vni: 0, local: 192.0.2.10", ["'vni' of the overlay of switch 'blue' must be 1 to 16777215, not 0"]),
        (
            "vni: 16777216, local: 192.0.2.10",
            ["'vni' of the overlay of switch 'blue' must be 1 to 16777215, not 16777216"]
        ),
        ("vni: 1", ["the overlay of switch 'blue' needs 'local'"]),
        ("local: 192.0.2.10", ["the overlay of switch 'blue' needs 'vni'"]),
        ("§, peer: 192.0.2.11", ["unknown field 'peer' in the overlay of switch 'blue'"]),
        ("§, port: 0", ["'port' of the overlay of switch 'blue' must be 1 to 65535, not 0"]),
        (
            "§, learning: no",
            ["'learning' of the overlay of switch 'blue' must be true or false, not 'no'"]
        ),
        (
            "vni: 1, local: 0.0.0.0",
            ["0.0.0.0 is no address by which other nodes reach one: it is the unspecified address"]
        ),
        (
            "vni: 1, local: 127.0.0.1",
            ["127.0.0.1 is no address by which other nodes reach one: it is a loopback address"]
        ),
        (
            "vni: 1, local: \"fe80::1\"",
            ["fe80::1 is no address by which other nodes reach one: it is link-local: every link may have it"]
        ),
        ("§, peers: [239.1.1.1]", ["239.1.1.1 is no address by which other nodes reach one: it is a group address"]),
        (
            "§, peers: [255.255.255.255]",
            ["255.255.255.255 is no address by which other nodes reach one: it is reserved"]
        ),
        ("§, peers: [\"ff02::1\"]", ["ff02::1 is no address by which other nodes reach one: it is a group address"]),
        ("§, peers: [\"fd00::1\"]", ["fd00::1 and 192.0.2.10 are of different families"]),
        ("§, peers: [192.0.2.10]", ["192.0.2.10 is this node itself"]),
        ("§, peers: [192.0.2.11, { address: 192.0.2.11 }]", ["peer 192.0.2.11 is named twice"]),
        ("§, peers: [ { hosts: [] } ]", ["a peer of switch 'blue' needs 'address'"]),
        (
            "§, learning: false, peers: [192.0.2.11, { address: 192.0.2.12 }]",
            [
                "without learning, nobody behind this peer can be reached",
                "without learning, nobody behind this peer can be reached",
            ]
        ),
        (
            "§, peers: [ { address: 192.0.2.11, hosts: [ { address: 10.0.0.1 } ] } ]",
            ["a host behind a peer of switch 'blue' needs 'mac'"]
        ),
    ])
    func `mistakes of overlays are found`(fields: String, mistakes: [String]) {
        let fields = fields.replacing("§", with: "vni: 1, local: 192.0.2.10")
        let found = Manifests.load("switches: { blue: { overlay: { \(fields) } } }").mistakes
        #expect(found.map { String($0.drop { $0 != " " }.dropFirst()) } == mistakes)
    }

    @Test(arguments: [
        ("{ mac: \"01:00:00:00:00:21\" }", ["01:00:00:00:00:21 is no address for an interface"]),
        ("{ mac: \"00:00:00:00:00:00\" }", ["00:00:00:00:00:00 is no address for an interface"]),
        (
            "{ § }, { § }",
            ["the host 02:00:00:00:00:21 is named twice"]
        ),
        (
            "{ §, address: 10.0.0.1/24 }",
            ["'address' of a host is not an address without a prefix length, such as 10.10.0.20: '10.0.0.1/24'"]
        ),
        ("{ §, address: 224.0.0.1 }", ["224.0.0.1 is no address for an interface: it is a group address"]),
        (
            "{ §, address: [10.0.0.1, 10.0.0.1] }",
            ["10.0.0.1 is an address of this host already"]
        ),
        (
            "{ §, address: 10.0.0.1 }, { mac: \"02:00:00:00:00:22\", address: 10.0.0.1 }",
            ["10.0.0.1 is an address of host 02:00:00:00:00:21 already"]
        ),
        (
            "{ §, address: 10.0.0.7 }",
            ["nic/vm1/net0 has the address 10.0.0.7 of host 02:00:00:00:00:21, which is behind a peer on switch 'blue'"]
        ),
        (
            "{ mac: \"02:00:00:00:00:07\" }",
            ["nic/vm1/net0 has the MAC address 02:00:00:00:00:07 of a host behind peer 192.0.2.11 on switch 'blue'"]
        ),
        (
            "{ §, address: 10.0.0.254 }",
            ["10.0.0.254 of host 02:00:00:00:00:21 is the address of a router of this node on switch 'blue'"]
        ),
    ])
    func `mistakes of hosts are found`(hosts: String, mistakes: [String]) throws {
        let subnets = try ["blue": [#require(IPPrefix("10.0.0.254/24"))]]
        let hosts = hosts.replacing("§", with: "mac: \"02:00:00:00:00:21\"")
        let text = """
            switches:
              blue: { overlay: { vni: 1, local: 192.0.2.10, peers: [ { address: 192.0.2.11, hosts: [ \(hosts) ] } ] } }
            vms: { vm1: { nics: [ { switch: blue, mac: "02:00:00:00:00:07", address: 10.0.0.7 } ] } }
            """
        let found = Manifests.load(text, subnets: subnets).mistakes
        #expect(found.map { String($0.drop { $0 != " " }.dropFirst()) } == mistakes)
    }

    @Test func `what two switches cannot both have is found`() throws {
        let text = """
            switches:
              blue: { overlay: { vni: 1, local: 192.0.2.10 } }
              red: { overlay: { vni: 1, local: 192.0.2.10, port: 8472 } }
              vx-red: {}
            """
        #expect(
            Manifests.load(text).mistakes == [
                "3:19 overlay/red and overlay/blue both have VNI 1",
                "3:19 overlay/red and switch/vx-red both have the interface name vx-red",
            ])
        let small = """
            switches:
              blue: { mtu: 1200, overlay: { vni: 1, local: 192.0.2.10, peers: [ { address: 192.0.2.11,
                        hosts: [ { mac: "02:00:00:00:00:21", address: "fd00::1" } ] } ] } }
            """
        #expect(
            Manifests.load(small).mistakes == [
                "2:31 mtu 1200 of switch 'blue' is too small for the IPv6 addresses of its hosts"
            ])
        let nested = "switches: { blue: { overlay: { vni: 1, local: 192.0.2.10 } } }"
        let subnets = try ["blue": [#require(IPPrefix("192.0.2.10/24"))]]
        #expect(
            Manifests.load(nested, subnets: subnets).mistakes == [
                "1:30 192.0.2.10 is an address on switch 'blue', which is an overlay itself"
            ])
    }
}
