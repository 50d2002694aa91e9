import Netlink
import TestSupport
import Testing
@testable import VRouter

/// Packets through a router, with guests and a stranger as witnesses.
@Suite(.enabled(if: TestNamespace.isPossible))
struct TrafficTests {
    static let manifest = """
        switches: { blue: {}, wan: {} }
        routers:
          gw:
            interfaces:
              blue: { addresses: [10.10.0.1/24, "fd00:10::1/64"] }
              wan: { addresses: [203.0.113.2/24, "fd00:20::2/64"] }
            routes: [ { to: default, via: 203.0.113.1 }, { to: default, via: "fd00:20::1" } ]
            snat:
              - { from: 10.10.0.0/24, out: wan }
              - { from: "fd00:10::/64", out: wan }
            forwards:
              - { listen: 203.0.113.2, protocol: tcp, port: 8443, to: 10.10.0.10:443 }
              - { listen: "fd00:20::2", protocol: tcp, port: 8443, to: "[fd00:10::10]:443" }
              - { listen: 203.0.113.2, protocol: udp, port: 5000-5009, to: 10.10.0.11:6000 }
        """

    @Test(arguments: [IPv6Forwarding.perInterface, .wholeNode])
    func `guests reach the router, the outside and each other, and the outside sees the router`(
        ipv6: IPv6Forwarding
    ) async throws {
        try await Site.with { site in
            #expect(try await site.apply(Self.manifest, ipv6) == [])
            for address in ["10.10.0.1", "fd00:10::1", "203.0.113.2", "fd00:20::2", "10.10.0.11", "fd00:10::11"] {
                let answers = try await site.pings(site.a, address)
                #expect(answers, "\(address)")
            }
            // Beyond the router: only by its default routes, and only with its address is there a way back.
            for address in ["203.0.113.1", "198.51.100.1", "fd00:20::1", "fd00:99::1"] {
                let answers = try await site.pings(site.a, address)
                #expect(answers, "\(address)")
            }
            #expect(try await site.pings(site.outside, "203.0.113.2"))
            #expect(try await site.seen(from: site.a, by: site.outside, at: "198.51.100.1") == "203.0.113.2")
            #expect(try await site.seen(from: site.a, by: site.outside, at: "[fd00:99::1]") == "[fd00:20::2]")
            // The default routes are the router's: the node has none.
            #expect(try await site.node.attempt("ip", "route", "get", "198.51.100.1").code != 0)
        }
    }

    @Test(arguments: [true, false])
    func `forwarded ports lead inside, from the outside and from the inside`(isLent: Bool) async throws {
        try await Site.with { site in
            // br_netfilter lends bridged packets to the hooks of IP; stock kernels load it with Docker only.
            let lend = "for f in /proc/sys/net/bridge/bridge-nf-call-ip*; do echo \(isLent ? 1 : 0) > $f; done"
            try await site.node.run("sh", "-c", "[ ! -d /proc/sys/net/bridge ] || { \(lend); }")
            let mistakes = try await site.apply(Self.manifest)
            #expect(mistakes == [])
            // From outside the guest sees who asks; from its own subnet it sees the router, or it could not answer.
            var cases = [
                (site.outside, "203.0.113.2", "203.0.113.1"), (site.outside, "[fd00:20::2]", "[fd00:20::1]"),
                (site.b, "203.0.113.2", "10.10.0.1"), (site.b, "[fd00:20::2]", "[fd00:10::1]"),
                (site.node, "203.0.113.2", "203.0.113.2"),
            ]
            // Lent packets are translated within the bridge, which sends nothing back to the port that it came from.
            if !isLent { cases.append((site.a, "203.0.113.2", "10.10.0.1")) }
            for (client, listen, seen) in cases {
                let address = listen.hasPrefix("[") ? "[fd00:10::10]" : "10.10.0.10"
                let answer = try await site.ask(client, "\(listen):8443", server: site.a, "\(address):443")
                // The node's own packets leave by blue with the address that they were given for the listener.
                #expect(answer == seen, "from \(client.name) to \(listen): \(answer)")
            }
            let udp = try await site.datagram(from: site.outside, "203.0.113.2:5007", to: site.b, port: 6007)
            #expect(udp == "203.0.113.1")
        }
    }

