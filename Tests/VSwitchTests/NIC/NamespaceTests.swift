import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

@Suite(.enabled(if: TestNamespace.isPossible))
struct NamespaceTests {
    private func desired(_ nics: NICSpec...) -> Desired {
        var desired = Desired()
        desired.add(SwitchSpec(name: "blue", mtu: 1400))
        for nic in nics { desired.add(nic) }
        return desired
    }

    private func nic(_ machine: String, in space: String, _ addresses: [String], gateways: [String] = []) throws
        -> NICSpec
    {
        let eth0 = try #require(InterfaceName("eth0"))
        let prefixes = try addresses.map { try #require(IPPrefix($0)) }
        return NICSpec(
            machine: machine, name: "net0", switchName: "blue",
            addresses: prefixes.map { NICSpec.Address($0.address, length: $0.length) }, mtu: 1400,
            attachment: .namespace(space, farEnd: eth0, gateways: try gateways.map { try #require(IPAddress($0)) }))
    }

    @Test func `two namespaces talk over the switch, v4 and v6`() async throws {
        try await TestNamespace.with { one in
            try await TestNamespace.with { two in
                try await Node.with { node in
                    let first = try nic(
                        "c1", in: one.name, ["10.10.0.10/24", "fd00:10::10/64"], gateways: ["10.10.0.1", "fd00:10::1"])
                    let second = try nic("c2", in: two.name, ["10.10.0.11/24", "fd00:10::11/64"])
                    let wanted = desired(first, second)
                    #expect(await node.apply(wanted) == [])
                    try await one.run("ping", "-c1", "-W2", "10.10.0.11")
                    try await one.run("ping", "-6", "-c1", "-W2", "fd00:10::11")
                    let shown = try await one.run("ip", "-d", "addr", "show", "eth0")
                    for words in [
                        "link/ether \(first.mac)", "mtu 1400", "inet 10.10.0.10/24 brd 10.10.0.255",
                        "inet6 fd00:10::10/64",
                    ] { #expect(shown.contains(words), "\(words) in \(shown)") }
                    #expect(try await one.run("ip", "route").contains("default via 10.10.0.1 dev eth0 proto 201"))
                    #expect(
                        try await one.run("ip", "-6", "route").contains("default via fd00:10::1 dev eth0 proto 201"))
                    #expect(await node.plan(wanted) == [])

                    let before = try node.links()
                    #expect(await node.apply(wanted) == [])
                    #expect(try node.links() == before)
                    #expect(await node.apply(Desired()) == [])
                    #expect(try await one.run("ip", "-o", "link").split(separator: "\n").count == 1)
                }
            }
        }
    }

    @Test func `addresses and gateways of the far end follow the manifest, foreign ones stay`() async throws {
        try await TestNamespace.with { inside in
            try await Node.with { node in
                let first = try nic("c1", in: inside.name, ["10.10.0.10/24"], gateways: ["10.10.0.1"])
                #expect(await node.apply(desired(first)) == [])
                try await inside.run("ip", "addr", "add", "192.0.2.9/24", "dev", "eth0")
                try await inside.run("ip", "route", "add", "198.51.100.0/24", "via", "10.10.0.7")
                #expect(await node.plan(desired(first)) == [])

                // A later address of the same subnet goes with the first one, if the kernel has its way.
                try await inside.run("ip", "addr", "add", "10.10.0.99/24", "dev", "eth0")
                let moved = try nic("c1", in: inside.name, ["10.10.0.11/24"], gateways: ["10.10.0.1"])
                #expect(await node.apply(desired(moved)) == [])
                let both = try await inside.run("ip", "-o", "addr", "show", "eth0")
                #expect(both.contains("10.10.0.11/24") && both.contains("10.10.0.99/24"), "\(both)")
                #expect(!both.contains("10.10.0.10/24"))

                let second = try nic(
                    "c1", in: inside.name, ["10.10.0.10/24", "10.10.0.20/32", "fd00:10::5/64"], gateways: ["10.10.0.2"])
                #expect(await node.plan(desired(second)) == ["nic/c1/net0 update"])
                #expect(await node.apply(desired(second)) == [])
                let addresses = try await inside.run("ip", "-o", "addr", "show", "eth0")
                for words in ["10.10.0.10/24", "10.10.0.20/32", "fd00:10::5/64", "192.0.2.9/24"] {
                    #expect(addresses.contains(words), "\(words) in \(addresses)")
                }
                let routes = try await inside.run("ip", "route")
                #expect(routes.contains("default via 10.10.0.2") && !routes.contains("default via 10.10.0.1 "))
                #expect(routes.contains("198.51.100.0/24 via 10.10.0.7"))

                try await inside.run("ip", "addr", "delete", "10.10.0.20/32", "dev", "eth0")
                #expect(await node.plan(desired(second)) == ["nic/c1/net0 update"])
                #expect(await node.apply(desired(second)) == [])
                try await inside.run("ip", "link", "set", "eth0", "down")
                #expect(await node.apply(desired(second)) == [])
                #expect(await node.plan(desired(second)) == [])
            }
        }
    }

    @Test func `an address without a subnet gets a gateway on the link`() async throws {
        try await TestNamespace.with { inside in
            try await Node.with { node in
                let wanted = desired(
                    try nic(
                        "c1", in: inside.name, ["10.10.0.10/32", "fd00:10::5/128"], gateways: ["10.10.0.1", "fe80::1"]))
                #expect(await node.apply(wanted) == [])
                #expect(try await inside.run("ip", "route").contains("default via 10.10.0.1 dev eth0 proto 201 onlink"))
                #expect(await node.plan(wanted) == [])
            }
        }
    }

    @Test func `a namespace that is not there is reported on its NIC, the rest converges`() async throws {
        try await TestNamespace.with { inside in
            try await Node.with { node in
                let wanted = desired(
                    try nic("c1", in: "sdt-no-such-namespace", []), try nic("c2", in: inside.name, ["10.10.0.2/24"]))
                let left = await node.apply(wanted)
                #expect(left.count == 1)
                #expect(
                    left[0].hasPrefix("nic/c1/net0 unsupported: there is no network namespace 'sdt-no-such-namespace'"))
                #expect(try await inside.run("ip", "addr").contains("10.10.0.2/24"))
            }
        }
    }

    @Test func `a taken eth0 is an error of its NIC alone`() async throws {
        try await TestNamespace.with { inside in
            try await Node.with { node in
                try await inside.run("ip", "link", "add", "eth0", "type", "bridge")
                let left = await node.apply(desired(try nic("c1", in: inside.name, ["10.10.0.2/24"])))
                let words =
                    "create veth pair c1-net0: File exists: a link c1-net0 here, or eth0 in namespace \(inside.name)"
                #expect(left == ["nic/c1/net0 failed: \(words)"])
                #expect(try node.links().map(\.name.description) == ["lo", "blue"])
            }
        }
    }

    @Test func `another default route is named with the remedy`() async throws {
        try await TestNamespace.with { inside in
            try await Node.with { node in
                try await inside.run("ip", "link", "add", "other", "type", "bridge")
                try await inside.run("ip", "link", "set", "other", "up")
                try await inside.run("ip", "route", "add", "default", "dev", "other")
                let wanted = desired(try nic("c1", in: inside.name, ["10.10.0.2/24"], gateways: ["10.10.0.1"]))
                let left = await node.apply(wanted)
                let words =
                    "namespace \(inside.name) has another default route already: take it out, or leave 'gateway' out"
                #expect(left == ["nic/c1/net0 failed: \(words)"])
                try await inside.run("ip", "route", "delete", "default")
                #expect(await node.apply(wanted) == [])
            }
        }
    }

    @Test func `a tap becomes a veth pair and a tap again`() async throws {
        try await TestNamespace.with { inside in
            try await Node.with { node in
                let pair = try nic("c1", in: inside.name, ["10.10.0.2/24"])
                let tap = NICSpec(machine: "c1", name: "net0", switchName: "blue", mtu: 1400)
                #expect(await node.apply(desired(tap)) == [])
                #expect(await node.plan(desired(pair)) == ["nic/c1/net0 replace"])
                #expect(await node.apply(desired(pair)) == [])
                #expect(try node.link("c1-net0")?.kind == .veth)
                #expect(await node.apply(desired(tap)) == [])
                #expect(try node.link("c1-net0")?.kind == .tun)
            }
        }
    }
}
