import Netlink
import TestSupport
import Testing
@testable import VSwitch

/// What NICs are allowed beside their own addresses, and what groups make of it.
@Suite("Groups and allowed addresses", .enabled(if: TestNamespace.isPossible))
struct AllowanceTests {
    /// web has a virtual address and a network of its own; c may ask from a virtual address and from a network.
    static func manifest(web: String = virtual, client: String = "") -> String {
        """
        switches: { blue: {} }
        groups:
          web:
            ingress:
              - { protocol: tcp, ports: 80 }
              - { protocol: tcp, ports: 22, from: { group: client } }
              - { protocol: icmp, types: echo-request, from: 10.0.0.254 }
              - { protocol: icmpv6, types: echo-request, from: "fd00::fe" }
          client: { egress: { protocol: any } }
        routers: { gw: { interfaces: { blue: { addresses: [10.0.0.254/24, "fd00::fe/64"] } }, routes: [
          { to: 10.5.0.0/24, via: 10.0.0.1 }, { to: "fd05::/64", via: "fd00::1" } ] } }
        vms:
          w: { nics: [ { switch: blue, address: [10.0.0.1/24, "fd00::1/64"], groups: web, \(web) namespace: @w } ] }
          c: { nics: [ { switch: blue, address: [10.0.0.2/24, "fd00::2/64"], groups: client, \(client)
            namespace: @c } ] }
        """
    }

    static let virtual = "allow: [10.0.0.100, \"fd00::100\", 10.5.0.0/24, \"fd05::/64\"],"

    private static func ask(_ how: String, _ port: UInt16, _ isAnswered: Bool, _ hosts: [String]) -> [Town.Question] {
        hosts.map { Town.Question(from: "c", how: how, to: $0, port: port, isAnswered: isAnswered) }
    }

    /// Gives guests addresses that the agent gives nobody: the VMs do that themselves.
    static func give(_ town: Town, _ name: String, _ addresses: [String]) async throws {
        let guest = try #require(town.guests[name])
        for address in addresses {
            let words = ["ip", "address", "replace", address, "dev", "eth0"]
            try await output(of: guest.inside(words + (address.contains(":") ? ["nodad"] : [])))
        }
    }

