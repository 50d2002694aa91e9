import Netlink
import Syscall
import SystemPackage
import TestSupport
import Testing

/// Links in a namespace of the test's own, with `ip` as the witness.
@Suite(.enabled(if: TestNamespace.isPossible))
struct LinkTests {
    private func name(_ text: String) throws -> InterfaceName { try #require(InterfaceName(text)) }

    @Test func `a bridge is made, changed, shown and deleted`() async throws {
        try await TestNamespace.with { space in
            var socket = try NetlinkSocket(.route, in: NetworkNamespace(space.name))
            let mac = MACAddress.derived(from: "switch/blue")
            var batch = MessageWriter()
            batch.createBridge(try name("blue"), mac: mac, mtu: 1450)
            var change = LinkChange()
            change.alias = "sdagent switch/blue"
            change.addressGeneration = AddressGeneration.none
            change.isUp = true
            batch.changeLink(.name(try name("blue")), change)
            batch.addAlternativeName("a-name-longer-than-fifteen-bytes", to: .name(try name("blue")))
            #expect(try socket.request(batch) == [nil, nil, nil])

            let shown = try await space.run("ip", "-d", "link", "show", "blue")
            for words in [
                "mtu 1450", "link/ether \(mac)", "alias sdagent switch/blue", "forward_delay 0", "stp_state 0",
                "mcast_snooping 0", "addrgenmode none", "altname a-name-longer-than-fifteen-bytes", ",UP",
            ] { #expect(shown.contains(words), "\(words) in \(shown)") }

            let link = try #require(try socket.links().first { $0.name.description == "blue" })
            #expect(link.kind == .bridge && link.mac == mac && link.mtu == 1450 && link.isUp)
            #expect(link.alias == "sdagent switch/blue")
            #expect(link.alternativeNames == ["a-name-longer-than-fifteen-bytes"])
            #expect(link.addressGeneration == AddressGeneration.none && link.isIPv6Disabled == false)
            #expect(link.bridge == BridgeAttributes())
            #expect(try socket.link(named: name("blue"))?.index == link.index)

            var removal = MessageWriter()
            removal.removeAlternativeName("a-name-longer-than-fifteen-bytes", from: .index(link.index))
            removal.deleteLink(.index(link.index))
            #expect(try socket.request(removal) == [nil, nil])
            #expect(try socket.link(named: name("blue")) == nil)
        }
    }

    @Test func `a persistent tap shows its flags and its owner`() async throws {
        try await TestNamespace.with { space in
            let location = NetworkLocation.namespace(space.name)
            let access = Tap.Access(owner: 1234, group: 5678)
            let outcome = try location.run { () -> Errno? in
                do throws(Errno) { try NewTap("tap0", access: access).persist() } catch { return error }
                do throws(Errno) { try NewTap("tap0").persist() } catch { return error }
                return nil
            }
            #expect(outcome == .resourceBusy)
            var socket = try location.socket(.route)
            let link = try #require(try socket.link(named: name("tap0")))
            #expect(link.kind == .tun && !link.isUp)
            let tun = try #require(link.tun)
            #expect(
                tun.isTap && tun.isMultiQueue && tun.hasVirtioHeader && tun.isPersistent && !tun.hasPacketInformation)
            #expect(tun.owner == 1234 && tun.group == 5678)
            let shown = try await space.run("ip", "-d", "link", "show", "tap0")
            for words in ["type tap", "multi_queue", "vnet_hdr on", "persist on", "pi off", "user 1234", "group 5678"] {
                #expect(shown.contains(words), "\(words) in \(shown)")
            }
            let changed = try location.run { () -> Errno? in
                do throws(Errno) { try Tap.setAccess("tap0", to: Tap.Access(owner: 99, group: 98)) } catch {
                    return error
                }
                return nil
            }
            #expect(changed == nil)
            let after = try #require(try socket.link(named: name("tap0"))?.tun)
            #expect(after.owner == 99 && after.group == 98 && after.isPersistent)
        }
    }

    @Test func `a veth pair reaches into another namespace`() async throws {
        try await TestNamespace.with { near in
            try await TestNamespace.with { far in
                var socket = try open(near)
                let namespace = try NetworkNamespace(far.name)
                let mac = MACAddress.derived(from: "vm/net0")
                var batch = MessageWriter()
                batch.createVeth(
                    try name("vm-net0"), mac: mac.replacingFirstByte(with: 0xfe), mtu: 1400, far: try name("eth0"),
                    farMAC: mac, namespace: namespace.raw)
                #expect(try socket.request(batch) == [nil])
                var inside = try NetlinkSocket(.route, in: namespace)
                let host = try #require(try socket.link(named: name("vm-net0")))
                let guest = try #require(try inside.link(named: name("eth0")))
                #expect(host.kind == .veth && guest.kind == .veth)
                #expect(host.peer == guest.index && guest.peer == host.index)
                #expect(host.peerNamespace != nil && guest.peerNamespace != nil)
                #expect(guest.mac == mac && guest.mtu == 1400 && host.mtu == 1400)
                #expect(try await far.run("ip", "link", "show", "eth0").contains("\(mac)"))
            }
        }
    }

    @Test func `a thousand taps go by their group in one message`() async throws {
        try await TestNamespace.with { space in
            var socket = try open(space)
            let failures = try NetworkLocation.namespace(space.name).run {
                (0..<1000).count { index in
                    do throws(Errno) { try NewTap("b\(index)").persist() } catch { return true }
                    return false
                }
            }
            #expect(failures == 0)
            #expect(try socket.links().count == 1001)
            var removal = MessageWriter(capacity: 100_000)
            for index in 0..<999 {
                var change = LinkChange()
                change.group = 77
                removal.changeLink(.name(try name("b\(index)")), change)
            }
            removal.deleteLinks(inGroup: 77)
            #expect(try socket.request(removal).allSatisfy { $0 == nil })
            #expect(try socket.links().map(\.name.description) == ["lo", "b999"])
        }
    }

    @Test(.enabled(if: LinkTests.notesCarriers))
    func `carriers of many new taps are noted when they are asked for`() async throws {
        try await TestNamespace.with { space in
            var socket = try open(space)
            let taps = try NetworkLocation.namespace(space.name).run {
                (0..<300).compactMap { index -> NewTap? in
                    do throws(Errno) { return try NewTap("b\(index)") } catch { return nil }
                }
            }
            try #require(taps.count == 300)
            // One that is gone is no failure of the others.
            try socket.settleCarriers(of: taps.map(\.index) + [1 << 30])
            let text = try await space.run("ip", "-o", "link", "show")
            let states = text.split(separator: "\n").filter { $0.contains(": b") }
            #expect(states.count == 300)
            #expect(states.allSatisfy { $0.contains("state DOWN") })
            withExtendedLifetime(taps) {}
        }
    }

    /// From Linux 6.8 on.
    private static let notesCarriers: Bool = {
        let release = (try? Sysctl.read("kernel/osrelease")) ?? ""
        let numbers = release.split(separator: ".").prefix(2).compactMap { Int($0) }
        return numbers.count == 2 && (numbers[0], numbers[1]) >= (6, 8)
    }()

    @Test func `a failure in a batch is matched to its message, with the kernel's words`() async throws {
        try await TestNamespace.with { space in
            var socket = try open(space)
            var batch = MessageWriter()
            batch.createBridge(try name("one"), mac: .derived(from: "1"), mtu: 1500)
            batch.createBridge(try name("one"), mac: .derived(from: "1"), mtu: 1500)
            batch.createBridge(try name("two"), mac: .derived(from: "2"), mtu: 10)
            batch.createBridge(try name("three"), mac: .derived(from: "3"), mtu: 1500)
            batch.deleteLink(.name(try name("four")))
            let outcomes = try socket.request(batch)
            #expect(outcomes.map { $0?.errno } == [nil, .fileExists, .invalidArgument, nil, Errno(rawValue: 19)])
            #expect(outcomes[1]?.isExisting == true && outcomes[4]?.isMissing == true)
            guard case .refused(_, let words?, _) = outcomes[2]?.cause else {
                Issue.record("no words in \(String(describing: outcomes[2]))")
                return
            }
            #expect(words.contains("mtu"))
            #expect("\(try #require(outcomes[2]).about("two"))".contains("create bridge two: Invalid argument: mtu"))
            #expect(try socket.links().map(\.name.description) == ["lo", "one", "three"])
        }
    }
}

private func open(_ space: TestNamespace) throws -> NetlinkSocket {
    try NetworkLocation.namespace(space.name).socket(.route)
}
