import Manifest
import Netlink
import Reconcile
import Syscall
import TestSupport
@testable import VRouter

/// A node with two switches in a namespace of its own, two guests on the inside and a stranger on the outside.
///
///     a 10.10.0.10, fd00:10::10 ──┐
///     b 10.10.0.11, fd00:10::11 ──┴ blue  node  wan ── outside 203.0.113.1, fd00:20::1, and 198.51.100.1, fd00:99::1
struct Site {
    let node: TestNamespace
    let a: TestNamespace
    let b: TestNamespace
    let outside: TestNamespace

    static func with<Value>(_ body: (Site) async throws -> Value) async throws -> Value {
        try await TestNamespace.with { node in
            try await TestNamespace.with { a in
                try await TestNamespace.with { b in
                    try await TestNamespace.with { outside in
                        let site = Site(node: node, a: a, b: b, outside: outside)
                        try await site.build()
                        return try await body(site)
                    }
                }
            }
        }
    }

    private func build() async throws {
        for bridge in ["blue", "wan"] {
            try await node.run("ip", "link", "add", bridge, "type", "bridge", "forward_delay", "0")
            try await node.run("ip", "link", "set", bridge, "addrgenmode", "none", "alias", "sdagent switch/\(bridge)")
            try await node.run("ip", "link", "set", bridge, "up")
        }
        try await plug(a, "blue", ["10.10.0.10/24", "fd00:10::10/64"], gateways: ["10.10.0.1", "fd00:10::1"])
        try await plug(b, "blue", ["10.10.0.11/24", "fd00:10::11/64"], gateways: ["10.10.0.1", "fd00:10::1"])
        try await plug(outside, "wan", ["203.0.113.1/24", "fd00:20::1/64"], gateways: [])
        for far in ["198.51.100.1/32", "fd00:99::1/128"] {
            try await outside.run("ip", "addr", "add", far, "dev", "lo")
        }
    }

    /// Makes a guest a port of a bridge, with addresses and default routes.
    func plug(_ guest: TestNamespace, _ bridge: String, _ addresses: [String], gateways: [String]) async throws {
        let port = "p-\(guest.name.suffix(8))"
        try await node.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", guest.name)
        try await node.run("ip", "link", "set", port, "addrgenmode", "none", "master", bridge)
        try await node.run("ip", "link", "set", port, "up")
        try await guest.run("ip", "link", "set", "eth0", "up")
        for address in addresses {
            let words = ["ip", "addr", "add", address, "dev", "eth0"] + (address.contains(":") ? ["nodad"] : [])
            try await output(of: guest.inside(words))
        }
        for gateway in gateways {
            let family = gateway.contains(":") ? "-6" : "-4"
            try await guest.run("ip", family, "route", "add", "default", "via", gateway)
        }
    }

    var location: NetworkLocation { .namespace(node.name) }

    /// The kinds of this part, and the manifest's way to them.
    func kinds(_ ipv6: IPv6Forwarding? = nil) -> (nat: NATKind, routers: RouterKind) {
        (NATKind(in: location), RouterKind(in: location, assuming: ipv6))
    }

    func reconciler(_ ipv6: IPv6Forwarding? = nil) -> Reconciler {
        let (nat, routers) = kinds(ipv6)
        return Reconciler(kinds: [SwitchStand(), nat, routers])
    }

    /// Applies a manifest, and returns what is left to be done or went wrong, in words.
    func apply(_ text: String, _ ipv6: IPv6Forwarding? = nil) async throws -> [String] {
        let (desired, mistakes) = Manifests.load(text)
        guard let desired else { return [mistakes] }
        let report = await reconciler(ipv6).apply(desired)
        return report.statuses.filter { $0.state != .converged }.map { "\($0.id) \($0.state): \($0.detail)" }
            + report.after.failures.map { "\($0.kind) failed: \($0.reason)" }
    }

    /// The plan of a manifest as it is printed.
    func plan(_ text: String, _ ipv6: IPv6Forwarding? = nil) async throws -> String {
        let (desired, mistakes) = Manifests.load(text)
        guard let desired else { return mistakes }
        return PlanText().render(await reconciler(ipv6).plan(desired))
    }

    /// Whether a guest gets an answer to a ping.
    func pings(_ guest: TestNamespace, _ address: String) async throws -> Bool {
        try await guest.attempt("ping", "-c", "1", "-W", "1", address).succeeded
    }

    /// All that the node shows of its own: addresses, rules, routes, tables, forwarding, names of the bridges.
    func picture() async throws -> String {
        var text = ""
        for words in [
            "ip -o addr", "ip rule", "ip -6 rule", "ip route show table all", "ip -6 route show table all",
            "nft list ruleset", "ip -o link show type bridge",
        ] {
            text += try await output(of: node.inside(words.split(separator: " ").map(String.init))) + "--\n"
        }
        return try await text + settings()
    }

    /// The forwarding switches of the node.
    func settings() async throws -> String {
        try await node.run(
            "sh", "-c",
            "cd /proc/sys/net && grep -H . ipv?/conf/*/forwarding ipv6/conf/*/force_forwarding "
                + "ipv4/conf/*/promote_secondaries ipv6/conf/*/accept_ra")
    }
}
