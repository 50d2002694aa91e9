import CNetlink
import TestSupport
import Testing

@testable import Netlink

/// VLANs of bridges and their ports. The wanted bytes are those that `bridge vlan` of iproute2 6.1 sends, but for the
/// flag NLA_F_NESTED (0x8000) of IFLA_AF_SPEC, which the kernel masks away there.
struct PortVLANTests {
    private let access = PortVLANs(untagged: 10)
    private let trunk = PortVLANs(untagged: nil, tagged: VLANSet([VLANRange(20, 20), VLANRange(30, 40)]))

    private func bytes(_ holder: VLANHolder = .port(5), from seen: PortVLANs?, to wanted: PortVLANs) -> String {
        var batch = MessageWriter()
        batch.changeVLANs(of: holder, from: seen, to: wanted)
        return hex(batch.bytes)
    }

    @Test func `an access port changes its VLAN: out of the old one first`() {
        #expect(
            bytes(from: access, to: PortVLANs(untagged: 20))
                == hex(
                    "2c000000 1100 0100 00000000 00000000  # nlmsghdr: 44 bytes, RTM_DELLINK, REQUEST",
                    "07 00 0000 05000000 00000000 00000000  # ifinfomsg: AF_BRIDGE, index 5",
                    "0c00 1a80  # IFLA_AF_SPEC, nested",
                    "0800 0200 0000 0a00  # IFLA_BRIDGE_VLAN_INFO: no flags, VLAN 10",
                    "2c000000 1300 0100 00000000 00000000  # nlmsghdr: 44 bytes, RTM_SETLINK, REQUEST",
                    "07 00 0000 05000000 00000000 00000000  # ifinfomsg: AF_BRIDGE, index 5",
                    "0c00 1a80  # IFLA_AF_SPEC, nested",
                    "0800 0200 0600 1400  # IFLA_BRIDGE_VLAN_INFO: PVID|UNTAGGED, VLAN 20"))
    }

    @Test func `a port of which nothing is known leaves all VLANs but its own`() {
        #expect(
            bytes(from: nil, to: trunk)
                == hex(
                    "54000000 1100 0100 00000000 00000000  # nlmsghdr: 84 bytes, RTM_DELLINK, REQUEST",
                    "07 00 0000 05000000 00000000 00000000  # ifinfomsg: AF_BRIDGE, index 5",
                    "3400 1a80  # IFLA_AF_SPEC, nested",
                    "0800 0200 0800 0100  # RANGE_BEGIN, VLAN 1",
                    "0800 0200 1000 1300  # RANGE_END, VLAN 19",
                    "0800 0200 0800 1500  # RANGE_BEGIN, VLAN 21",
                    "0800 0200 1000 1d00  # RANGE_END, VLAN 29",
                    "0800 0200 0800 2900  # RANGE_BEGIN, VLAN 41",
                    "0800 0200 1000 fe0f  # RANGE_END, VLAN 4094",
                    "3c000000 1300 0100 00000000 00000000  # nlmsghdr: 60 bytes, RTM_SETLINK, REQUEST",
                    "07 00 0000 05000000 00000000 00000000  # ifinfomsg: AF_BRIDGE, index 5",
                    "1c00 1a80  # IFLA_AF_SPEC, nested",
                    "0800 0200 0000 1400  # VLAN 20",
                    "0800 0200 0800 1e00  # RANGE_BEGIN, VLAN 30",
                    "0800 0200 1000 2800  # RANGE_END, VLAN 40"))
    }

    @Test func `a bridge itself is meant by a flag`() {
        #expect(
            bytes(.bridge(4), from: PortVLANs(), to: .usual)
                == hex(
                    "34000000 1300 0100 00000000 00000000  # nlmsghdr: 52 bytes, RTM_SETLINK, REQUEST",
                    "07 00 0000 04000000 00000000 00000000  # ifinfomsg: AF_BRIDGE, index 4",
                    "1400 1a80  # IFLA_AF_SPEC, nested",
                    "0600 0000 0200 0000  # IFLA_BRIDGE_FLAGS: SELF",
                    "0800 0200 0600 0100  # IFLA_BRIDGE_VLAN_INFO: PVID|UNTAGGED, VLAN 1"))
    }

    /// What a port is in when the kernel has taken the messages: a second reading of br_vlan.c.
    private func taken(_ seen: PortVLANs, _ messages: [UInt8]) -> PortVLANs {
        var port = seen
        messages.withUnsafeBytes { raw in
            for message in MessageReader(raw) {
                for spec in message.attributes(after: ifinfomsg.self) {
                    var first: UInt16?
                    for attribute in spec.nested {
                        guard let entry = attribute.value(as: bridge_vlan_info.self) else { continue }
                        if entry.flags & 8 != 0 {
                            first = entry.vid
                            continue
                        }
                        for id in (first ?? entry.vid)...entry.vid {
                            let one = VLANSet(id)
                            if port.native == id { port.native = nil }
                            port.tagged = port.tagged.subtracting(one)
                            port.untagged = port.untagged.subtracting(one)
                            guard message.type == UInt16(RTM_SETLINK) else { continue }
                            if entry.flags & 4 != 0 { port.untagged = port.untagged.union(one) }
                            if entry.flags & 4 == 0 { port.tagged = port.tagged.union(one) }
                            if entry.flags & 2 != 0 { port.native = id }
                        }
                        first = nil
                    }
                }
            }
        }
        return port
    }

    /// Every way in which four VLANs can be of a port, to every way that we ask for.
    @Test func `from any state to any wanted one, and nothing where nothing differs`() {
        var states: [PortVLANs] = []
        for bits in 0..<81 {
            let kinds = [bits % 3, bits / 3 % 3, bits / 9 % 3, bits / 27]
            func ids(_ kind: Int) -> VLANSet {
                (0..<4).reduce(VLANSet()) { kinds[$1] == kind ? $0.union(VLANSet(UInt16($1 + 5))) : $0 }
            }
            for native in [nil, 5, 6, 7, 8] as [UInt16?] {
                var port = PortVLANs()
                (port.untagged, port.tagged) = (ids(1), ids(2))
                guard native.map({ port.members.contains($0) }) ?? true else { continue }
                port.native = native
                states.append(port)
            }
        }
        let wanted = states.filter { $0.untagged == ($0.native.map { VLANSet($0) } ?? VLANSet()) }
        #expect(states.count > 200 && wanted.count > 40)
        for seen in states {
            for port in wanted {
                var batch = MessageWriter()
                batch.changeVLANs(of: .port(5), from: seen, to: port)
                #expect(taken(seen, batch.bytes) == port, "\(seen) to \(port)")
                #expect(batch.isEmpty == (seen == port))
            }
        }
        // All 4,094 are taken away there, one by one here.
        for (seen, port) in zip(states.reversed(), wanted.prefix(12)) {
            var blind = MessageWriter()
            blind.changeVLANs(of: .port(5), from: nil, to: port)
            #expect(taken(seen, blind.bytes) == port, "\(seen) to \(port), unseen")
        }
    }

    @Test func `what the kernel shows is read, with its ranges`() throws {
        // As br_fill_ifvlaninfo_compressed writes it: the PVID is never within a range.
        let shown = NetlinkTests.bytes(
            hex(
                "54000000 1000 0200 07000000 00000000  # nlmsghdr: 84 bytes, NLM_F_MULTI",
                "07 00 0100 05000000 00000000 00000000  # ifinfomsg: AF_BRIDGE, index 5",
                "0700 0300 703100 00  # IFLA_IFNAME p1",
                "0800 0a00 04000000  # IFLA_MASTER 4",
                "2400 1a00  # IFLA_AF_SPEC",
                "0800 0200 0600 0a00  # PVID|UNTAGGED, VLAN 10",
                "0800 0200 0000 1400  # VLAN 20",
                "0800 0200 0800 1e00  # RANGE_BEGIN, VLAN 30",
                "0800 0200 1000 2800  # RANGE_END, VLAN 40"))
        let seen = shown.withUnsafeBytes { raw in MessageReader(raw).lazy.compactMap { PortVLANs.read($0) }.first }
        let found = try #require(seen)
        #expect(found.link == 5)
        #expect(found.vlans == PortVLANs(untagged: 10, tagged: trunk.tagged))
    }

    @Test func `a bridge that filters is made without a VLAN for new ports`() throws {
        var attributes = BridgeAttributes()
        attributes.filtersVLANs = true
        var batch = MessageWriter()
        batch.createBridge(
            try #require(InterfaceName("br")), mac: MACAddress(rawValue: 7), mtu: 1500, attributes: attributes)
        let end = hex(
            "0500 0700 01 000000  # IFLA_BR_VLAN_FILTERING", "0600 2700 0000 0000  # IFLA_BR_VLAN_DEFAULT_PVID 0")
        #expect(hex(batch.bytes).hasSuffix(end))
        var plain = MessageWriter()
        plain.createBridge(try #require(InterfaceName("br")), mac: MACAddress(rawValue: 7), mtu: 1500)
        #expect(plain.bytes.count == batch.bytes.count - 16)
        var change = LinkChange()
        change.filtersVLANs = false
        change.hasNoDefaultVLAN = true
        var last = MessageWriter()
        last.changeLink(.index(4), change)
        #expect(
            hex(last.bytes)
                == hex(
                    "44000000 1000 0100 00000000 00000000  # nlmsghdr: 68 bytes, RTM_NEWLINK, REQUEST",
                    "00 00 0000 04000000 00000000 00000000  # ifinfomsg",
                    "2400 1280  # IFLA_LINKINFO, nested",
                    "0b00 0100 62726964676500 00  # IFLA_INFO_KIND bridge",
                    "1400 0280  # IFLA_INFO_DATA, nested",
                    "0500 0700 00 000000  # IFLA_BR_VLAN_FILTERING off",
                    "0600 2700 0000 0000  # IFLA_BR_VLAN_DEFAULT_PVID: none"))
    }

    @Test func `a VLAN device on another link`() throws {
        var batch = MessageWriter()
        batch.createVLAN(try #require(InterfaceName("e.10")), on: 3, vlan: 10)
        #expect(
            hex(batch.bytes)
                == hex(
                    "50000000 1000 0106 00000000 00000000  # nlmsghdr, RTM_NEWLINK, REQUEST|CREATE|EXCL",
                    "00 00 0000 00000000 00000000 00000000  # ifinfomsg",
                    "0900 0300 652e313000 000000  # IFLA_IFNAME e.10",
                    "0800 0500 03000000  # IFLA_LINK 3",
                    "1c00 1280  # IFLA_LINKINFO, nested",
                    "0900 0100 766c616e00 000000  # IFLA_INFO_KIND vlan",
                    "0c00 0280  # IFLA_INFO_DATA, nested",
                    "0600 0100 0a00 0000  # IFLA_VLAN_ID 10"))
    }
}
