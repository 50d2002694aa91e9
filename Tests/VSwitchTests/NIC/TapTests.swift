import Netlink
import Reconcile
import Syscall
import SystemPackage
import TestSupport
import Testing
import VSwitch

@Suite(.enabled(if: TestNamespace.isPossible))
struct TapTests {
    private func desired(_ nics: NICSpec...) -> Desired {
        var desired = Desired()
        desired.add(SwitchSpec(name: "blue"))
        desired.add(SwitchSpec(name: "green"))
        for nic in nics { desired.add(nic) }
        return desired
    }

    private func nic(_ machine: String = "vm1", on name: String = "blue", owner: NICSpec.Owner? = nil) -> NICSpec {
        NICSpec(machine: machine, name: "net0", switchName: name, mtu: 1500, attachment: .tap(owner: owner))
    }

    @Test func `a tap is made, kept, changed and taken away`() async throws {
        try await Node.with { node in
            let wanted = desired(nic(owner: .number(1234)))
            #expect(await node.plan(wanted) == ["switch/blue create", "switch/green create", "nic/vm1/net0 create"])
            #expect(await node.apply(wanted) == [])
            let shown = try await node.space.run("ip", "-d", "link", "show", "vm1-net0")
            for words in [
                "mtu 1500", "link/ether \(nic().hostMAC)", "alias sdagent nic/vm1/net0", "addrgenmode none",
                "type tap", "multi_queue", "vnet_hdr on", "persist on", "user 1234", "master blue", ",UP",
            ] { #expect(shown.contains(words), "\(words) in \(shown)") }
            #expect(try await node.space.run("bridge", "link").contains("vm1-net0"))
            // Without a queue of the kernel's in front of the tap's own: 6.9 MB and 4 ms each.
            #expect(try await node.space.run("tc", "qdisc", "show", "dev", "vm1-net0").hasPrefix("qdisc noqueue"))
            let off = try await node.space.run("cat", "/proc/sys/net/ipv6/conf/vm1-net0/disable_ipv6")
            #expect(off == "1\n")

            let before = try node.links()
            #expect(await node.plan(wanted) == [])
            #expect(await node.apply(wanted) == [])
            #expect(try node.links() == before)

            var changed = nic(on: "green", owner: .number(99))
            changed.mtu = 1400
            #expect(await node.plan(desired(changed)) == ["nic/vm1/net0 update"])
            #expect(await node.apply(desired(changed)) == [])
            let tap = try #require(try node.link("vm1-net0"))
            #expect(tap.mtu == 1400 && tap.tun?.owner == 99)
            #expect(tap.master == (try node.link("green")?.index))
            #expect(tap.index == before.first { $0.name.description == "vm1-net0" }?.index)

            #expect(await node.apply(desired()) == [])
            #expect(try node.links().map(\.name.description) == ["lo", "blue", "green"])
        }
    }

    @Test func `drift of every property is found and mended`() async throws {
        try await Node.with { node in
            let wanted = desired(nic(owner: .number(7)))
            #expect(await node.apply(wanted) == [])
            let good = try node.steady("vm1-net0")
            for drift in [
                ["ip", "link", "set", "vm1-net0", "mtu", "1300"], ["ip", "link", "set", "vm1-net0", "nomaster"],
                ["ip", "link", "set", "vm1-net0", "master", "green"], ["ip", "link", "set", "vm1-net0", "down"],
                ["ip", "link", "set", "vm1-net0", "address", "02:00:00:00:00:01"],
                ["ip", "link", "set", "vm1-net0", "addrgenmode", "eui64"],
                ["sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/vm1-net0/disable_ipv6"],
            ] {
                try await output(of: node.space.inside(drift))
                let plan = await node.plan(wanted)
                #expect(plan == ["nic/vm1/net0 update"], "\(drift)")
                let left = await node.apply(wanted)
                #expect(left == [], "\(drift)")
                let mended = try node.steady("vm1-net0")
                #expect(mended == good, "\(drift)")
            }
            try await node.space.run("ip", "link", "delete", "vm1-net0")
            #expect(await node.plan(wanted) == ["nic/vm1/net0 create"])
            #expect(await node.apply(wanted) == [])
            try await node.space.run("ip", "link", "delete", "blue")
            #expect(await node.plan(wanted) == ["switch/blue create", "nic/vm1/net0 update"])
            #expect(await node.apply(wanted) == [])
            #expect(await node.plan(wanted) == [])
        }
    }

    @Test func `a tap that a hypervisor could not open is made anew`() async throws {
        try await Node.with { node in
            #expect(await node.apply(desired()) == [])
            for flags in [
                ["vnet_hdr"], ["multi_queue"], ["multi_queue", "vnet_hdr", "pi"],
                ["multi_queue", "vnet_hdr", "user", "5"],
            ] {
                try await output(of: node.space.inside(["ip", "tuntap", "add", "vm1-net0", "mode", "tap"] + flags))
                try await node.space.run("ip", "link", "set", "vm1-net0", "alias", "sdagent nic/vm1/net0")
                #expect(await node.plan(desired(nic())) == ["nic/vm1/net0 replace"], "\(flags)")
                #expect(await node.apply(desired(nic())) == [])
                let tun = try #require(try node.link("vm1-net0")?.tun)
                #expect(tun.isMultiQueue && tun.hasVirtioHeader && !tun.hasPacketInformation && tun.owner == nil)
                #expect(await node.apply(desired()) == [])
            }
        }
    }

    @Test func `a foreign link of the name is a conflict and is not touched`() async throws {
        try await Node.with { node in
            try await node.space.run("ip", "tuntap", "add", "vm1-net0", "mode", "tap", "multi_queue", "vnet_hdr")
            try await node.space.run("ip", "link", "add", "vm2-net0", "type", "bridge")
            try await node.space.run("ip", "link", "set", "vm2-net0", "alias", "sdagent nic/vm2/net0")
            let foreign = try node.links()
            let left = await node.apply(desired(nic("vm1"), nic("vm2"), nic("vm3")))
            #expect(left.count == 2)
            #expect(left.allSatisfy { $0.contains("conflict: a link named vm") })
            #expect(try node.link("vm3-net0") != nil)
            #expect(await node.apply(Desired()) == [])
            #expect(try node.links() == foreign)
        }
    }

    @Test(arguments: [68, 1279, 1280, 65521] as [UInt32])
    func `any MTU will do, also one too small for IPv6`(mtu: UInt32) async throws {
        try await Node.with { node in
            var wanted = Desired()
            wanted.add(SwitchSpec(name: "blue", mtu: mtu))
            var small = nic()
            small.mtu = mtu
            wanted.add(small)
            #expect(await node.apply(wanted) == [])
            #expect(await node.plan(wanted) == [])
            let links = try [node.link("blue"), node.link("vm1-net0")]
            #expect(links.allSatisfy { $0?.mtu == mtu && $0?.isUp == true })
            wanted.add(SwitchSpec(name: "blue", mtu: 1500))
            wanted.add(nic())
            #expect(await node.apply(wanted) == [])
            #expect(await node.plan(wanted) == [])
        }
    }

    @Test func `a NIC whose new MTU the kernel refuses goes on as it was`() async throws {
        try await Node.with { node in
            var small = nic()
            // Too small for IPv6, which comes back with a larger one: the port is down while it does.
            small.mtu = 1279
            #expect(await node.apply(desired(small)) == [])
            var large = small
            // A tap takes no more than 65,521; a manifest does not ask for it.
            large.mtu = 65_535
            let left = await node.apply(desired(large))
            #expect(left.count == 1 && left[0].hasPrefix("nic/vm1/net0 failed: "), "\(left)")
            let link = try #require(try node.link("vm1-net0"))
            #expect(link.isUp && link.mtu == 1279)
            #expect(await node.apply(desired(small)) == [])
            #expect(await node.plan(desired(small)) == [])
        }
    }

    @Test func `a step that fails is named, and the rest of the run is done`() async throws {
        try await Node.with { node in
            var bad = nic("vm2")
            bad.mtu = 10
            let left = await node.apply(desired(nic("vm1"), bad, nic("vm3")))
            #expect(left.count == 1)
            #expect(left[0].hasPrefix("nic/vm2/net0 failed: change link vm2-net0: Invalid argument"))
            let names = try node.names()
            #expect(names == ["blue", "green", "lo", "vm1-net0", "vm3-net0"])
        }
    }

    @Test func `an owner by name is looked up on the node`() async throws {
        try await Node.with { node in
            let left = await node.apply(
                desired(nic("vm1", owner: .name("nobody")), nic("vm2", owner: .name("sdt-no-such-user"))))
            #expect(left.count == 1)
            #expect(left[0].hasPrefix("nic/vm2/net0 unsupported: owner: this node has no user 'sdt-no-such-user'"))
            let owner = try node.link("vm1-net0")?.tun?.owner
            #expect(owner == 65534)
        }
    }

    @Test func `a tap can be opened by a hypervisor, and is taken away under it`() async throws {
        try await Node.with { node in
            #expect(await node.apply(desired(nic())) == [])
            let held = try NetworkLocation.namespace(node.space.name).run { () -> Result<NewTap, Errno> in
                do throws(Errno) { return .success(try NewTap("vm1-net0")) } catch { return .failure(error) }
            }
            #expect(throws: Errno.resourceBusy) { try held.get() }
            #expect(await node.apply(Desired()) == [])
            #expect(try node.links().map(\.name.description) == ["lo"])
        }
    }

    @Test func `a thousand taps come and go`() async throws {
        try await Node.with { node in
            var wanted = desired()
            for index in 0..<1000 { wanted.add(nic("vm\(index)", on: index % 2 == 0 ? "blue" : "green")) }
            #expect(await node.apply(wanted) == [])
            let links = try node.links()
            #expect(links.count == 1003)
            #expect(links.allSatisfy { $0.kind != .tun || ($0.isUp && $0.master != nil && $0.alias != nil) })
            #expect(await node.plan(wanted) == [])
            wanted.add(nic("vm500", on: "green", owner: .number(1)))
            #expect(await node.plan(wanted) == ["nic/vm500/net0 update"])
            #expect(await node.apply(wanted) == [])
            #expect(await node.apply(desired(nic("vm0"))) == [])
            let names = try node.names()
            #expect(names == ["blue", "green", "lo", "vm0-net0"])
        }
    }
}