    @Test func `neighbours on a switch see each other as they are, whatever leaves by it`() async throws {
        try await Site.with { site in
            let text = """
                switches: { blue: {}, wan: {} }
                routers:
                  gw:
                    interfaces: { blue: { addresses: [10.10.0.1/24] }, wan: { addresses: [203.0.113.2/24] } }
                    snat: [ { from: 0.0.0.0/0, out: blue } ]
                """
            #expect(try await site.apply(text) == [])
            // br_netfilter, where there is one, shows bridged packets to the chains of translations too.
            #expect(try await site.seen(from: site.b, by: site.a, at: "10.10.0.10") == "10.10.0.11")
            try await site.outside.run("ip", "route", "add", "10.10.0.0/24", "via", "203.0.113.2")
            #expect(try await site.seen(from: site.outside, by: site.a, at: "10.10.0.10") == "10.10.0.1")
        }
    }

    @Test func `what is no business of the router passes neither in nor out`() async throws {
        try await Site.with { site in
            #expect(try await site.apply(Self.manifest) == [])
            // A link of the node's own that forwards, with a host behind it, and a default route of the node's own.
            try await TestNamespace.with { other in
                try await site.node.run(
                    "ip", "link", "add", "eth9", "type", "veth", "peer", "name", "eth0", "netns", other.name)
                try await site.node.run("ip", "addr", "add", "192.0.2.1/24", "dev", "eth9")
                try await site.node.run("ip", "link", "set", "eth9", "up")
                try await other.run("ip", "addr", "add", "192.0.2.2/24", "dev", "eth0")
                try await other.run("ip", "link", "set", "eth0", "up")
                try await other.run("ip", "route", "add", "default", "via", "192.0.2.1")
                try await site.node.run("ip", "route", "add", "default", "via", "192.0.2.2")
                try await site.node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth9/forwarding")
                #expect(try await site.pings(site.node, "192.0.2.2"))
                #expect(try await site.pings(other, "10.10.0.10") == false)
                #expect(try await site.pings(site.a, "192.0.2.2") == false)
                // The router's guests still leave by the router's own default route, the node by its own.
                #expect(try await site.pings(site.a, "198.51.100.1"))
                #expect(try await site.pings(site.node, "198.51.100.1") == false)
                #expect(try await site.plan(Self.manifest) == "Plan: no changes.\n")
            }
        }
    }

    @Test func `two routers on one switch answer each by its own gateway`() async throws {
        try await Site.with { site in
            try await TestNamespace.with { second in
                let text = """
                    switches: { blue: {}, wan: {} }
                    routers:
                      gw:
                        interfaces: { blue: { addresses: [10.10.0.1/24] }, wan: { addresses: [203.0.113.2/24] } }
                        routes: [ { to: default, via: 203.0.113.1 } ]
                      other:
                        interfaces: { wan: { addresses: [203.0.113.4/24] } }
                        routes: [ { to: default, via: 203.0.113.9 } ]
                    """
                try await site.node.run(
                    "ip", "link", "add", "p9", "type", "veth", "peer", "name", "eth0", "netns", second.name)
                try await site.node.run("ip", "link", "set", "p9", "master", "wan", "up")
                try await second.run("ip", "addr", "add", "203.0.113.9/24", "dev", "eth0")
                try await second.run("ip", "link", "set", "eth0", "up")
                try await second.run("ip", "addr", "add", "198.51.100.9/32", "dev", "lo")
                #expect(try await site.apply(text) == [])
                #expect(try await site.plan(text) == "Plan: no changes.\n")
                let first = try await site.outside.attempt(
                    "ping", "-c", "1", "-W", "1", "-I", "198.51.100.1", "203.0.113.2")
                let other = try await second.attempt("ping", "-c", "1", "-W", "1", "-I", "198.51.100.9", "203.0.113.4")
                #expect(first.succeeded && other.succeeded)
                // One of them goes, the other stays whole, with what both have used.
                let left = text.split(separator: "\n").prefix(5).joined(separator: "\n")
                #expect(try await site.plan(left).contains("- router/other  delete"))
                #expect(try await site.apply(left) == [])
                #expect(try await site.plan(left) == "Plan: no changes.\n")
                #expect(try await site.node.run("ip", "rule").contains("203.0.113.4") == false)
            }
        }
    }

