import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

/// Interface names that go from one link of ours to another.
@Suite(.enabled(if: TestNamespace.isPossible))
struct NameHandoverTests {
    private func desired(_ switches: [String], _ nics: [String: String]) throws -> Desired {
        var desired = Desired()
        for name in switches { desired.add(SwitchSpec(name: name)) }
        for (machine, interface) in nics {
            desired.add(
                NICSpec(
                    machine: machine, name: "net0", switchName: switches[0],
                    interface: InterfaceName(interface), mtu: 1500))
        }
        return desired
    }

    /// The resources behind the node's links, by the names of the links.
    private func owners(_ node: Node) throws -> [String: String] {
        var owners: [String: String] = [:]
        for link in try node.links() { owners[link.name.description] = link.alias }
        return owners
    }

    @Test func `a tap takes the name of one that goes`() async throws {
        try await Node.with { node in
            #expect(await node.apply(try desired(["blue"], ["vm1": "tap0"])) == [])
            let wanted = try desired(["blue"], ["vm2": "tap0"])
            #expect(await node.plan(wanted) == ["nic/vm1/net0 delete", "nic/vm2/net0 create"])
            #expect(await node.apply(wanted) == [])
            #expect(try owners(node) == ["blue": "sdagent switch/blue", "tap0": "sdagent nic/vm2/net0"])
        }
    }

    @Test func `two NICs swap their names`() async throws {
        try await Node.with { node in
            #expect(await node.apply(try desired(["blue"], ["vm1": "a", "vm2": "b"])) == [])
            let wanted = try desired(["blue"], ["vm1": "b", "vm2": "a"])
            #expect(await node.plan(wanted) == ["nic/vm1/net0 replace", "nic/vm2/net0 replace"])
            #expect(await node.apply(wanted) == [])
            let names = try owners(node)
            #expect(names["a"] == "sdagent nic/vm2/net0" && names["b"] == "sdagent nic/vm1/net0")
            #expect(await node.plan(wanted) == [])
        }
    }

    @Test func `a switch takes the name of a NIC, and a NIC that of a switch`() async throws {
        try await Node.with { node in
            #expect(await node.apply(try desired(["blue"], ["vm1": "wan", "vm2": "c"])) == [])
            let wanted = try desired(["wan"], ["vm1": "blue", "vm2": "c"])
            #expect(
                await node.plan(wanted) == [
                    "switch/blue delete", "switch/wan create", "nic/vm1/net0 replace", "nic/vm2/net0 update",
                ])
            #expect(await node.apply(wanted) == [])
            let links = try node.links()
            #expect(links.first { $0.name.description == "wan" }?.kind == .bridge)
            #expect(links.first { $0.name.description == "blue" }?.kind == .tun)
            #expect(await node.plan(wanted) == [])
        }
    }

    @Test func `a name that a NIC keeps is a conflict that names the NIC`() async throws {
        try await Node.with { node in
            #expect(await node.apply(try desired(["blue"], ["vm1": "a"])) == [])
            try await node.space.run("ip", "link", "add", "x", "type", "bridge")
            let left = await node.apply(try desired(["blue"], ["vm1": "x", "vm2": "a"]))
            #expect(left.count == 2, "\(left)")
            #expect(left[0].hasPrefix("nic/vm1/net0 conflict: a link named x exists and is not this NIC's"))
            #expect(left[1].hasPrefix("nic/vm2/net0 conflict: the link a has the mark of nic/vm1/net0"))
            #expect(try owners(node)["a"] == "sdagent nic/vm1/net0")
        }
    }
}
