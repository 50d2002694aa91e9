import Manifest
import Netlink
import Reconcile
import Testing
@testable import VSwitch

/// What groups and address sets of a manifest become, and how their mistakes read.
struct GroupManifestTests {
    private static let machines = Section("vms") { entry, desired, diagnostics in
        var fields = Fields(entry.entry.value, of: "vm '\(entry.name)'", diagnostics)
        _ = NICKind.readNICs(of: entry.name, &fields, into: &desired)
        fields.finish()
    }

    private func load(_ text: String) -> (Desired?, [String]) {
        let links = LinkListing()
        let loader = DesiredLoader(
            sections: [SwitchKind.section, AddressSetKind.section, GroupKind.section, Self.machines],
            derivations: [NICKind.resolution()],
            kinds: [
                SwitchKind(links: links), AddressSetKind(), GroupKind(NFLedger(tenure: .passing)),
                NICKind(links: links),
            ])
        let diagnostics = Diagnostics()
        let desired = loader.load([Source(file: "node.yaml", directory: "/", text: text)], diagnostics)
        return (desired, diagnostics.all.map { "\($0.position.line):\($0.position.column) \($0.message)" })
    }

    @Test func `rules are read in full`() throws {
        let (desired, mistakes) = load(
            """
            switches: { blue: {} }
            addressSets: { office: [192.0.2.0/24, "2001:db8::/32", 198.51.100.7, 192.0.2.0/24] }
            groups:
              admin: { liveFlows: keep }
              web:
                ingress:
                  - { protocol: tcp, ports: [443, 80, 8000-8010, 8005-8020, 81] }
                  - { protocol: tcp, ports: 22, from: [ { group: admin }, { set: office }, 10.0.0.0/8 ] }
                  - { protocol: icmp, types: [echo-request, 3/4] }
                egress: { protocol: any }
            vms: { vm1: { nics: [ { switch: blue, address: 10.0.0.1, groups: [web, admin] } ] } }
            """)
        #expect(mistakes == [])
        let specs = try #require(desired).specs(of: GroupKind.self)
        let web = try #require(specs["web"])
        #expect(
            web.ingress.map { $0.words(.ingress) } == [
                "tcp 80-81, 443, 8000-8020", "tcp 22 from group admin, set office, 10.0.0.0/8",
                "icmp destination-unreachable/4, echo-request",
            ])
        #expect(web.egress.map { $0.words(.egress) } == ["any"])
        #expect(web.liveFlows == .reevaluate && specs["admin"]?.liveFlows == .keep)
        let office = try #require(desired?.specs(of: AddressSetKind.self)["office"])
        #expect(office.members.map(\.description) == ["192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32"])
        #expect(desired?.specs(of: NICKind.self)["vm1/net0"]?.groups == ["admin", "web"])
    }

    @Test(arguments: [
        ("{ ingres: [] }", ["1:18 unknown field 'ingres' in group 'web'"]),
        ("{ liveFlows: kepe }", ["1:29 'liveFlows' of group 'web' cannot be 'kepe'"]),
        ("{ ingress: [ { ports: 80 } ] }", ["1:29 an ingress rule of group 'web' needs 'protocol'"]),
        ("{ ingress: [ { protocol: tpc } ] }", ["1:41 'tpc' is no protocol"]),
        ("{ ingress: [ { protocol: any, ports: 80 } ] }", ["1:53 any has no ports"]),
        ("{ ingress: [ { protocol: tcp, types: 8 } ] }", ["1:53 tcp has no types"]),
        (
            "{ ingress: [ { protocol: tcp, ports: [80, 0, 9-1] } ] }",
            [
                "1:58 'ports' of an ingress rule of group 'web' is not a port, or ports such as 8000-8010: '0'",
                "1:61 'ports' of an ingress rule of group 'web' is not a port, or ports such as 8000-8010: '9-1'",
            ]
        ),
        ("{ ingress: [ { protocol: icmp, types: ping } ] }", ["1:54 'ping' is no icmp type"]),
        ("{ ingress: [ { protocol: icmp, types: 300 } ] }", ["1:54 '300' is no icmp type"]),
        ("{ ingress: [ { protocol: tcp, from: 10.0.0.1/8 } ] }", ["1:52 10.0.0.1/8 has host bits"]),
        ("{ ingress: [ { protocol: tcp, from: here } ] }", ["1:52 'here' is no address and no network"]),
        (
            "{ ingress: [ { protocol: tcp, from: { group: a, set: b } } ] }",
            ["1:52 a peer is an address, a network, a group or a set"]
        ),
        (
            "{ ingress: [ { protocol: tcp, from: { group: wbe } } ] }",
            ["1:61 group/web needs group/wbe, which the manifest does not have"]
        ),
        (
            "{ egress: [ { protocol: tcp, from: 10.0.0.0/8 } ] }",
            ["1:45 unknown field 'from' in an egress rule of group 'web'"]
        ),
    ])
    func `mistakes of groups are found`(text: String, mistakes: [String]) {
        #expect(load("groups: { web: \(text) }").1 == mistakes)
    }

    @Test(arguments: [
        ("groups: []", "3:44 'groups' of nic 1 of vm 'vm1' names none"),
        ("groups: [web, web]", "3:50 group 'web' is named twice"),
        ("groups: [wbe]", "3:45 nic/vm1/net0 needs group/wbe, which the manifest does not have"),
    ])
    func `mistakes of NICs are found`(text: String, mistake: String) {
        let manifest = "switches: { b: }\ngroups: { web: }\nvms: { vm1: { nics: [ { switch: b, \(text) } ] } }"
        #expect(load(manifest).1 == [mistake])
    }
}