    @Test func `two routers on one switch send each by its own address`() async throws {
        try await Site.with { site in
            // Tenants behind one uplink, of whom one does not say what his own network is.
            try await site.node.run("ip", "link", "add", "red", "type", "bridge", "forward_delay", "0")
            try await site.node.run("ip", "link", "set", "red", "addrgenmode", "none", "alias", "sdagent switch/red")
            try await site.node.run("ip", "link", "set", "red", "up")
            try await TestNamespace.with { c in
                try await site.plug(
                    c, "red", ["10.11.0.10/24", "fd00:11::10/64"], gateways: ["10.11.0.1", "fd00:11::1"])
                let text = """
                    switches: { blue: {}, red: {}, wan: {} }
                    routers:
                      first:
                        interfaces:
                          blue: { addresses: [10.10.0.1/24, "fd00:10::1/64"] }
                          wan: { addresses: [203.0.113.2/24, "fd00:20::2/64"] }
                        snat: [ { from: 10.0.0.0/8, out: wan }, { from: "fd00::/16", out: wan } ]
                      second:
                        interfaces:
                          red: { addresses: [10.11.0.1/24, "fd00:11::1/64"] }
                          wan: { addresses: [203.0.113.4/24, 203.0.113.5/24, "fd00:20::4/64"] }
                        snat:
                          - { from: 10.11.0.10/32, out: wan, to: 203.0.113.5 }
                          - { from: "fd00:11::/64", out: wan }
                    """
                let mistakes = try await site.apply(text)
                #expect(mistakes == [])
                #expect(try await site.plan(text) == "Plan: no changes.\n")
                for (guest, four, six) in [
                    (site.a, "203.0.113.2", "[fd00:20::2]"), (c, "203.0.113.5", "[fd00:20::4]"),
                ] {
                    #expect(try await site.seen(from: guest, by: site.outside, at: "203.0.113.1") == four)
                    #expect(try await site.seen(from: guest, by: site.outside, at: "[fd00:20::1]") == six)
                }
                // A router answers its own guests, and those of a neighbour at the address that they share a switch by.
                for address in ["10.10.0.1", "fd00:10::1", "203.0.113.2", "203.0.113.4", "fd00:20::4"] {
                    #expect(try await site.pings(site.a, address), "\(address)")
                }
                for address in ["10.11.0.1", "fd00:11::1"] {
                    #expect(try await site.pings(site.a, address) == false, "\(address)")
                    #expect(try await site.pings(c, address), "\(address)")
                }
            }
        }
    }

    @Test func `strict reverse path filters let the answers in`() async throws {
        try await Site.with { site in
            #expect(try await site.apply(Self.manifest) == [])
            try await site.node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter")
            #expect(try await site.pings(site.a, "198.51.100.1"))
            #expect(try await site.pings(site.outside, "203.0.113.2"))
            let answer = try await site.ask(site.outside, "203.0.113.2:8443", server: site.a, "10.10.0.10:443")
            #expect(answer == "203.0.113.1")
        }
    }

