import Manifest
import Netlink
import Reconcile
import Testing
import VRouter

/// Routers as the operator writes them, right and wrong.
struct ManifestTests {
    private static let head = """
        switches: { blue: {}, wan: {} }
        routers:
          gw:
            interfaces:
              blue: { addresses: [10.10.0.1/24, "fd00:10::1/64"] }
              wan: { addresses: [203.0.113.2/24] }

        """

    @Test func `a whole router is read`() throws {
        let (desired, mistakes) = Manifests.load(
            Self.head + """
                    routes: [ { to: default, via: 203.0.113.1 } ]
                    snat: [ { from: 10.10.0.0/24, out: wan }, { from: 10.10.0.128/25, out: wan, to: 198.51.100.7 } ]
                    forwards:
                      - { listen: 203.0.113.2, protocol: tcp, port: 8443, to: 10.10.0.10:443 }
                      - { listen: 203.0.113.2, protocol: udp, port: 5000-5009, to: 10.10.0.10 }
                      - { listen: "fd00:10::1", protocol: tcp, port: 80, to: "[fd00:10::10]:8080" }
                """)
        #expect(mistakes == "")
        let spec = try #require(desired?.specs(of: RouterKind.self)["gw"])
        #expect(spec.interfaces.map(\.switchName) == ["blue", "wan"])
        #expect(spec.routes.map(\.destination.value.description) == ["0.0.0.0/0"])
        #expect(spec.snat.map { $0.address?.value.description } == [nil, "198.51.100.7"])
        #expect(spec.forwards.map(\.ports.value.description) == ["8443", "5000-5009", "80"])
        #expect(
            spec.forwards.map(\.target.value.description) == ["10.10.0.10:443", "10.10.0.10", "[fd00:10::10]:8080"])
        let references = desired?.references(of: RouterKind.id("gw")) ?? []
        #expect(Set(references.map(\.target.description)) == ["switch/blue", "switch/wan", "nat/inet"])
        #expect(desired.map { RouterKind.subnets(in: $0)["wan"] } == [try #require(IPPrefix("203.0.113.2/24"))])
    }

    @Test func `moving a line is no change`() throws {
        let one = Manifests.load(Self.head).desired?.specs(of: RouterKind.self)
        let other = Manifests.load("\n\n" + Self.head).desired?.specs(of: RouterKind.self)
        #expect(one == other && one?.count == 1)
    }

    @Test(arguments: [
        ("10.10.0.0/24", "names the network, not an address in it"),
        ("10.10.0.255/24", "is the broadcast address"),
        ("10.10.0.1", "an address with a prefix length"),
        ("10.10.0.1/33", "10.10.0.1/33 has no prefix length of IPv4, which is /0 to /32"),
        ("224.0.0.1/24", "group address"),
        ("127.0.0.1/8", "loopback"),
        ("\"fe80::1/64\"", "leave it out"),
        ("\"::ffff:10.0.0.1/120\"", "in disguise"),
        ("\"fd00:10::/64\"", "names the network"),
    ])
    func `an address that no router can have is refused`(address: String, words: String) {
        let (desired, mistakes) = Manifests.load(
            "switches: { blue: {} }\nrouters: { gw: { interfaces: { blue: { addresses: [\(address)] } } } }\n")
        #expect(desired == nil)
        #expect(mistakes.contains(words) && mistakes.contains("node.yaml:2:"), "\(mistakes)")
    }

    @Test(arguments: [
        ("routes: [ { to: default, via: 192.0.2.1 } ]", "192.0.2.1 is in no subnet of router 'gw'"),
        ("routes: [ { to: default, via: 203.0.113.2 } ]", "203.0.113.2 is the router itself"),
        ("routes: [ { to: 10.10.0.0/24, via: 203.0.113.1 } ]", "is on 10.10.0.0/24 itself"),
        (
            "routes: [ { to: \"fd99::/x\", via: 203.0.113.1 } ]",
            "fd99::/x has no prefix length of IPv6, which is /0 to /128"
        ),
        ("routes: [ { to: 10.99.0.1/16, via: 203.0.113.1 } ]", "did you mean 10.99.0.0/16?"),
        ("routes: [ { to: \"fd99::/48\", via: 203.0.113.1 } ]", "both must be IPv4, or both IPv6"),
        ("routes: [ { to: default, via: \"fe80::1\" } ]", "add 'out: SWITCH'"),
        ("routes: [ { to: default, via: \"fe80::1\", out: wan } ]", "has no IPv6 address on 'wan'"),
        (
            "routes: [ { to: default, via: 203.0.113.1 }, { to: default, via: 203.0.113.9 } ]",
            "a route to 0.0.0.0/0 is named twice"
        ),
        ("snat: [ { from: 10.10.0.0/24, out: wann } ]", "did you mean 'wan'?"),
        ("snat: [ { from: \"fd00:10::/64\", out: wan } ]", "has no IPv6 address on 'wan'"),
        ("snat: [ { from: 10.10.0.0/24, out: wan, to: 203.0.113.77 } ]", "does not have 203.0.113.77"),
        ("snat: [ { from: 10.10.0.0/24, out: wan, to: \"fd00:10::1\" } ]", "both must be IPv4, or both IPv6"),
        (
            "forwards: [ { listen: 203.0.113.2, protocol: tcp, port: 80, to: 192.0.2.9:80 } ]",
            "is in no subnet of router"
        ),
        ("forwards: [ { listen: 203.0.113.9, protocol: tcp, port: 80, to: 10.10.0.9 } ]", "nobody would answer for"),
        ("forwards: [ { listen: 203.0.113.2, protocol: icmp, port: 80, to: 10.10.0.9 } ]", "one of: tcp, udp"),
        ("forwards: [ { listen: 203.0.113.2, protocol: tcp, port: 0, to: 10.10.0.9 } ]", "a port, or ports such as"),
        (
            "forwards: [ { listen: 203.0.113.2, protocol: tcp, port: 90-80, to: 10.10.0.9 } ]",
            "a port, or ports such as"
        ),
        ("forwards: [ { listen: 203.0.113.2, protocol: tcp, port: 1-20000, to: 10.10.0.9 } ]", "at most 16384"),
        (
            "forwards: [ { listen: 203.0.113.2, protocol: tcp, port: 1-100, to: 10.10.0.9:65500 } ]",
            "the last port there is"
        ),
        ("forwards: [ { listen: 203.0.113.2, protocol: tcp, port: 80, to: \"fd00:10::10\" } ]", "both must be IPv4"),
        (
            "forwards: [ { listen: 203.0.113.2, protocol: tcp, port: 80, to: \"10.10.0.9:x\" } ]",
            "an address with a port"
        ),
        ("nonsense: 1", "unknown field 'nonsense'"),
    ])
    func `a mistake is told with its place and the way out`(line: String, words: String) {
        let (desired, mistakes) = Manifests.load(Self.head + "    " + line + "\n")
        #expect(desired == nil)
        #expect(mistakes.contains(words) && mistakes.contains("node.yaml:7:"), "\(mistakes)")
    }

    @Test func `two forwards of one port are found, whatever their ranges and routers`() {
        let (_, mistakes) = Manifests.load(
            Self.head + """
                    forwards:
                      - { listen: 203.0.113.2, protocol: tcp, port: 8000-8010, to: 10.10.0.10 }
                      - { listen: 203.0.113.2, protocol: udp, port: 8005, to: 10.10.0.10 }
                      - { listen: 203.0.113.2, protocol: tcp, port: 8005, to: 10.10.0.11 }
                """)
        #expect(mistakes.contains("tcp 203.0.113.2:8005 is forwarded twice"), "\(mistakes)")
        #expect(mistakes.contains("the first one is at node.yaml:8"))
        #expect(mistakes.contains("1 mistake;"))
    }

    @Test func `addresses are given once, and a subnet lives on one switch`() throws {
        let claim = AddressClaim(
            owner: ResourceID("nic", "vm1/net0"), switchName: "blue", address: try #require(IPAddress("10.10.0.1")),
            position: Position(file: "node.yaml", line: 3, column: 1))
        let (_, mistakes) = Manifests.load(
            Self.head + """
                  edge:
                    interfaces:
                      wan: { addresses: [203.0.113.2/24, 10.10.0.200/25] }
                """, claims: [claim])
        #expect(mistakes.contains("203.0.113.2 is an address of router 'edge' already"), "\(mistakes)")
        #expect(mistakes.contains("overlaps"))
        #expect(mistakes.contains("10.10.0.1 of nic/vm1/net0 is the address of router 'gw' on 'blue'"))
        #expect(mistakes.contains("3 mistakes"))
    }

    @Test func `a router on a switch that is not there is refused`() {
        let (_, mistakes) = Manifests.load("routers: { gw: { interfaces: { blau: { addresses: [10.0.0.1/24] } } } }\n")
        #expect(mistakes.contains("router/gw needs switch/blau"), "\(mistakes)")
    }
}
