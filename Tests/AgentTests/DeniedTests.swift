import Foundation
import Netlink
import TestSupport
import Testing
import VSwitch

@testable import sdagent

/// `sdagent denied`: what it shows, in text and in JSON, with a daemon and without.
@Suite("Denied packets", .timeLimit(.minutes(3)))
struct DeniedTests {
    private static func count(_ packets: UInt64) -> NFCount { NFCount(packets: packets, bytes: packets * 60) }

    private static let nics = [
        DeniedNIC("vm1/net0", "vm1-net0", [.guarded(.arp): count(3), .guarded(.ipv4): count(120), .ingress: count(7)]),
        DeniedNIC("vm2/net0", "vm2-net0", [:]),
        DeniedNIC("web-1/front", "web-1-front", [.invalid: count(1), .egress: count(1000), .ethertype: count(2)]),
    ]

    @Test func `a person reads one line for each NIC`() {
        #expect(
            DeniedText().render(Self.nics, of: 3) == """
                NIC          PACKETS  WHY
                vm1/net0         130  arp 3, ipv4 120, ingress 7
                vm2/net0           0
                web-1/front     1003  ethertype 2, egress 1000, invalid 1

                """)
        #expect(DeniedText().render([], of: 2) == "Nothing was denied to any of 2 NICs.\n")
    }

    @Test func `a program reads sums and reasons`() throws {
        #expect(
            try JSONText.pretty(DeniedDocument(nics: [Self.nics[0]])) == """
                {
                  "nics" : [
                    {
                      "egress" : {
                        "bytes" : 0,
                        "packets" : 0
                      },
                      "guard" : {
                        "bytes" : 7380,
                        "packets" : 123
                      },
                      "ingress" : {
                        "bytes" : 420,
                        "packets" : 7
                      },
                      "interface" : "vm1-net0",
                      "invalid" : {
                        "bytes" : 0,
                        "packets" : 0
                      },
                      "nic" : "vm1/net0",
                      "reasons" : [
                        {
                          "bytes" : 180,
                          "packets" : 3,
                          "reason" : "arp"
                        },
                        {
                          "bytes" : 7200,
                          "packets" : 120,
                          "reason" : "ipv4"
                        },
                        {
                          "bytes" : 420,
                          "packets" : 7,
                          "reason" : "ingress"
                        }
                      ]
                    }
                  ]
                }

                """)
    }

    @Test(.enabled(if: TestNamespace.isPossible))
    func `refused packets of a node are shown by the command and by the daemon`() async throws {
        try await ProgramNode.with { node in
            try await TestNamespace.with { guest in
                try node.place.write(
                    """
                    switches: { blue: {} }
                    vms:
                      vm1: { nics: [ { switch: blue, namespace: \(guest.name),
                        address: [10.0.0.1/24, "fd00::1/64"] } ] }
                      vm2: { nics: [ { switch: blue } ] }

                    """)
                let apply = try await node.sdagent("apply")
                #expect(apply.code == 0, "\(apply)")
                let nothing = try await node.sdagent("denied")
                #expect(nothing.output == "Nothing was denied to any of 2 NICs.\n", "\(nothing)")

                // Three lies in each family.
                for (lie, target) in [("10.0.0.77/24", "10.0.0.2"), ("fd00::77/64", "fd00::2")] {
                    let family = lie.contains(":") ? "-6" : "-4"
                    try await output(
                        of: guest.inside(
                            ["ip", "address", "add", lie, "dev", "eth0"] + (family == "-6" ? ["nodad"] : [])))
                    try await guest.run(
                        "ip", family, "neigh", "replace", target, "lladdr", "02:00:00:00:00:99", "dev", "eth0")
                    let source = String(lie.prefix { $0 != "/" })
                    _ = try await guest.attempt("ping", "-c", "3", "-i", "0.05", "-W", "1", "-I", source, target)
                }
                let text = try await node.sdagent("denied")
                #expect(
                    text.output.contains(/^NIC +PACKETS  WHY\nvm1\/net0 +[0-9]+  ipv4 3, ipv6 [0-9]+\n$/), "\(text)")
                let all = try await node.sdagent("denied", "--all")
                #expect(all.output.contains(/\nvm2\/net0 +0\n/), "\(all)")
                let json = try await node.sdagent("denied", "--output", "json")
                let document = try JSONText.decode(DeniedDocument.self, Array(json.output.utf8))
                #expect(document.nics.map(\.nic) == ["vm1/net0"])
                #expect(document.nics.first?.reasons.map(\.reason) == ["ipv4", "ipv6"])

                _ = try await node.withDaemon {
                    // The daemon has every NIC, and the command shows those of which anything was refused.
                    let client = ControlClient(socketPath: node.place.socket)
                    let told = try client.send(.get, "/v1/denied", patience: .short, as: DeniedDocument.self)
                    #expect(told.nics.map(\.nic) == ["vm1/net0", "vm2/net0"])
                    #expect(told.nics.first?.reasons.first?.packets == 3)
                    #expect(try await node.sdagent("denied").output.contains("ipv4 3"))
                }
            }
        }
    }
}