    @Test func `a source can be given, and two routers keep their guests apart`() async throws {
        try await Site.with { site in
            let text = """
                switches: { blue: {}, wan: {}, green: {} }
                routers:
                  gw:
                    interfaces:
                      blue: { addresses: [10.10.0.1/24] }
                      wan: { addresses: [203.0.113.2/24, 203.0.113.3/24] }
                    snat: [ { from: 10.10.0.0/24, out: wan, to: 203.0.113.3 } ]
                  other:
                    interfaces:
                      green: { addresses: [10.20.0.1/24] }
                      wan: { addresses: [203.0.113.4/24] }
                """
            try await site.node.run("ip", "link", "add", "green", "type", "bridge", "forward_delay", "0")
            try await site.node.run("ip", "link", "set", "green", "up")
            try await TestNamespace.with { guest in
                try await site.node.run(
                    "ip", "link", "add", "pg", "type", "veth", "peer", "name", "eth0", "netns", guest.name)
                try await site.node.run("ip", "link", "set", "pg", "master", "green", "up")
                try await guest.run("ip", "addr", "add", "10.20.0.10/24", "dev", "eth0")
                try await guest.run("ip", "link", "set", "eth0", "up")
                try await guest.run("ip", "route", "add", "default", "via", "10.20.0.1")
                #expect(try await site.apply(text) == [])
                #expect(try await site.plan(text) == "Plan: no changes.\n")
                #expect(try await site.seen(from: site.a, by: site.outside, at: "203.0.113.1") == "203.0.113.3")
                #expect(try await site.pings(guest, "10.20.0.1"))
                #expect(try await site.pings(guest, "10.10.0.10") == false)
                #expect(try await site.pings(site.a, "10.20.0.10") == false)
            }
        }
    }
}

extension Site {
    /// The address under which one namespace is seen by a server in another.
    func seen(from client: TestNamespace, by server: TestNamespace, at address: String) async throws -> String {
        try await ask(client, "\(address):7777", server: server, "\(address):7777")
    }

    /// Runs a TCP server that tells each client its address, asks it once, and returns the answer.
    func ask(_ client: TestNamespace, _ to: String, server: TestNamespace, _ at: String) async throws -> String {
        let colon = at.lastIndex(of: ":") ?? at.endIndex
        let (host, port) = (at[..<colon], at[colon...].dropFirst())
        let isIPv6 = host.hasPrefix("[")
        let listen = "TCP\(isIPv6 ? "6" : "4")-LISTEN:\(port),bind=\(host),reuseaddr"
        async let served = server.attempt("socat", "-T3", listen, "SYSTEM:echo $SOCAT_PEERADDR", seconds: 30)
        var answer = ""
        _ = try await eventually(within: 20) {
            let result = try await client.attempt(
                "socat", "-T2", "-", "TCP\(isIPv6 ? "6" : "4"):\(to),connect-timeout=1", seconds: 4)
            answer = result.output.address
            return !answer.isEmpty
        }
        _ = try await served
        return answer
    }

    /// Sends one datagram, and returns the address from which it arrived.
    func datagram(
        from client: TestNamespace, _ to: String, to server: TestNamespace, port: Int
    ) async throws -> String {
        // Sent again and again, since the server may not be there yet.
        let send = "while :; do echo hello | socat -u - UDP4:\(to); sleep 0.1; done"
        return try await RunningCommand.with(client.inside(["sh", "-c", send]), log: "/dev/null") { _ in
            try await server.attempt(
                "socat", "-u", "-T3", "UDP4-RECVFROM:\(port)", "SYSTEM:echo $SOCAT_PEERADDR; cat >/dev/null",
                seconds: 20
            ).output.address
        }.value
    }
}

extension String {
    fileprivate var address: String {
        let word = split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
        // socat writes IPv6 addresses in brackets and in full.
        guard word.hasPrefix("["), let address = IPAddress(String(word.dropFirst().dropLast())) else { return word }
        return "[\(address)]"
    }
}
