import Capabilities
import TestSupport
import Testing
@testable import VSwitch

/// The same through a router that translates: what leaves, what is forwarded inside, and what comes back inside.
@Suite("Live flows through routers", .enabled(if: TestNamespace.isPossible))
struct RoutedFlowTests {
    /// web is forwarded to and allows friends, client may ask servers. At first o and p are both, later o alone.
    private static func manifest(isAllowed: Bool) -> String {
        let other = isAllowed ? ", 203.0.113.8, \"fd20::8\"" : ""
        // Where c asks the forward: conntrack of the bridge judges before it is led on, br_netfilter behind that.
        let forward = Capabilities.current.has(.conntrackBridge) ? ", 203.0.113.1, \"fd20::1\"" : ""
        return """
            switches: { blue: {}, wan: {} }
            addressSets:
              friends: [ 10.0.0.3, "fd00::3", 203.0.113.9, "fd20::9"\(other) ]
              servers: [ 10.0.0.1, "fd00::1", 203.0.113.9, "fd20::9"\(other)\(forward) ]
            groups:
              web: { ingress: { protocol: tcp, ports: [80, 443], from: { set: friends } }, egress: { protocol: any } }
              client: { egress: { protocol: any, to: { set: servers } } }
            routers:
              gw:
                interfaces:
                  blue: { addresses: [10.0.0.254/24, "fd00::fe/64"] }
                  wan: { addresses: [203.0.113.1/24, "fd20::1/64"] }
                snat: [ { from: 10.0.0.0/24, out: wan }, { from: "fd00::/64", out: wan } ]
                forwards: \(Town.forwards)
            vms:
              w: { nics: [ { switch: blue, address: [10.0.0.1, "fd00::1"], groups: web, namespace: @w ,
                gateway: [10.0.0.254, "fd00::fe"] } ] }
              c: { nics: [ { switch: blue, address: [10.0.0.3, "fd00::3"], groups: client, namespace: @c ,
                gateway: [10.0.0.254, "fd00::fe"] } ] }
              o: { nics: [ { switch: wan, address: [203.0.113.9, "fd20::9"], namespace: @o } ] }
              p: { nics: [ { switch: wan, address: [203.0.113.8, "fd20::8"], namespace: @p } ] }
            """
    }

    @Test func `only what is no longer allowed ends, whatever is translated`() async throws {
        try await Town.with(["w", "c", "o", "p"]) { town in
            town.expect(try await town.apply(Self.manifest(isAllowed: true)))
            let forwarded = ["o", "p", "c"].flatMap { guest in
                ["203.0.113.1", "fd20::1"].flatMap { address in
                    ["tcp \(address) 8080", "hear \(address) 8443"].map { (guest: guest, line: $0) }
                }
            }
            let asked = ["203.0.113.9", "fd20::9", "203.0.113.8", "fd20::8"].flatMap { address in
                ["tcp \(address) 80", "hear \(address) 443", "udp \(address) 53", "icmp \(address) 0"].map {
                    (guest: "c", line: $0)
                }
            }
            try await town.talking(forwarded + asked) { counts in
                let areTalking = try await eventually(within: 20) { try counts().values.allSatisfy { $0 > 3 } }
                let first = try counts()
                #expect(areTalking, "\(first)")
                town.expect(try await town.apply(Self.manifest(isAllowed: false)))
                try await town.expect(counts) { line in
                    !line.hasPrefix("p ") && !line.contains(" 203.0.113.8 ") && !line.contains(" fd20::8 ")
                }
            }
        }
    }
}