    @Test func `an allowed address is reached under the NIC's rules`() async throws {
        try await Town.with(["w", "c"]) { town in
            for _ in 0..<2 { town.expect(try await town.apply(Self.manifest())) }
            try await Self.give(town, "w", ["10.0.0.100/24", "fd00::100/64", "10.5.0.9/32", "fd05::9/128"])
            let client = try #require(town.guests["c"])
            try await client.run("ip", "route", "replace", "10.5.0.0/24", "via", "10.0.0.1")
            try await client.run("ip", "-6", "route", "replace", "fd05::/64", "via", "fd00::1")
            let hosts = ["10.0.0.100", "fd00::100", "10.5.0.9", "fd05::9"]
            town.expect(
                try await town.surprises(
                    Self.ask("tcp", 80, true, hosts) + Self.ask("tcp", 443, false, hosts)
                        + Self.ask("udp", 53, false, hosts)))
            // What the node itself sends is judged by the tables of IP.
            func isHeard(_ host: String, patience: String) async throws -> Bool {
                let router = host.contains(":") ? "fd00::fe" : "10.0.0.254"
                return try await town.node.attempt("ping", "-c", "1", "-W", patience, "-I", router, host).succeeded
            }
            for host in hosts { #expect(try await isHeard(host, patience: "3"), "\(host)") }
            let closed = Self.manifest().replacing("from: 10.0.0.254", with: "from: 10.0.0.9")
                .replacing("from: \"fd00::fe\"", with: "from: \"fd00::9\"")
            town.expect(try await town.apply(closed))
            for host in hosts { #expect(try await !isHeard(host, patience: "1"), "\(host)") }
            let routed = try await town.node.run("nft", "list", "table", "inet", "sdagent-routed")
            for place in ["10.0.0.100", "fd00::100", "10.5.0.0/24", "fd05::/64"] {
                #expect(routed.contains("\"blue\" . \(place) : jump policy-"), "\(place) in \(routed)")
            }
            // Without, nobody hears w there.
            town.expect(try await town.apply(Self.manifest(web: "")))
            for guest in town.guests.values { _ = try await guest.attempt("ip", "neigh", "flush", "all") }
            town.expect(try await town.surprises(Self.ask("tcp", 80, false, hosts)))
            town.expect(try await town.surprises(Self.ask("tcp", 80, true, ["10.0.0.1", "fd00::1"])))
        }
    }

    @Test func `an allowed address is a member of the NIC's groups`() async throws {
        try await Town.with(["w", "c"]) { town in
            // Whoever asks takes these for its source.
            let sources = [("10.0.0.102", "fd00::102"), ("10.6.0.7", "fd06::7")]
            let allowed = ["10.0.0.102, \"fd00::102\"", "10.6.0.0/24, \"fd06::/64\""]
            let client = try #require(town.guests["c"])
            let web = try #require(town.guests["w"])
            town.expect(try await town.apply(Self.manifest()))
            try await web.run("ip", "route", "replace", "10.6.0.0/24", "dev", "eth0")
            try await web.run("ip", "-6", "route", "replace", "fd06::/64", "dev", "eth0")
            // Nobody has to ask for neighbours: who asked in vain asks again after a while only.
            for (guest, host, far) in [
                (client, ["10.0.0.1", "fd00::1"], "w/net0"),
                (web, sources.flatMap { [$0.0, $0.1] }, "c/net0"),
            ] {
                let mac = "\(MACAddress.derived(from: far))"
                for address in host {
                    try await guest.run("ip", "neigh", "replace", address, "lladdr", mac, "dev", "eth0")
                }
            }
            let hosts = ["10.0.0.1", "fd00::1"]
            for ((v4, v6), allow) in zip(sources, allowed) {
                try await Self.give(town, "c", ["\(v4)/32", "\(v6)/128"])
                try await client.run("ip", "route", "replace", "10.0.0.1/32", "dev", "eth0", "src", v4)
                try await client.run("ip", "-6", "route", "replace", "fd00::1/128", "dev", "eth0", "src", v6)
                town.expect(try await town.apply(Self.manifest()))
                town.expect(try await town.surprises(Self.ask("tcp", 22, false, hosts)))
                town.expect(try await town.apply(Self.manifest(client: "allow: [\(allow)],")))
                town.expect(try await town.surprises(Self.ask("tcp", 22, true, hosts)))
                // In no group it is nobody's member.
                let stranger = Self.manifest(client: "allow: [\(allow)],").replacing("groups: client, ", with: "")
                town.expect(try await town.apply(stranger))
                town.expect(
                    try await town.surprises(Self.ask("tcp", 22, false, hosts) + Self.ask("tcp", 80, true, hosts)))
            }
        }
    }

    @Test func `a NIC that no guard holds is held to its groups all the same`() async throws {
        try await Town.with(["w", "c"]) { town in
            let words = Guard.allCases.map(\.rawValue).joined(separator: ", ")
            town.expect(try await town.apply(Self.manifest(web: "unguarded: [\(words)],")))
            let hosts = ["10.0.0.1", "fd00::1"]
            let outwards = ["10.0.0.2", "fd00::2"].map {
                Town.Question(from: "w", how: "tcp", to: $0, port: 80, isAnswered: false)
            }
            town.expect(
                try await town.surprises(
                    Self.ask("tcp", 80, true, hosts) + Self.ask("tcp", 443, false, hosts) + outwards))
        }
    }

    @Test func `flows of allowed addresses are judged as the NIC's`() throws {
        let web = GroupSpec(name: "web", ingress: [GroupRule(.whole(.tcp), peers: [.group("client")])])
        let client = GroupSpec(name: "client", egress: [GroupRule(.any)])
        func nic(_ machine: String, _ address: String, _ group: String, _ allow: [String]) throws -> NICSpec {
            var nic = NICSpec(
                machine: machine, name: "net0", switchName: "blue",
                addresses: [NICSpec.Address(try #require(IPAddress(address)))], groups: [group])
            nic.allow.networks = try allow.map { try #require(IPPrefix($0)) }
            return nic
        }
        let nics = [
            try nic("w", "10.0.0.1", "web", ["10.0.0.100/32", "10.5.0.0/24"]),
            try nic("c", "10.0.0.2", "client", ["10.0.0.102/32", "10.6.0.0/24"]),
        ]
        let model = PolicyModel(nics, groups: ["web": web, "client": client], sets: [:])
        func denial(_ source: String, _ destination: String) throws -> String? {
            let flow = PolicyModel.Flow(
                source: try #require(IPAddress(source)), destination: try #require(IPAddress(destination)),
                transport: .tcp)
            return model.denial(of: flow).map { "\($0.nic) \($0.direction)" }
        }
        for source in ["10.0.0.2", "10.0.0.102", "10.6.0.7"] {
            for destination in ["10.0.0.1", "10.0.0.100", "10.5.0.9"] {
                #expect(try denial(source, destination) == nil, "\(source) \(destination)")
                #expect(try denial(destination, source) == "w/net0 egress", "\(source) \(destination)")
            }
        }
        #expect(try denial("10.6.1.7", "10.5.0.9") == "w/net0 ingress")
        #expect(try denial("10.6.1.7", "10.5.1.9") == nil)
    }

    @Test func `a network that comes concerns the NIC, and one that goes whoever lets it in`() throws {
        let web = GroupSpec(name: "web", ingress: [GroupRule(.whole(.tcp), peers: [.group("client")])])
        let client = GroupSpec(name: "client", egress: [GroupRule(.any)])
        var policy = Policy()
        policy.groups = ["web": web, "client": client]
        var nics = [("w", "10.0.0.1", "web"), ("c", "10.0.0.2", "client")].map { machine, address, group in
            NICSpec(
                machine: machine, name: "net0", switchName: "blue",
                addresses: [IPAddress(address)].compactMap { $0 }.map { NICSpec.Address($0) }, groups: [group])
        }
        let before = GuardTable.compile(nics, policy)
        nics[1].allow.networks = [try #require(IPPrefix("10.6.0.0/24"))]
        let after = GuardTable.compile(nics, policy)
        #expect(PolicyNarrowing.among(nics, from: before, to: after).map(\.machine) == ["c"])
        #expect(PolicyNarrowing.among(nics, from: after, to: before).map(\.machine) == ["w"])
    }
}
