import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

/// What stands in an overlay's way, and what the plan says of it.
@Suite("Overlay conflicts", .enabled(if: TestNamespace.isPossible))
struct OverlayConflictTests {
    private func desired(_ fields: String = "", more: String = "") throws -> Desired {
        try Cluster.desired(
            """
            switches:
              blue: { \(fields) overlay: { vni: 100, local: 192.0.2.10, peers: [192.0.2.11], \(more) } }
              red: { overlay: { vni: 7, local: 192.0.2.10, peers: [192.0.2.11] } }
            """)
    }

    @Test func `a foreign link of the name or with the VNI is a conflict and is not touched`() async throws {
        for foreign in ["vx-blue type bridge", "other type vxlan id 100 dstport 4789"] {
            try await Node.with { node in
                try await output(
                    of: node.space.inside(["ip", "link", "add"] + foreign.split(separator: " ").map(String.init)))
                let name = String(foreign.prefix { $0 != " " })
                let before = try node.link(name)
                let left = await node.apply(try desired())
                #expect(left.count == 1 && left[0].hasPrefix("overlay/blue conflict: "), "\(left)")
                #expect(left.first?.contains("`ip link delete \(name)`") == true, "\(left)")
                #expect(try node.link(name) == before)
                #expect(try node.link("vx-red")?.isUp == true)
                // Another family, or another port, is another tunnel.
                #expect(await node.apply(Desired()) == [])
                #expect(try node.link(name) == before)
            }
        }
    }

    @Test func `a name that a NIC gives up is the overlay's in the same apply`() async throws {
        try await Node.with { node in
            let nic = "vms: { vm1: { nics: [ { switch: blue, §mtu: 1400 } ] } }"
            let before = try Cluster.desired(
                "switches: { blue: }\n" + nic.replacing("§", with: "interface: vx-blue, "))
            #expect(await node.apply(before) == [])
            let after = try Cluster.desired(
                "switches: { blue: { overlay: { vni: 100, local: 192.0.2.10 } } }\n" + nic.replacing("§", with: ""))
            #expect(await node.apply(after) == [])
            #expect(try node.link("vx-blue")?.kind == .vxlan)
            #expect(try node.link("vm1-net0")?.kind == .tun)
            // And back: what is an overlay's now is the NIC's again.
            #expect(await node.apply(before) == [])
            #expect(try node.link("vx-blue")?.kind == .tun)
        }
    }

    @Test func `an underlay that is too narrow refuses the overlay and names the remedy`() async throws {
        try await Node.with { node in
            try await node.space.run("ip", "link", "add", "eth1", "type", "veth", "peer", "eth1-far")
            try await node.space.run("ip", "addr", "add", "192.0.2.10/24", "dev", "eth1")
            let wide = try desired("mtu: 1500,")
            #expect(await node.plan(wide).contains("overlay/blue unsupported"))
            let left = await node.apply(wide)
            #expect(
                left == [
                    "overlay/blue unsupported: packets of 1500 bytes become 1550 with VXLAN, and eth1, which holds "
                        + "192.0.2.10, takes 1500; set `mtu` of switch 'blue' to 1450 or less, or raise that of eth1"
                ])
            #expect(try node.link("vx-blue") == nil)
            #expect(try node.link("vx-red")?.mtu == 1450)
            try await node.space.run("ip", "link", "set", "eth1", "mtu", "1550")
            #expect(await node.apply(wide) == [])
            #expect(try node.link("vx-blue")?.mtu == 1500)
        }
    }

    @Test func `an address that the node does not have yet stops nothing, and the plan says so`() async throws {
        try await Node.with { node in
            let wanted = try desired()
            let text = PlanText().render(await node.reconciler.plan(wanted))
            #expect(text.contains("local  192.0.2.10, which the node does not have yet"), "\(text)")
            #expect(await node.apply(wanted) == [])
            #expect(await node.plan(wanted) == [])
        }
    }

    private func exchanged(_ blue: Int, _ red: Int) throws -> Desired {
        try Cluster.desired(
            """
            switches:
              blue: { overlay: { vni: \(blue), local: 192.0.2.10 } }
              red: { overlay: { vni: \(red), local: 192.0.2.10 } }
            """)
    }

    @Test func `switches exchange their VNIs in one apply`() async throws {
        try await Node.with { node in
            let (before, after) = (try exchanged(1, 2), try exchanged(2, 1))
            #expect(await node.apply(before) == [])
            #expect(await node.apply(after) == [])
            #expect(try node.link("vx-blue")?.vxlan?.vni == 2)
            #expect(try node.link("vx-red")?.vxlan?.vni == 1)
        }
    }
}
