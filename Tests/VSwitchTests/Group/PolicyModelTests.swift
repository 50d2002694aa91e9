import Netlink
import Testing
@testable import VSwitch

/// What the rules say of single flows.
struct PolicyModelTests {
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    private func model() throws -> PolicyModel {
        let range = { (first: UInt16, last: UInt16) in [PortRange(first, last)] }
        let web = GroupSpec(
            name: "web",
            ingress: [
                GroupRule(.ports(.tcp, range(80, 81))),
                GroupRule(.ports(.tcp, range(22, 22)), peers: [.group("admin")]),
                GroupRule(.messages(isIPv4: true, [ICMPMessage(type: 8)])),
                GroupRule(.whole(.udp), peers: [.set("office"), .network(try #require(IPPrefix("fd00::/16")))]),
            ])
        let admin = GroupSpec(name: "admin", egress: [GroupRule(.any)])
        let office = AddressSetSpec(name: "office", members: [try #require(IPPrefix("192.0.2.0/24"))])
        func nic(_ machine: String, _ texts: [String], _ groups: [String]) throws -> NICSpec {
            NICSpec(
                machine: machine, name: "net0", switchName: "blue",
                addresses: try texts.map { NICSpec.Address(try address($0)) }, groups: groups)
        }
        return PolicyModel(
            [
                try nic("w", ["10.0.0.1", "fd00::1"], ["web"]), try nic("a", ["10.0.0.2", "fd00::2"], ["admin"]),
                try nic("o", ["10.0.0.3"], []),
            ], groups: ["web": web, "admin": admin], sets: ["office": office])
    }

    @Test(arguments: [
        ("10.0.0.3", "10.0.0.1", "tcp", 80, nil), ("10.0.0.3", "10.0.0.1", "tcp", 82, "w/net0 ingress"),
        ("10.0.0.2", "10.0.0.1", "tcp", 22, nil), ("10.0.0.3", "10.0.0.1", "tcp", 22, "w/net0 ingress"),
        ("fd00::2", "fd00::1", "tcp", 22, nil), ("fd00::9", "fd00::1", "tcp", 22, "w/net0 ingress"),
        ("10.0.0.1", "10.0.0.3", "tcp", 80, "w/net0 egress"), ("10.0.0.2", "203.0.113.9", "gre", 0, nil),
        ("10.0.0.3", "10.0.0.2", "tcp", 80, "a/net0 ingress"), ("192.0.2.7", "10.0.0.1", "udp", 53, nil),
        ("192.0.3.7", "10.0.0.1", "udp", 53, "w/net0 ingress"), ("fd00::9", "fd00::1", "udp", 53, nil),
        ("10.0.0.1", "10.0.0.9", "udp", 67, nil), ("10.0.0.9", "10.0.0.8", "tcp", 80, nil),
    ])
    func `a flow is judged by both of its ends`(
        source: String, destination: String, transport: String, port: Int, denial: String?
    ) throws {
        let flow = PolicyModel.Flow(
            source: try address(source), destination: try address(destination),
            transport: try #require(IPProtocol(transport)), destinationPort: UInt16(port))
        #expect(try model().denial(of: flow).map { "\($0.nic) \($0.direction)" } == denial)
    }

    @Test func `messages are told apart by type, code and version`() throws {
        let model = try model()
        var flow = PolicyModel.Flow(
            source: try address("10.0.0.3"), destination: try address("10.0.0.1"), transport: .icmp,
            message: ICMPMessage(type: 8, code: 0))
        #expect(model.denial(of: flow) == nil)
        flow.message = ICMPMessage(type: 13, code: 0)
        #expect(model.denial(of: flow)?.nic == "w/net0")
        let other = PolicyModel.Flow(
            source: try address("fd00::9"), destination: try address("fd00::1"), transport: .icmpv6,
            message: ICMPMessage(type: 8, code: 0))
        #expect(model.denial(of: other)?.direction == .ingress)
    }
}
